"""What pages show runs, prints what they say, and the figures that they quote were measured."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from benchmarks.experiments import EXPERIMENTS
from docs.machinery.blocks import PAGES, Block, blocks, packages, run, same_but_for_rounding
from docs.machinery.quoted import strangers
from tests.display_cases import no_windows

ROOT = Path(__file__).parents[2]
TEXTS = {
    path.relative_to(ROOT / "docs").as_posix(): path.read_text(encoding="utf-8") for path in PAGES
}
OTHERS = [
    path.read_text(encoding="utf-8")
    for path in (ROOT / "tests").rglob("test_*.py")
    if path.parent.name != "docs"
]
# Pages that need names which they do not show have tests of their own, which name the page.
WITH_OWN_TEST = {
    name for name in TEXTS for test in OTHERS if f'"{name}"' in test and "```python" in test
}
WITH_CODE = [name for name, text in TEXTS.items() if blocks(text) and name not in WITH_OWN_TEST]


@pytest.fixture
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, which pages may write to, and with nothing to look at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)  # Agg would warn that it cannot
    with no_windows():
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("_somewhere_else")
@pytest.mark.parametrize("name", WITH_CODE)
def test_code_runs_and_prints_what_the_page_says(name: str) -> None:
    for package in packages(blocks(TEXTS[name])):
        pytest.importorskip(package)
    for block, printed in run(ROOT / "docs" / name):
        if block.output is not None:
            assert same_but_for_rounding(block.output, printed), (block.line, printed)


def test_there_are_pages_with_code() -> None:
    assert set(WITH_CODE) >= {"index.md", "guide/install.md"}
    assert {"your_net.md", "several_processes.md"} <= WITH_OWN_TEST
    assert len(TEXTS) > 20


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_not_run_has_a_reason(name: str) -> None:
    reasons = [block.not_run for block in blocks(TEXTS[name]) if block.not_run is not None]
    assert all(reasons)
    assert TEXTS[name].count("<!-- not run") == len(reasons), "a mark without a block after it"


@pytest.mark.parametrize("name", TEXTS)
def test_quoted_figures_are_those_of_the_results(name: str) -> None:
    assert strangers(TEXTS[name]) == []


@pytest.mark.parametrize("name", TEXTS)
def test_commands_are_there(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`{1,3}\n?make ([a-z-]+)", TEXTS[name]))
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    modules = re.findall(r"python -m ((?:benchmarks|docs)[\w.]*)", TEXTS[name])
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []
    for run_of, preset in re.findall(
        r"benchmarks\.run ([a-z-]+)[^`]*? --preset (\w+)", TEXTS[name]
    ):
        assert preset in EXPERIMENTS[run_of].presets, (run_of, preset)


# The checks themselves


PAGE = """\
```python
a = 2
print(a, "words")
```

```text
2.01 words
```

<!-- not run: it would take a day -->
```python
a = later
```

```bash
make docs
```

```python
print(a + 1)
```
"""


def test_blocks_of_a_page(tmp_path: Path) -> None:
    first, second, third = blocks(PAGE)
    assert first == Block('a = 2\nprint(a, "words")\n', 2, None, "2.01 words\n")
    assert (second.not_run, second.output) == ("it would take a day", None)
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    assert run(path) == [(first, "2 words\n"), (third, "3\n")]
    assert packages(blocks("```python\nimport re, torch.nn\nfrom numpy import x\n```\n")) == {
        "torch", "numpy",
    }  # fmt: skip


def test_a_traceback_names_the_line_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# Title\n\n```python\n\nnot_there\n```\n")
    with pytest.raises(NameError) as caught:
        run(path)
    assert caught.traceback[-1].lineno == 5 - 1


@pytest.mark.parametrize(
    ("said", "printed", "same"),
    [
        ("93% right", "92% right\n", True),
        ("93% right", "64% right", False),
        ("93% right", "93% wrong", False),
        ("[1 2]", "[1]", False),
        ("a  0.01", "a 0.03", True),
    ],
)
def test_numbers_may_be_rounded_and_words_may_not_differ(
    said: str, printed: str, same: bool
) -> None:
    assert same_but_for_rounding(said, printed) is same


def test_figures_without_a_file_of_results_name_their_command() -> None:
    text = (
        "<!-- measured by: python -m benchmarks.demo -->\n| 7.4 ± 0.8 |\n| 1.0 ± 0.1 |\n\n2.0 ± 0.1"
    )
    assert strangers(text) == ["2.0 ± 0.1"]


def test_a_figure_that_was_not_measured_is_found() -> None:
    text = "`noise-mnist`: **3.18 ± 0.18**, 3.2 ± 0.2, 3.81 ± 0.18\n```text\n9.99 ± 0.01\n```\n"
    assert strangers(text) == ["3.81 ± 0.18"]
    assert strangers(text.replace("noise-mnist", "scaling")) == [
        "3.18 ± 0.18", "3.2 ± 0.2", "3.81 ± 0.18",
    ]  # fmt: skip
