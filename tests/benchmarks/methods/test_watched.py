"""Errors during a fit: seen, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import nn
from torch.optim.swa_utils import AveragedModel

from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.preset import Job
from benchmarks.experiments.training_run import train
from benchmarks.methods import fit
from benchmarks.methods.options import Averaged
from benchmarks.methods.watched import KEY, N_LOOKS, Watched, rise
from tests.small_benchmarks import TINY, tiny_preset, tiny_setting, tiny_task

LONG = replace(TINY, n_steps=240, n_steps_ours=240)
TASK = tiny_task()


def errors(net: Any) -> list[float]:
    return [row[KEY] for row in net.history if KEY in row]


@pytest.mark.parametrize(
    "name", ["unweighted", "l2rw", "l2rw_composed_averaged", "fine_tuned_slowly", "glc"]
)
def test_looking_changes_nothing(name: str) -> None:
    setting = tiny_setting(TASK, LONG)
    net = fit(name, replace(setting, watched=True))
    expected = fit(name, setting).predict_proba(TASK.X_test)
    np.testing.assert_array_equal(net.predict_proba(TASK.X_test), expected)
    assert N_LOOKS // 2 <= len(errors(net)) <= N_LOOKS


@pytest.mark.parametrize("name", ["unweighted", "unweighted_averaged", "l2rw_averaged"])
def test_the_last_error_is_that_of_the_net(name: str) -> None:
    training = replace(LONG, n_steps=160, n_steps_ours=160)  # a look at each epoch
    net = fit(name, replace(tiny_setting(TASK, training), watched=True))
    wrong = 100 * float(np.mean(net.predict(TASK.X_test) != TASK.y_test))
    assert errors(net)[-1] == pytest.approx(wrong)
    assert len(errors(net)) == 20
    assert rise(net, TASK.X_test, TASK.y_test) == pytest.approx(wrong - min(errors(net)))


def test_the_mean_is_looked_at_once_there_is_one() -> None:
    X = np.eye(2, dtype=np.float32)[[0, 1, 1, 1]]
    watched, averaged = Watched(X, np.array([0, 1, 1, 0]), 1), Averaged()
    averaged.mean_ = AveragedModel(nn.Identity())
    callbacks = [("averaged", averaged), ("watched", watched)]
    net = SimpleNamespace(module_=nn.Softmin(1), callbacks_=callbacks, device="cpu")
    assert watched.error(net) == 25, "of the mean; the net itself is always wrong but once"
    averaged.mean_ = None
    assert watched.error(net) == 75
    net.callbacks_ = callbacks[1:]
    assert watched.error(net) == 75


def test_the_first_stage_counts() -> None:
    net = fit("l2rw_fine_tuned_slowly", replace(tiny_setting(TASK, LONG), watched=True))
    wrong = 100 * float(np.mean(net.predict(TASK.X_test) != TASK.y_test))
    net.first_.history.record(KEY, -1.0)
    assert errors(net)
    assert rise(net, TASK.X_test, TASK.y_test) == pytest.approx(wrong + 1)


def test_a_watched_preset_has_the_measure() -> None:
    preset = tiny_preset(EXPERIMENTS["noise-mnist"].presets["ablation"])
    assert preset.watched
    job = Job("noise-mnist", "ablation", "unweighted", {}, 0, 0.1)
    assert train(TASK, preset, job)["measures"]["rise"] >= 0
    assert "rise" not in train(TASK, replace(preset, watched=False), job)["measures"]
    assert replace(preset, watched=False).digest() == preset.digest()
