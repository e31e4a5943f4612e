"""Runs that most experiments share: choose a learning rate, train, measure."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from benchmarks.data.task import Task, held_out
from benchmarks.experiments.measures import held_out_score, measured, score
from benchmarks.experiments.preset import Experiment, Job, Preset, Row
from benchmarks.methods import fit
from benchmarks.methods.setting import Setting
from benchmarks.methods.watched import rise

HELD_OUT = 0.25  # share of the training data that learning rates are chosen on
LADDER = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)  # where grids go on beyond an edge
FAILURES = (ValueError, RuntimeError)  # what an arm may end in; recorded as its result

Scores = Mapping[str, Sequence[float]]


@contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings of the arms' packages, which thousands of runs would repeat."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def choose_lr(experiment: Experiment, preset: Preset, job: Job, known: Scores) -> Row:
    """Learning rate with the best `held_out_score`; test data are not looked at.

    ``known`` scores, by learning rate, are not computed again. Where the best rate is the largest
    or the least that was tried, the next one is tried too.
    """
    assert experiment.task is not None
    whole = experiment.task(preset, job.point, job.seed, job.data_home)
    task = held_out(whole, HELD_OUT, job.seed)
    scores = {lr: tuple(score) for lr, score in known.items()}
    to_try = [lr for lr in preset.training.lrs if str(lr) not in scores]
    while to_try := to_try or next_lr(scores):
        setting = Setting(task, preset.training, to_try.pop(0), job.seed, job.device)
        scores[str(setting.lr)] = _held_out(job.arm, setting)
    return {"lr": float(min(scores, key=lambda lr: scores[lr])), "held_out": scores}


def next_lr(scores: Scores) -> list[float]:
    """Learning rate to be tried next, if the best one is at an edge of those that were."""
    best = float(min(scores, key=lambda lr: tuple(scores[lr])))
    tried = [float(lr) for lr in scores]
    smaller = [lr for lr in LADDER if lr < min(tried)]
    larger = [lr for lr in LADDER if lr > max(tried)]
    return (smaller[-1:] if best == min(tried) else []) or (
        larger[:1] if best == max(tried) else []
    )


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
    setting = Setting(task, preset.training, lr, job.seed, job.device, watched=preset.watched)
    try:
        with quiet(), measured(job.device) as cost:
            estimator = fit(job.arm, setting)
        proba, predicted = estimator.predict_proba(task.X_test), estimator.predict(task.X_test)
        found = score(task.y_test, proba, predicted)
        if preset.watched:
            found["rise"] = rise(estimator, task.X_test, task.y_test)
    except FAILURES as error:
        return {"lr": job.lr, "failed": f"{type(error).__name__}: {error}"[:300]}
    return {"lr": job.lr, "measures": {**found, **cost.measures()}}
