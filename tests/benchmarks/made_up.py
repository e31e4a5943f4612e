"""Results that no run has made, for the tests of what is done with results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.label_errors import N_BINS
from benchmarks.reporting import results
from benchmarks.reporting.tables import Results

MEASURES = (
    "error", "balanced_error", "auc", "average_precision", "brier", "f1", "fit_time", "cpu_time",
    "memory", "data_memory", "rise",
)  # fmt: skip


def environment(name: str, preset: str) -> results.Row:
    return results.environment(EXPERIMENTS[name].presets[preset].digest(), "cpu")


def row(arm: str, point: dict[str, Any], seed: int, value: float) -> results.Row:
    measures = dict.fromkeys(MEASURES, value)
    return {"kind": "test", "arm": arm, "point": point, "seed": seed, "measures": measures}


def scored(arm: str, point: dict[str, Any], seed: int, **scores: float) -> results.Row:
    found = {
        name: {"auroc": value, "average_precision": value, "cpu_time": 1.0, "memory": 1.0}
        for name, value in scores.items()
    }
    bins = {"right": [0] * N_BINS, "wrong": [1] * N_BINS}
    kind = {"kind": "test", "arm": arm, "point": point, "seed": seed, "scores": found}
    return {**kind, "histogram": bins} if "weight" in scores else kind


def made_up(name: str, preset: str = "cpu") -> list[results.Row]:
    """Results of an experiment: L2RW is best, arms get worse in the order of the preset."""
    found = [environment(name, preset)]
    size = EXPERIMENTS[name].presets[preset]
    for seed in range(3):
        for number, point in enumerate(size.points):
            for place, arm in enumerate(size.arms):
                value = 1.0 + number + (0 if arm == "l2rw" else place + 1) + 0.1 * seed
                if name == "label-errors":
                    found.append(scored(arm, point, seed, probability=0.5, weight=0.9))
                else:
                    found.append(row(arm, point, seed, value))
    return found


def write(folder: Path, name: str, rows: list[results.Row], preset: str = "cpu") -> None:
    path = results.path_of(name, preset, folder)
    for line in rows:
        results.append(path, line)


def small_results() -> Results:
    low, high = {"majority": 0.9}, {"majority": 0.995}
    rows = [
        environment("imbalance-mnist", "cpu"),
        *(row("unweighted", low, seed, 2.0 + seed) for seed in range(3)),
        *(row("smote", low, seed, 1.0 + seed) for seed in range(3)),
        *(row("l2rw", low, seed, 1.5 + 2 * seed) for seed in range(3)),
        *(row("l2rw", high, seed, 4.0) for seed in range(2)),
        {"kind": "test", "arm": "smote", "point": high, "seed": 0, "lr": 0.1,
         "failed": "ValueError: no neighbours"},
        row("unweighted", high, 0, 9.0),
    ]  # fmt: skip
    return Results("imbalance-mnist", "cpu", rows)
