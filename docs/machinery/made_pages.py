"""Pages that are made of what exists elsewhere: results, changes, how to contribute, benchmarks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import report
from benchmarks.experiments import EXPERIMENTS
from benchmarks.reporting import results
from docs.machinery import landing_figure

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
COPIES = {  # files that stand elsewhere in the repository, for those who read them there
    "CHANGES.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "benchmarks/README.md": "results/benchmarks.md",
}
_INDEX = """\
# Results

Every method around the same net, on the same rows; wins and losses alike. Each page is made of the
files in `benchmarks/results/` when this site is built, and says by which command its experiment is
run. What is common to all, the methods and the rules, is said in
[Benchmarks](benchmarks.md).

| experiment | what is asked |
|---|---|
{rows}

```{{toctree}}
:hidden:

benchmarks
{names}
```
"""


def results_pages(folder: Path = results.FOLDER, pages: Path = report.PAGES) -> None:
    """Write a page for each experiment that has results, and their index."""
    written = report.report(folder, pages)
    rows = [f"| [{EXPERIMENTS[n].title}]({n}.md) | {EXPERIMENTS[n].about} |" for n in written]
    text = _INDEX.format(rows="\n".join(rows), names="\n".join(written))
    (pages / "index.md").write_text(text, encoding="utf-8")


def copied(name: str) -> str:
    """Text of a file of the repository, whose links lead to pages, or are words alone."""
    page = Path(COPIES[name])

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found["words"], found["target"], found["anchor"] or ""
        path = ((ROOT / name).parent / target).resolve().relative_to(ROOT).as_posix()
        path = COPIES.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        if not path:
            return words
        up = "../" * (len(page.parts) - 1)
        return f"[{words}]({up}{path}{anchor})"

    text = (ROOT / name).read_text(encoding="utf-8")
    links = r"\[(?P<words>[^\]]+)\]\((?!http|#)(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)"
    return re.sub(links, link, text)


def _make(app: Sphinx) -> None:
    results_pages()
    landing_figure.draw(DOCS / "_static" / "landing.png")
    for name, page in COPIES.items():
        (DOCS / page).write_text(copied(name), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the pages before any is read."""
    app.connect("builder-inited", _make, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
