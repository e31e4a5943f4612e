"""The command `benchmarks.stability`, on few steps."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import stability


@pytest.fixture
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    few = {
        net: replace(training, n_steps=4, n_steps_ours=4)
        for net, training in stability.TRAINING.items()
    }
    monkeypatch.setattr(stability, "TRAINING", few)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_the_problems_are_those_that_are_described() -> None:
    rates = {"noise": 0.4, "both": 0.3, "imbalance": 0.0}
    for name in stability.PROBLEMS:
        task = stability.split(name, 0)
        assert np.mean(task.y != task.y_true) == pytest.approx(rates[name])
        assert set(np.bincount(task.y_clean).tolist()) == {10}
        assert task.n_classes == (10 if name == "noise" else 2)


@pytest.mark.usefixtures("_few_steps")
@pytest.mark.parametrize("update", stability.UPDATES)
def test_each_update_trains(update: str) -> None:
    assert 0 <= stability.run("mlp", "imbalance", update, 0.01, 0) < 100


def test_a_loss_that_is_not_finite_is_an_error_of_100(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("not finite")

    monkeypatch.setattr(stability, "fit_on", fails)
    assert stability.run("mlp", "imbalance", "bare", 10.0, 0) == 100


def test_what_is_there_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "stability.jsonl"
    row = {"net": "lenet", "problem": "both", "update": "bare", "lr": 0.03, "seed": 0, "error": 7.0}
    path.write_text(json.dumps(row) + "\n")
    monkeypatch.setattr(stability, "RESULTS", path)
    monkeypatch.setattr(stability, "run", lambda *_: 3.0)
    monkeypatch.setattr(sys, "argv", ["stability", "--net", "lenet", "--seeds", "1"])
    stability.main()
    assert len(path.read_text().splitlines()) == 3 * 3 * 3  # problems, updates, rates
    assert "| bare | 3.0 | 7.0 | 3.0 |" in capsys.readouterr().out
