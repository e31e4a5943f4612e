"""The demo's own code, on few steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import demo
from benchmarks.methods import ARMS
from benchmarks.reporting.demo_figure import draw

LAST = "imbalance and noise"


@pytest.fixture
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(demo, "TRAINING", replace(demo.TRAINING, n_steps=2, n_steps_ours=2))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_the_problems_are_those_that_are_described() -> None:
    for problem, n_fours, n_wrong in (("imbalance", 8, 0), (LAST, 30, 99)):
        task = demo.split(problem, 0)
        assert np.bincount(task.y_true).tolist() == [n_fours, 300]  # 4 is coded 0, 9 is coded 1
        assert np.sum(task.y != task.y_true) == n_wrong
        assert set(np.bincount(task.y_clean).tolist()) == {5 if problem == "imbalance" else 10}
        assert len(set(np.bincount(task.y_test).tolist())) == 1


@pytest.mark.usefixtures("_few_steps")
@pytest.mark.parametrize("arm", demo.ARMS)
def test_each_arm_trains_and_predicts(arm: str) -> None:
    row = demo.run(LAST, arm, 0.01, 0)
    assert 0 <= row["error"] <= 100
    assert ("weights" in row) == (arm == demo.OURS)


@pytest.mark.usefixtures("_few_steps")
def test_learned_weights_are_those_of_the_training_rows() -> None:
    weights = np.array(demo.run(LAST, demo.OURS, 0.01, 0)["weights"])
    assert weights.shape == (330,)
    assert (weights >= 0).all()
    assert 0.5 < weights.mean() < 1.5  # 1 but for batches without a weight, and unequal batches


def test_table_and_figure(tmp_path: Path) -> None:
    task = demo.split(LAST, 0)
    rows = [
        {"problem": problem, "arm": arm, "seed": seed, "error": error, "time": 1.25}
        for problem in demo.PROBLEMS
        for arm in demo.ARMS
        for seed, error in enumerate((1.0, 3.0))
    ]
    for row in rows:
        row["weights"] = np.linspace(0, 3, len(task.y)).tolist()
    lines = demo.table(rows).splitlines()
    assert len(lines) == 2 + len(demo.ARMS)
    assert lines[-1] == f"| {demo.OURS} | 2.0 ± 1.0 | 1.2 | 2.0 ± 1.0 | 1.2 |"
    path = tmp_path / "figure.png"
    draw(rows, task, str(path))
    assert path.stat().st_size > 10_000


def test_tuning_does_not_see_the_splits_of_the_table() -> None:
    assert not set(demo.TUNING_SEEDS) & set(range(100))
    assert set(demo.ARMS) <= set(ARMS)
    assert set(demo.CHOICE) == set(demo.PROBLEMS)
    for choice in demo.CHOICE.values():
        assert tuple(choice) == demo.ARMS
        assert set(choice.values()) <= set(demo.TRAINING.lrs)
