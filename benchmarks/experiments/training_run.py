"""Runs that most experiments share: choose a learning rate, train, measure."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.data.task import Task, held_out
from benchmarks.experiments.preset import Experiment, Job, Preset, Row
from benchmarks.measures import held_out_score, measured, score
from benchmarks.methods import fit
from benchmarks.methods.setting import Setting

HELD_OUT = 0.25  # share of the training data that learning rates are chosen on
FAILURES = (ValueError, RuntimeError)  # what an arm may end in; recorded as its result


@contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings of the arms' packages, which thousands of runs would repeat."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def choose_lr(experiment: Experiment, preset: Preset, job: Job) -> Row:
    """Learning rate with the best `held_out_score`; test data are not looked at."""
    assert experiment.task is not None
    whole = experiment.task(preset, job.point, job.seed, job.data_home)
    task = held_out(whole, HELD_OUT, job.seed)
    scores: dict[str, tuple[float, float]] = {}
    for lr in preset.training.lrs:
        setting = Setting(task, preset.training, lr, job.seed, job.device)
        scores[str(lr)] = _held_out(job.arm, setting)
    best = min(scores, key=lambda lr: scores[lr])
    return {"lr": float(best), "held_out": scores}


def _held_out(arm: str, setting: Setting) -> tuple[float, float]:
    try:
        with quiet():
            estimator = fit(arm, setting)
            proba = estimator.predict_proba(setting.task.X_test)
            predicted = estimator.predict(setting.task.X_test)
    except FAILURES:  # a loss that is not finite, say
        return 100.0, float("inf")
    return held_out_score(setting.task.y_test, np.nan_to_num(proba), predicted)


def train(task: Task, preset: Preset, job: Job) -> Row:
    """Fit an arm, and measure it on the test set."""
    lr = preset.training.lrs[0] if job.lr is None else job.lr
    setting = Setting(task, preset.training, lr, job.seed, job.device)
    try:
        with quiet(), measured(job.device) as cost:
            estimator = fit(job.arm, setting)
        proba, predicted = estimator.predict_proba(task.X_test), estimator.predict(task.X_test)
        found = score(task.y_test, proba, predicted)
    except FAILURES as error:
        return {"lr": job.lr, "failed": f"{type(error).__name__}: {error}"[:300]}
    return {"lr": job.lr, "measures": {**found, **cost.measures()}}
