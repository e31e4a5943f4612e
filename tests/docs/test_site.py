"""A small site with our extensions: formulas, and the index in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("myst_parser")

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

pytestmark = pytest.mark.filterwarnings("default")  # of Sphinx and docutils themselves
CONF = """\
project = "small"
extensions = ["myst_parser", "docs.machinery.mathml", "docs.machinery.llms"]
myst_enable_extensions = ["dollarmath"]
"""
PAGES = {
    "index.md": "# Small\n\nA site of two pages, to be built in a second.\n\n"
    "```{toctree}\nother\n```\n",
    "other.md": "# Other\n\nWords that say what this other page is about.\n\n$$\n%s\n$$\n",
}


def build(folder: Path, formula: str) -> tuple[str, int]:
    """HTML of the second page, and the number of warnings."""
    (folder / "conf.py").write_text(CONF)
    for name, text in PAGES.items():
        (folder / name).write_text(text % formula if "%s" in text else text)
    out = folder / "out"
    with docutils_namespace():
        app = Sphinx(folder, folder, out, out / "trees", "html", status=None, warning=None)
        app.build()
    return (out / "other.html").read_text(), app._warncount


def test_formulas_are_mathml_and_pages_are_listed(tmp_path: Path) -> None:
    html, n_warnings = build(tmp_path, r"\frac{\max(u_i, 0)}{2}")
    assert "<mfrac>" in html
    assert "mathjax@" not in html  # which would come from elsewhere
    assert n_warnings == 0
    assert (tmp_path / "out" / "llms.txt").read_text() == (
        "# small\n\n> A site of two pages, to be built in a second.\n\n## Other\n\n"
        "- [Other](_sources/other.md.txt): Words that say what this other page is about.\n"
    )


def test_a_formula_that_is_none_is_a_warning(tmp_path: Path) -> None:
    _, n_warnings = build(tmp_path, r"\nosuchcommand")
    assert n_warnings == 1
