"""Real tables with a rare class, in repeated stratified cross-validation."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import RepeatedStratifiedKFold

from benchmarks.data.loaders import load
from benchmarks.data.task import Task, make_task, split_clean
from benchmarks.experiments.preset import Job, Point, Preset, Row
from benchmarks.experiments.training_run import train

N_FOLDS = 5
MOST_CLEAN = 40


def task(preset: Preset, point: Point, seed: int, data_home: str | None) -> Task:
    """Make the task of a fold; ``seed`` counts the folds, five to a repetition.

    The clean set is split off the training rows of the fold: a fifth of the rare class, at most
    20 rows, and as many of the other.
    """
    source = load(point["data"], data_home)
    repetition, fold = divmod(seed, N_FOLDS)
    folds = RepeatedStratifiedKFold(n_splits=N_FOLDS, n_repeats=repetition + 1, random_state=0)
    splits = list(folds.split(source.X, source.y))
    train_rows, test = splits[repetition * N_FOLDS + fold]
    y = source.y[train_rows]
    n_clean = min(MOST_CLEAN, 2 * (int(np.bincount(y).min()) // 5))
    rest, clean = split_clean(y, n_clean, 2, np.random.RandomState(seed))
    y_rest = y[rest]
    rows = train_rows[rest], train_rows[clean], test
    return make_task(source, y_rest, y_rest, rows, y[clean], source.y[test])


def run(preset: Preset, job: Job) -> Row:
    """Train one arm on one fold."""
    return train(task(preset, job.point, job.seed, job.data_home), preset, job)


def tuned_at(preset: Preset, point: Point, seed: int) -> tuple[Point, int]:
    """Choose the learning rate inside the training rows of the fold itself."""
    return point, seed
