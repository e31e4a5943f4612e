"""The check of links, on small sites."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.machinery import within_reach


def site(folder: Path, **pages: str) -> Path:
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text)
    return folder


def test_a_site_whose_links_lead_somewhere(tmp_path: Path) -> None:
    site(
        tmp_path,
        index='<a href="a.html#x">a</a><a href="https://example.org/none">out</a>',
        a='<p id="x"></p><a href="b.html">b</a><a href="#x">here</a><img src="a.html">',
        b="words",
        genindex="words",
    )
    assert within_reach.main([str(tmp_path)]) == 0


def test_what_is_wrong_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site(
        tmp_path,
        index='<a href="a.html#y">a</a>',
        a='<a href="b.html">b</a><img src="c.png">',
        b='<a href="d.html">d</a>',
        d="words",
    )
    assert within_reach.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "leads nowhere: a.html: c.png",
        "leads nowhere: index.html: a.html#y",
        "over 2 clicks away: d.html",
        "4 pages, 3 problems",
    ]


def test_a_site_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert within_reach.main([str(tmp_path)]) == 2
    assert "Run `make docs` first" in capsys.readouterr().err
