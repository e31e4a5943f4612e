"""The code of a page, to be run as a reader would: from top to bottom, in one namespace."""

from __future__ import annotations

import ast
import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from math import isclose
from pathlib import Path

DOCS = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (*DOCS.glob("*.md"), *DOCS.glob("guide/*.md"), *DOCS.glob("project/*.md"))
    if path.name not in {"changes.md", "contributing.md"}  # which are copies
)
_OUTPUT = re.compile(r"\s*^```text\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(
    r"(?:^<!-- *(?P<mark>[^>]*?) *-->\n+)?^(?P<fence>`{3,}|:{3,}) *(?P<head>[^\n`]*)\n"
    r"(?P<text>.*?)^(?P=fence) *$",
    re.DOTALL | re.MULTILINE,
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
NOT_RUN = "not run: "


@dataclass(frozen=True)
class Block:
    """Code, the line that it starts at, why it is not run if it is not, and what it prints."""

    code: str
    line: int
    not_run: str | None = None
    output: str | None = None


def blocks(text: str) -> list[Block]:
    """Find the Python blocks of a page; ``<!-- not run: reason -->`` may stand before one.

    What stands between fences of ``text`` right after a block is what it prints.
    """
    found = []
    for match in _BLOCK.finditer(text):
        if match["head"].split() != ["python"]:
            continue
        mark = match["mark"] or ""
        reason = mark.removeprefix(NOT_RUN) if mark.startswith(NOT_RUN) else None
        line = text.count("\n", 0, match.start("text")) + 1
        output = _OUTPUT.match(text, match.end())
        found.append(Block(match["text"], line, reason, output and output["text"]))
    return found


def packages(found: list[Block]) -> set[str]:
    """Top names of what the blocks import, but for the standard library."""
    names: set[str] = set()
    for block in found:
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names)


def run(path: Path) -> list[tuple[Block, str]]:
    """Run the blocks of a page, whose tracebacks name its lines; returns what each printed."""
    names: dict[str, object] = {"__name__": "__main__"}
    printed = []
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.not_run is None:
            code = "\n" * (block.line - 1) + block.code
            with redirect_stdout(StringIO()) as out:
                exec(compile(code, str(path), "exec"), names)
            printed.append((block, out.getvalue()))
    return printed


def same_but_for_rounding(said: str, printed: str) -> bool:
    """Whether words are the same, and numbers near: other machines round otherwise."""
    if _NUMBER.sub("#", said).split() != _NUMBER.sub("#", printed).split():
        return False
    pairs = zip(_NUMBER.findall(said), _NUMBER.findall(printed), strict=True)
    return all(isclose(float(a), float(b), rel_tol=0.1, abs_tol=0.05) for a, b in pairs)
