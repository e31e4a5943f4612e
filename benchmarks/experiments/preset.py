"""What an experiment is made of: points to measure at, arms, seeds, and how large it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.data.task import Task
from benchmarks.methods.training import Training

Point = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Preset:
    """Size of an experiment.

    Parameters
    ----------
    about : str
        What it reduces, and what it does not.
    points : tuple of dict
        Conditions to measure at, such as ``{"noise": "uniform", "rate": 0.4}``.
    arms : tuple of str
        Arms that are run where ``--arms`` names none.
    n_seeds : int
        Seeds, or folds.
    training : Training
        Net, steps, batches, learning rates.
    data : str
        Name of the data set; empty where points name theirs.
    n_train : int
        Training examples, the clean ones among them.
    n_clean : int
        Clean examples, as many of each class.
    n_test : int or None
        Test examples, as many of each class; None takes all.
    ratio : float
        Imbalance ratio of a long tail; 1 is none.
    watched : bool
        Whether test errors are looked at during fits, which takes a few seconds; then ``rise`` is
        a measure: how much larger the last error is than the least one.

    """

    about: str
    points: tuple[Point, ...]
    arms: tuple[str, ...]
    n_seeds: int
    training: Training
    data: str = ""
    n_train: int = 0
    n_clean: int = 0
    n_test: int | None = None
    ratio: float = 1.0
    watched: bool = False

    def digest(self) -> str:
        """Short name of all that results depend on, beside points, arms and seeds."""
        settings = asdict(self)
        for name in ("about", "points", "arms", "n_seeds", "watched"):
            del settings[name]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Job:
    """One run: an arm at a point, from a seed; ``lr`` is None until it is chosen."""

    experiment: str
    preset: str
    arm: str
    point: Point
    seed: int
    lr: float | None = None
    data_home: str | None = None
    device: str = "cpu"


Run = Callable[[Preset, Job], Row]
"""Makes the row of results of a job: ``measures``, or ``scores`` by name."""


@dataclass(frozen=True)
class Experiment:
    """An experiment.

    Parameters
    ----------
    title, about : str
        What is asked.
    presets : dict of str to Preset
        ``quick``, ``cpu`` and ``paper``.
    run : callable
        Does one run.
    arms : tuple of str
        Names of all arms that there are.
    measure : str
        The measure of the tables.
    task : callable or None
        ``task(preset, point, seed, data_home)`` makes the task of a run.
    tuned_at : callable or None
        ``tuned_at(preset, point, seed)`` is the point and the seed of the training data that the
        learning rate of a run is chosen on; None where none is chosen.
    labels : callable
        Names a point, for tables.

    """

    title: str
    about: str
    presets: dict[str, Preset]
    run: Run
    arms: tuple[str, ...]
    measure: str
    labels: Callable[[Point], str]
    task: Callable[[Preset, Point, int, str | None], Task] | None = None
    tuned_at: Callable[[Preset, Point, int], tuple[Point, int]] | None = None
