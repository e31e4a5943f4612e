"""Pages that are made of what stands elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.machinery import landing_figure
from docs.machinery.made_pages import COPIES, DOCS, copied, results_pages
from tests.benchmarks.made_up import made_up, write


@pytest.mark.parametrize("name", COPIES)
def test_links_of_copies_lead_to_pages(name: str) -> None:
    text = copied(name)
    page = DOCS / COPIES[name]
    links = re.findall(r"\]\((?!http|#)([^)#\s]+)", text)
    made = {(DOCS / path).resolve() for path in COPIES.values()}
    for link in links:
        path = (page.parent / link).resolve()
        assert path.exists() or path in made, link
    assert text.startswith("# ")


def test_a_link_to_what_is_no_page_becomes_its_words() -> None:
    text = copied("CONTRIBUTING.md")
    assert "[CHANGES.md](../project/changes.md)" in text


def test_results_have_an_index(tmp_path: Path) -> None:
    write(tmp_path, "scaling", made_up("scaling"))
    results_pages(tmp_path, tmp_path / "pages")
    index = (tmp_path / "pages" / "index.md").read_text()
    assert "| [Time and memory by number of rows](scaling.md) |" in index
    assert "\nbenchmarks\nscaling\n```" in index
    assert (tmp_path / "pages" / "scaling.md").exists()


def test_the_picture_is_of_the_results(tmp_path: Path) -> None:
    landing_figure.draw(tmp_path / "landing.png")
    assert (tmp_path / "landing.png").read_bytes().startswith(b"\x89PNG")
