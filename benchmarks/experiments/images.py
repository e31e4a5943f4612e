"""Image experiments: rare classes, wrong labels, or both, on the data set of a preset."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.data.draw import draw
from benchmarks.data.faults import evenly, long_tail, two_classes
from benchmarks.data.loaders import load
from benchmarks.data.source import Source
from benchmarks.data.task import Task
from benchmarks.experiments.preset import Job, Point, Preset, Row
from benchmarks.experiments.training_run import train

TUNING_SEED = 1000  # a draw of the training images of its own; test images are in none


def imbalanced_task(preset: Preset, point: Point, seed: int, data_home: str | None) -> Task:
    """Fours and nines; ``point["majority"]`` is the share of the nines, class 0."""
    source = load(preset.data, data_home).recoded({9: 0, 4: 1})
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
    noise = {name: fault[name] for name in ("noise", "rate") if name in fault}
    return draw(source, counts, n_clean, seed, n_test=preset.n_test, **noise)


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
