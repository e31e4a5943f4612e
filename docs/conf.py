"""The site: ``make docs``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # benchmarks and docs are no part of the installed package

import sklearn_l2rw  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "sklearn_l2rw"
author = "sklearn_l2rw developers"
version = release = sklearn_l2rw.__version__
html_title = f"sklearn_l2rw {version}"

extensions = [
    "docs.machinery.made_pages",  # before all that read the pages that it makes
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "docs.machinery.api",
    "docs.machinery.mathml",
    "docs.machinery.llms",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "_templates", "machinery", "**/README.md"]
templates_path = ["_templates"]

# Names that are referred to are there. Those of other packages are not looked up: that would need
# the network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!sklearn_l2rw).*")]

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say it, in fewer words
toc_object_entries_show_parents = "hide"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the template shows what users call
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",  # scripts that are read, with no cells
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "min_reported_time": 1e9,  # times are those of the machine that built the site
    "write_computation_times": False,
    "show_signature": False,
    "remove_config_comments": True,
    "matplotlib_animations": False,
    "parallel": int(os.environ.get("DOCS_JOBS", "1")),
    # DOCS_GALLERY=quick shows the examples without running them
    "plot_gallery": os.environ.get("DOCS_GALLERY", "full") != "quick",
}

html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
}
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "project/*": ["sidebar-nav-bs"]}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_sourcelink = False
copyright = author  # noqa: A001 (that is what Sphinx reads)


def _keep_together(app: Sphinx, page: str, text: list[str]) -> None:
    """Break no line between a mean and its error."""
    text[0] = text[0].replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", _keep_together)
