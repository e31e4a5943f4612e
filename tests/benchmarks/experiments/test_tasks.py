"""Tasks of the experiments: no row twice, rates and sizes as a preset says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.data import loaders
from benchmarks.data.task import balanced, held_out, split_clean
from benchmarks.experiments import EXPERIMENTS, tabular
from benchmarks.experiments.preset import Preset
from tests.small_benchmarks import digits_source, tiny_preset


@pytest.fixture(autouse=True)
def _no_cache() -> Iterator[None]:
    """Data sets of one test are not seen by the next."""
    loaders._load.cache_clear()
    yield
    loaders._load.cache_clear()


def rng(seed: int = 0) -> np.random.RandomState:
    return np.random.RandomState(seed)


def test_the_clean_set_is_balanced_and_split_off() -> None:
    y = np.repeat([0, 1, 2], [50, 20, 10])
    rest, clean = split_clean(y, 10, 3, rng())
    assert np.bincount(y[clean]).tolist() == [4, 3, 3]
    assert sorted([*rest, *clean]) == list(range(80))


def test_the_test_set_is_balanced() -> None:
    y = np.repeat([-1, 0, 1], [5, 50, 20])
    assert np.bincount(y[balanced(y, None, 2, rng())]).tolist() == [20, 20]
    assert np.bincount(y[balanced(y, 10, 2, rng())]).tolist() == [5, 5]


def assert_disjoint(*parts: Any) -> None:
    rows = np.concatenate(parts)
    assert len(set(rows.tolist())) == len(rows)


IMAGES = [
    ("imbalance-mnist", {"majority": 0.9}),
    ("noise-mnist", {"noise": "uniform", "rate": 0.4}),
    ("noise-mnist", {"noise": "background", "rate": 0.4}),
    ("clean-size", {"noise": "background", "rate": 0.4, "n_clean": 15}),
    ("label-errors", {"noise": "uniform", "rate": 0.4}),
]


@pytest.mark.parametrize(("name", "point"), IMAGES)
def test_no_test_row_is_trained_on(
    name: str, point: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = digits_source(250)
    monkeypatch.setitem(loaders.LOADERS, "mnist", lambda home: source)
    experiment = EXPERIMENTS[name]
    n_clean = 4 if name == "imbalance-mnist" else 20
    preset = tiny_preset(experiment.presets["cpu"], n_train=200, n_clean=n_clean)
    assert experiment.task is not None
    assert experiment.tuned_at is not None
    task = experiment.task(preset, point, 0, None)
    assert_disjoint(task.train_rows, task.clean_rows, task.test_rows)
    assert source.n_train is not None
    assert task.test_rows.min() >= source.n_train
    assert max(task.train_rows.max(), task.clean_rows.max()) < source.n_train
    np.testing.assert_array_equal(task.X, source.rows(task.train_rows))
    np.testing.assert_array_equal(task.X_test, source.rows(task.test_rows))
    assert len(set(np.bincount(task.y_test))) == 1, "the test set is balanced"
    again = experiment.task(preset, point, 0, None)
    np.testing.assert_array_equal(task.y, again.y)
    np.testing.assert_array_equal(task.clean_rows, again.clean_rows)
    tuned = experiment.task(preset, *experiment.tuned_at(preset, point, 0), None)
    chosen_on = held_out(tuned, 0.25, 0)
    assert_disjoint(chosen_on.train_rows, chosen_on.clean_rows, chosen_on.test_rows)
    assert not set(chosen_on.test_rows) & set(task.test_rows)


def test_rates_of_noise_are_exact_in_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loaders.LOADERS, "mnist", lambda home: digits_source())
    experiment = EXPERIMENTS["noise-mnist"]
    preset = tiny_preset(experiment.presets["cpu"], n_train=200, n_clean=20)
    assert experiment.task is not None
    task = experiment.task(preset, {"noise": "uniform", "rate": 0.4}, 3, None)
    assert np.sum(task.y != task.y_true) == round(0.4 * 180)
    confusion = task.confusion()
    np.testing.assert_allclose(confusion.sum(1), 1)
    np.testing.assert_allclose(np.diag(confusion).mean(), 0.6, atol=0.01)
    np.testing.assert_array_equal(np.bincount(task.y_clean), 2)
    X, y, clean_mask = task.with_clean()
    np.testing.assert_array_equal(X[clean_mask], task.X_clean)
    np.testing.assert_array_equal(y[~clean_mask], task.y)


def test_labels_that_people_gave_are_taken_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    source = digits_source()
    given = {"random1": (source.y[: source.n_train] * 7 + 1) % 10}
    monkeypatch.setitem(loaders.LOADERS, "cifar10n", lambda home: replace(source, given=given))
    experiment = EXPERIMENTS["noise-human"]
    preset = tiny_preset(experiment.presets["cpu"], n_train=200, n_clean=20)
    assert experiment.task is not None
    task = experiment.task(preset, {"noise": "random1"}, 3, None)
    np.testing.assert_array_equal(task.y, given["random1"][task.train_rows])
    np.testing.assert_array_equal(task.y_true, source.y[task.train_rows])
    np.testing.assert_array_equal(task.y_clean, source.y[task.clean_rows])
    np.testing.assert_array_equal(task.y_test, source.y[task.test_rows])
    with pytest.raises(ValueError, match="Got noise='aggre'"):
        experiment.task(preset, {"noise": "aggre"}, 3, None)


def test_the_paper_s_imbalance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loaders.LOADERS, "mnist", lambda home: digits_source(140))
    experiment = EXPERIMENTS["imbalance-mnist"]
    preset = tiny_preset(experiment.presets["cpu"], n_train=100, n_clean=4)
    assert experiment.task is not None
    task = experiment.task(preset, {"majority": 0.9}, 0, None)
    assert np.bincount(task.y).tolist() == [88, 8], "the clean ones are split off"
    assert np.bincount(task.y_clean).tolist() == [2, 2]
    nines = task.X[task.y == 0]
    assert (nines[:, 0] == np.float32(9 / 16)).all(), "class 0 are the nines"


def test_each_fold_has_a_test_set_of_its_own() -> None:
    preset = EXPERIMENTS["imbalance-tabular"].presets["quick"]
    point = {"data": "breast_cancer"}
    tasks = [tabular.task(preset, point, fold, None) for fold in range(5)]
    assert_disjoint(*(task.test_rows for task in tasks))
    assert sum(len(task.test_rows) for task in tasks) == 393
    for fold, task in enumerate(tasks):
        assert_disjoint(task.train_rows, task.clean_rows, task.test_rows)
        assert np.bincount(task.y_clean).tolist() == [5, 5]
        assert tabular.tuned_at(preset, point, fold) == (point, fold)
        part = held_out(task, 0.25, 0)
        assert set(part.test_rows) <= set(task.train_rows)
        assert_disjoint(part.train_rows, part.clean_rows, part.test_rows, task.test_rows)
    second = tabular.task(preset, point, 5, None)
    assert not np.array_equal(second.test_rows, tasks[0].test_rows)


def test_all_presets_name_data_sets_that_there_are() -> None:
    presets: list[Preset] = [p for e in EXPERIMENTS.values() for p in e.presets.values()]
    names = {p.data for p in presets} | {
        q["data"] for p in presets for q in p.points if "data" in q
    }
    assert names - {""} <= set(loaders.LOADERS)
