"""Time and memory of a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.experiments import EXPERIMENTS, scaling
from benchmarks.experiments.preset import Job
from tests.small_benchmarks import TINY


def test_scaling_measures_a_fit() -> None:
    task = scaling.make_rows(500, 0)
    assert task.X.shape == (500, 20)
    assert np.bincount(task.y).tolist() == [450, 50]
    assert np.bincount(task.y_clean).tolist() == [50, 50]
    assert scaling.n_steps(1_000_000, 512) == 3 * 1954
    found = scaling.measure("unweighted", 500, 0, TINY, "cpu")
    assert found["data_memory"] == pytest.approx(500 * (80 + 8) / 1e6)
    assert found["fit_time"] > 0


@pytest.mark.slow
def test_scaling_runs_in_a_process_of_its_own() -> None:
    preset = replace(EXPERIMENTS["scaling"].presets["quick"])
    row = scaling.run(preset, Job("scaling", "quick", "unweighted", {"rows": 600}, 0))
    assert set(row["measures"]) == {"fit_time", "cpu_time", "memory", "data_memory"}
