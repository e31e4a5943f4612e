"""The command `benchmarks.report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.experiments import EXPERIMENTS
from benchmarks.reporting import figures
from tests.benchmarks.made_up import made_up, small_results, write


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_has_a_section_and_figures(name: str, tmp_path: Path) -> None:
    write(tmp_path, name, made_up(name))
    readme = tmp_path / "README.md"
    readme.write_text(
        f"# Words\n\n<!-- results {name} cpu -->\nSTALE\n<!-- end -->\n\nMore words.\n"
    )
    command = [
        "--results",
        str(tmp_path),
        "--readme",
        str(readme),
        "--figures",
        str(tmp_path / "f"),
    ]
    assert report.main(command) == 0
    text = readme.read_text()
    assert text.startswith("# Words\n\n<!-- results")
    assert text.endswith("<!-- end -->\n\nMore words.\n")
    assert "STALE" not in text
    assert "| l2rw" in text
    assert EXPERIMENTS[name].presets["cpu"].about in text
    drawn = list((tmp_path / "f").iterdir())
    assert len(drawn) == len(figures.DRAWINGS[name])
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert f"(figures/{path.name})" in text
    assert report.main(command) == 0
    assert readme.read_text() == text, "a second report changes nothing"


def test_an_ablation_is_a_table_alone(tmp_path: Path) -> None:
    write(tmp_path, "noise-mnist", made_up("noise-mnist", "ablation"), "ablation")
    readme = tmp_path / "README.md"
    assert report.report(tmp_path, readme, tmp_path / "f") == ["noise-mnist ablation"]
    text = readme.read_text()
    assert "| l2rw_composed_averaged |" in text
    assert "--preset ablation" in text
    assert "<summary>rise of the error from its least one" in text
    assert not (tmp_path / "f").exists()


def test_the_section_says_what_made_it_and_what_failed() -> None:
    text = report.section(small_results(), [])
    assert "torch 2." in text
    assert "1,000 steps" in text or "steps" in text
    assert "*l2rw, paper* | 1.28 | 3.62 |" in text
    assert "| smote, 99.5% | 1 | ValueError: no neighbours |" in text


def test_a_section_that_is_not_there_is_added() -> None:
    text = report.put("# Words\n", "scaling cpu", r"back\slash")
    assert text == (
        "# Words\n\n## scaling cpu\n\n<!-- results scaling cpu -->\n\nback\\slash\n\n<!-- end -->\n"
    )


def test_one_section_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "scaling", made_up("scaling"))
    assert report.main(["--print", "scaling", "--results", str(tmp_path)]) == 0
    assert "| l2rw | **1.10 ± 0.06** |" in capsys.readouterr().out
    assert report.main(["--print", "clean-size", "--results", str(tmp_path)]) == 2
    assert "Run the experiment first" in capsys.readouterr().err
