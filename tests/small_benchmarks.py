"""Small data, presets and results for the tests of the benchmarks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.data.source import Source
from benchmarks.data.task import Task, make_task, split_clean
from benchmarks.experiments.preset import Preset
from benchmarks.methods.setting import Setting
from benchmarks.methods.training import Training

TINY = Training("mlp", 6, 6, 20, lrs=(0.1,))


def digits_source(per_class: int = 60) -> Source:
    """Ten classes of vectors, whose first entry is the class; 20 of each are the test set."""
    rng = np.random.RandomState(0)
    y = np.tile(np.arange(10, dtype=np.int64), per_class)
    X = rng.randint(0, 17, size=(len(y), 6)).astype(np.uint8)
    X[:, 0] = y
    return Source(X, y, (6,), len(y) - 200, scale=16.0)


def tiny_preset(like: Preset, **changes: Any) -> Preset:
    """Make a preset that takes no time."""
    return replace(like, training=TINY, **changes)


def tiny_task(n_classes: int = 2, seed: int = 0, n_clean: int = 12) -> Task:
    """Classes that can be told apart; the last one is rare, and a tenth of the labels is wrong."""
    rng = np.random.RandomState(seed)
    y = np.arange(240) % n_classes
    y[np.flatnonzero(y == n_classes - 1)[20:]] = 0
    y = rng.permutation(np.asarray(y, np.int64))
    X = rng.normal(size=(240, 4)).astype(np.float32)
    X[np.arange(240), y] += 3
    source = Source(X, y, (4,))
    train, test = np.arange(160), np.arange(160, 240)
    rest, clean = split_clean(y[train], n_clean, n_classes, rng)
    noisy = y[rest].copy()
    noisy[::10] = (noisy[::10] + 1) % n_classes
    return make_task(source, noisy, y[rest], (rest, clean, test), y[clean], y[test])


def tiny_setting(task: Task, training: Training = TINY, lr: float = 0.1) -> Setting:
    """What an arm gets."""
    return Setting(task, training, lr, 0)
