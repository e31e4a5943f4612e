"""Presets: what they are to be, and what their digest tells."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.experiments import EXPERIMENTS, PRESETS
from tests.small_benchmarks import TINY

NAME = "noise-mnist"


def test_presets_are_as_they_should_be() -> None:
    for name, experiment in EXPERIMENTS.items():
        assert set(PRESETS) <= set(experiment.presets)
        for preset in experiment.presets.values():
            assert set(preset.arms) <= set(experiment.arms), name
            assert len({experiment.labels(point) for point in preset.points}) == len(preset.points)
            assert preset.about
            assert experiment.measure
    paper = EXPERIMENTS["imbalance-mnist"].presets["paper"]
    assert (paper.training.n_steps, paper.training.n_steps_ours) == (8000, 4000)
    assert (paper.n_train, paper.n_clean, paper.n_seeds) == (5000, 10, 10)
    assert paper.training.lrs == (0.001,)


def test_digest_tells_settings_but_not_sizes() -> None:
    preset = EXPERIMENTS[NAME].presets["cpu"]
    assert replace(preset, n_seeds=99, arms=("smote",), points=()).digest() == preset.digest()
    assert replace(preset, n_clean=99).digest() != preset.digest()
    assert replace(preset, training=TINY).digest() != preset.digest()
