"""Presets: what they are to be, and what their digest tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.experiments import EXPERIMENTS, PRESETS
from benchmarks.methods import ABLATION, BASE
from benchmarks.reporting import results
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


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        (name, preset)
        for name, experiment in EXPERIMENTS.items()
        for preset in experiment.presets
        if results.path_of(name, preset).exists()
    ],
)
def test_results_that_are_kept_are_those_of_their_presets(name: str, preset: str) -> None:
    digest = EXPERIMENTS[name].presets[preset].digest()
    assert results.read(results.path_of(name, preset), digest)


def test_tables_are_measured_with_the_arms_that_they_had() -> None:
    for preset in EXPERIMENTS["imbalance-tabular"].presets.values():
        assert set(preset.arms) <= set(BASE)


def test_choices_are_made_on_these_problems_alone() -> None:
    found = {
        (name, *point.values())
        for name, experiment in EXPERIMENTS.items()
        for point in (
            experiment.presets["ablation"].points if "ablation" in experiment.presets else ()
        )
    }
    assert found == {
        ("noise-mnist", "uniform", 0.4), ("noise-mnist", "background", 0.4),
        ("noise-and-imbalance", "background", 0.4),
    }  # fmt: skip
    for name in ("noise-mnist", "noise-and-imbalance"):
        ablation, cpu = (EXPERIMENTS[name].presets[preset] for preset in ("ablation", "cpu"))
        like = replace(cpu.training, lrs=ablation.training.lrs)
        assert replace(cpu, training=like).digest() == ablation.digest(), "but for the rates"
        tried = {arm.removesuffix("_averaged") for arm in ablation.arms}
        assert tried >= set(ABLATION) - {"clean_term_1"}
