"""Links of the site, and how far pages are: ``python -m docs.machinery.within_reach FOLDER``."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

CLICKS = 2  # from the landing page to any other
NO_PAGES = {"genindex.html", "search.html"}


class _Page(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        for name in ("href", "src"):
            if tag != "link" and (link := found.get(name)):
                self.links.append(link)
        if place := found.get("id"):
            self.places.add(place)


def read(folder: Path) -> dict[Path, _Page]:
    """Read all pages of a site."""
    pages = sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts)
    return {path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in pages}


def _targets(path: Path, page: _Page) -> list[tuple[Path, str]]:
    """Files and places that a page links to within the site."""
    found = []
    for link in page.links:
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            found.append((file, unquote(parts.fragment)))
    return found


def broken(pages: dict[Path, _Page]) -> list[str]:
    """Links to files or places that are not there."""
    wrong = []
    for path, page in pages.items():
        for file, place in _targets(path, page):
            missing = place and file in pages and place not in pages[file].places
            if not file.exists() or missing:
                wrong.append(f"{path.name}: {file.name}" + (f"#{place}" if missing else ""))
    return wrong


def far(pages: dict[Path, _Page], start: Path) -> list[str]:
    """Pages that are more clicks away from the landing page than they may be."""
    reached = frontier = {start.resolve()}
    for _ in range(CLICKS):
        frontier = {
            file for path in frontier for file, _ in _targets(path, pages[path]) if file in pages
        }
        reached = reached | frontier
    return sorted({path.name for path in pages.keys() - reached} - NO_PAGES)


def main(arguments: list[str]) -> int:
    """Check a site; returns 1 if something is wrong."""
    (folder,) = map(Path, arguments)
    if not (folder / "index.html").exists():
        print(f"Got no site in {folder}. Run `make docs` first.", file=sys.stderr)
        return 2
    pages = read(folder)
    problems = [f"leads nowhere: {link}" for link in broken(pages)]
    problems += [f"over {CLICKS} clicks away: {name}" for name in far(pages, folder / "index.html")]
    print("\n".join([*problems, f"{len(pages)} pages, {len(problems)} problems"]))
    return int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
