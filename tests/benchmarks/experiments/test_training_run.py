"""The choice of a learning rate, and a run on the test set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.experiments import EXPERIMENTS, training_run
from benchmarks.experiments.preset import Job
from benchmarks.experiments.training_run import choose_lr, next_lr, train
from tests.small_benchmarks import TINY, tiny_task

NAME = "noise-mnist"


def test_a_learning_rate_that_fails_is_not_chosen() -> None:
    task = tiny_task()
    experiment = replace(EXPERIMENTS[NAME], task=lambda *_: task)
    training = replace(TINY, lrs=(1e30, 0.1), n_steps_ours=60)
    preset = replace(EXPERIMENTS[NAME].presets["quick"], training=training)
    found = choose_lr(experiment, preset, Job(NAME, "quick", "l2rw", {}, 0), {})
    assert found["held_out"]["1e+30"] == (100, np.inf)
    assert found["lr"] < 1


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"0.01": (3, 1), "0.03": (2, 1), "0.1": (4, 1)}, []),
        ({"0.01": (3, 1), "0.03": (2, 1)}, [0.1]),
        ({"0.03": (2, 1), "0.01": (2, 0.5)}, [0.003]),  # by the loss, where errors are equal
        ({"0.01": [2, 1]}, [0.003]),  # as it comes from a file
        ({"0.0001": (1, 1), "0.0003": (2, 1)}, []),  # the end of the ladder
        ({"0.3": (2, 1), "1.0": (1, 1)}, []),
    ],
)
def test_the_next_learning_rate(scores: Any, expected: list[float]) -> None:
    assert next_lr(scores) == expected


def test_a_grid_goes_on_until_the_best_is_within(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = {0.01: 5.0, 0.03: 4.0, 0.1: 3.0, 0.3: 3.5, 1.0: 9.0}
    tried = []

    def held_out(arm: str, setting: Any) -> tuple[float, float]:
        tried.append(setting.lr)
        return losses[setting.lr], 0.0

    monkeypatch.setattr(training_run, "_held_out", held_out)
    experiment = replace(EXPERIMENTS[NAME], task=lambda *_: tiny_task())
    training = replace(TINY, lrs=(0.01, 0.03))
    preset = replace(EXPERIMENTS[NAME].presets["quick"], training=training)
    job = Job(NAME, "quick", "unweighted", {}, 0)
    found = choose_lr(experiment, preset, job, {"0.01": [5.0, 0.0]})
    assert tried == [0.03, 0.1, 0.3]
    assert found["lr"] == 0.1
    assert found["held_out"] == {str(lr): (losses[lr], 0.0) for lr in (0.01, 0.03, 0.1, 0.3)}


def test_train_measures_on_the_test_set() -> None:
    task = tiny_task()
    preset = replace(EXPERIMENTS[NAME].presets["quick"], training=replace(TINY, n_steps=60))
    row = train(task, preset, Job(NAME, "quick", "unweighted", {}, 0, lr=0.1))
    assert row["lr"] == 0.1
    assert row["measures"]["error"] < 30
