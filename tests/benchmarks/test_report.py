"""The command `benchmarks.report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.experiments import EXPERIMENTS
from benchmarks.reporting import figures
from tests.benchmarks.made_up import made_up, small_results, write


@pytest.mark.parametrize(
    "name",
    [n if n == "noise-mnist" else pytest.param(n, marks=pytest.mark.slow) for n in EXPERIMENTS],
)
def test_each_experiment_has_a_page_and_figures(name: str, tmp_path: Path) -> None:
    write(tmp_path, name, made_up(name))
    pages = tmp_path / "pages"
    command = ["--results", str(tmp_path), "--pages", str(pages)]
    assert report.main(command) == 0
    text = (pages / f"{name}.md").read_text()
    assert text.startswith(f"# {EXPERIMENTS[name].title}\n\n{EXPERIMENTS[name].about}\n\n## ")
    assert "| l2rw" in text
    assert EXPERIMENTS[name].presets["cpu"].about in text
    drawn = list(pages.glob("*.png"))
    assert len(drawn) == len(figures.DRAWINGS[name])
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert f"]({path.name})" in text
    assert {path.name for path in pages.glob("*.md")} == {f"{name}.md"}
    assert report.main(command) == 0
    assert (pages / f"{name}.md").read_text() == text, "a second report changes nothing"


def test_presets_are_sections_and_an_ablation_is_a_table_alone(tmp_path: Path) -> None:
    for preset in ("cpu", "ablation"):
        write(tmp_path, "noise-mnist", made_up("noise-mnist", preset), preset)
    pages = tmp_path / "pages"
    assert report.report(tmp_path, pages) == ["noise-mnist"]
    text = (pages / "noise-mnist.md").read_text()
    first, second = text.split("## Preset `ablation`")
    assert "## Preset `cpu`" in first
    assert "| l2rw_composed_averaged |" in second
    assert "--preset ablation" in second
    assert "<summary>rise of the error from its least one" in second
    assert {path.name for path in pages.glob("*.png")} == {"noise-mnist-cpu.png"}


def test_the_section_says_what_made_it_and_what_failed() -> None:
    text = report.section(small_results(), [])
    assert "torch 2." in text
    assert "1,000 steps" in text or "steps" in text
    assert "*l2rw, paper* | 1.28 | 3.62 |" in text
    assert "| smote, 99.5% | 1 | ValueError: no neighbours |" in text


def test_one_section_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "scaling", made_up("scaling"))
    assert report.main(["--print", "scaling", "--results", str(tmp_path)]) == 0
    assert "| l2rw | **1.10 ± 0.06** |" in capsys.readouterr().out
    assert report.main(["--print", "clean-size", "--results", str(tmp_path)]) == 2
    assert "Run the experiment first" in capsys.readouterr().err
