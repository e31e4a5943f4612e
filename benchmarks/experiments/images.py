"""Image experiments: rare classes, wrong labels, or both, on the data set of a preset."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.data.faults import evenly, flip, long_tail, take, two_classes
from benchmarks.data.loaders import load
from benchmarks.data.source import Source
from benchmarks.data.task import Task, balanced, make_task, split_clean
from benchmarks.experiments.preset import Job, Point, Preset, Row
from benchmarks.experiments.training_run import train
from benchmarks.problems import IntArray

TUNING_SEED = 1000  # a draw of the training images of its own; test images are in none


def imbalanced_task(preset: Preset, point: Point, seed: int, data_home: str | None) -> Task:
    """Fours and nines; ``point["majority"]`` is the share of the nines, class 0."""
    source = _recoded(load(preset.data, data_home), {9: 0, 4: 1})
    counts = two_classes(preset.n_train, point["majority"])
    return _draw(source, preset, counts, preset.n_clean, {}, seed)


def noisy_task(preset: Preset, point: Point, seed: int, data_home: str | None) -> Task:
    """All classes; ``noise`` and ``rate`` of the point say which labels are wrong.

    With an imbalance ratio, classes fall in size from class 0 on, which is the background class
    too. The number of clean examples may be the point's.
    """
    source = load(preset.data, data_home)
    n_classes = int(source.y.max()) + 1
    counts = evenly(preset.n_train, n_classes)
    if preset.ratio > 1:
        counts = long_tail(counts[0], n_classes, preset.ratio)
    return _draw(source, preset, counts, point.get("n_clean", preset.n_clean), point, seed)


def _draw(
    source: Source, preset: Preset, counts: list[int], n_clean: int, fault: Point, seed: int
) -> Task:
    """Draw training examples, split the clean ones off, then make labels wrong."""
    rng = np.random.RandomState(seed)
    assert source.n_train is not None
    n_classes = len(counts)
    rows = take(source.y[: source.n_train], counts, rng)
    train_, clean = (rows[part] for part in split_clean(source.y[rows], n_clean, n_classes, rng))
    y_true = source.y[train_]
    y_noisy = flip(y_true, fault.get("noise", "none"), fault.get("rate", 0.0), rng, n_classes)
    fixed = np.random.RandomState(0)  # all runs are measured on the same test images
    test = balanced(source.y[source.n_train :], preset.n_test, n_classes, fixed) + source.n_train
    y: IntArray = source.y
    return make_task(source, y_noisy, y_true, (train_, clean, test), y[clean], y[test])


def _recoded(source: Source, codes: dict[int, int]) -> Source:
    """Keep the classes that have a code, which become their labels; others become -1."""
    y = np.full_like(source.y, -1)
    for label, code in codes.items():
        y[source.y == label] = code
    return Source(source.X, y, source.shape, source.n_train, source.offset, source.scale)


def run(preset: Preset, job: Job, *, make_task: Any) -> Row:
    """Train one arm on one draw."""
    return train(make_task(preset, job.point, job.seed, job.data_home), preset, job)


run_imbalanced = partial(run, make_task=imbalanced_task)
run_noisy = partial(run, make_task=noisy_task)


def tuned_at_each_point(preset: Preset, point: Point, seed: int) -> tuple[Point, int]:
    """A learning rate for each point, from one draw."""
    return point, TUNING_SEED


def tuned_at_median_ratio(preset: Preset, point: Point, seed: int) -> tuple[Point, int]:
    """One learning rate for all ratios, chosen at the middle one.

    At the largest ratio the rare class has too few held-out examples to choose by.
    """
    return preset.points[len(preset.points) // 2], TUNING_SEED
