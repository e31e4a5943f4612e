"""The command `benchmarks.bench_step`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import bench_step
from benchmarks.step import fits
from benchmarks.step.cases import CASES
from tests.benchmarks.step.small import TINY


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CASES, "lenet-100-10", TINY)
    monkeypatch.setattr(bench_step, "time_fits", partial(_small_fits, fits.time_fits))
    monkeypatch.setattr(bench_step, "time_partial_fits", _no_partial_fits)
    monkeypatch.setitem(sys.modules, "higher", None)
    output = tmp_path / "new" / "results.json"
    threads = torch.get_num_threads()
    arguments = ["--nets", "lenet-100-10", "fits", "--arms", "ours", "literal", "higher"]
    arguments += ["--rounds", "1", "--threads", str(threads), "--output", str(output)]
    assert bench_step.main(arguments) == 0
    results = json.loads(output.read_text())
    assert list(results["steps"]) == ["lenet-100-10"]
    assert list(results["steps"]["lenet-100-10"]) == ["plain", "ours", "literal"]
    assert list(results["skipped"]["lenet-100-10"]) == ["higher"]
    assert list(results["fits"]) == [
        "skorch",
        "ours",
        "ours, weights not recorded",
        "loop",
        "loop + example_weights",
    ]
    assert results["fits"]["skorch"]["ratio"] == 1
    assert results["versions"]["torch"] == torch.__version__
    assert results["threads"] == threads
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", results["date"])
    assert results["cores"] >= 1
    printed = capsys.readouterr().out
    assert "left out: higher: " in printed
    assert "| net | plain, ms | ours | literal |" in printed
    assert "| net | plain, MB | ours | literal |" in printed
    assert "| fit | seconds | over skorch |" in printed
    assert "not measured: step, LeNet 100/100" in printed
    assert "| ours | 3 | 3.00 |" in printed
    assert "missed: partial_fit of 100 rows, MLP, ours over skorch: 3.00 (to reach: 2.0)" in printed
    assert "not measured: partial_fit of 100 rows, MLP with BatchNorm" in printed


def _small_fits(time_fits: Callable[..., Any], n: int, epochs: int, **rest: Any) -> Any:
    assert (n, epochs) == (10_000, 5)
    return time_fits(256, epochs=1, **rest)


def _no_partial_fits(n: int, rounds: int, device: str) -> dict[str, Any]:
    assert (n, rounds) == (100, 10)
    times = {"skorch": {"seconds": 1.0, "ratio": 1.0}, "ours": {"seconds": 3.0, "ratio": 3.0}}
    return {"MLP": times}


def test_a_missed_figure_can_fail_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missed = [{"what": "a", "value": 2.0, "now": 1.0, "status": "missed", "by": 1.0}]
    monkeypatch.setattr(bench_step, "verdicts", lambda results: missed)
    monkeypatch.setitem(CASES, "lenet-100-10", TINY)
    arguments = ["--nets", "lenet-100-10", "--arms", "plain", "--rounds", "1"]
    arguments += ["--threads", str(torch.get_num_threads()), "--output", str(tmp_path / "a.json")]
    assert bench_step.main(arguments) == 0
    assert bench_step.main([*arguments, "--check"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nets", "lenett"], "invalid choice: 'lenett' .*lenet-100-10.*fits"),
        (["--arms", "hihger"], "invalid choice: 'hihger' .*plain.*betty"),
        (["--device", "tpu"], "invalid choice: 'tpu' .*cpu.*cuda"),
        (["--rounds", "0"], "Got --rounds 0, but expected a positive number"),
        (["--threads", "0"], "Got --threads 0, but expected a positive number"),
    ],
)
def test_unknown_names_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        bench_step.main(arguments)
    assert refusal.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_step.main(["--device", "cuda"])
    assert "torch finds no CUDA device" in capsys.readouterr().err
