"""``llms.txt``: the pages by section, in plain words, for whoever reads no HTML."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

LEAST = 40  # characters of a paragraph that says what a page is about


def _about(tree: nodes.document) -> str:
    """The first paragraph of a page that says something, on one line."""
    for paragraph in tree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        inside = isinstance(paragraph.parent, (nodes.entry, nodes.Admonition))
        if len(text) >= LEAST and not inside:
            return text if len(text) <= 200 else text[:200].rsplit(" ", 1)[0] + " ..."
    return ""


def text_of(env: BuildEnvironment) -> str:
    """Write the index of all pages, sections being the pages that the landing page lists."""
    root = env.config.root_doc
    landing = env.get_doctree(root)
    lines = [f"# {env.config.project}", "", f"> {_about(landing)}"]
    for section in env.toctree_includes[root]:
        lines += ["", f"## {env.titles[section].astext()}", ""]
        for page in (section, *env.toctree_includes.get(section, ())):
            about = _about(env.get_doctree(page))
            link = f"- [{env.titles[page].astext()}]({_path(env, page)})"
            lines.append(f"{link}: {about}" if about else link)
    return "\n".join(lines) + "\n"


def _path(env: BuildEnvironment, page: str) -> str:
    """What was written, where that was Markdown; what else there is can be read as HTML alone."""
    if Path(env.doc2path(page)).suffix == ".md":
        return f"_sources/{page}.md{env.config.html_sourcelink_suffix}"
    return f"{page}.html"


def _write(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        (Path(app.outdir) / "llms.txt").write_text(text_of(app.env), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the file when all pages are."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
