"""Data of the benchmarks: generators, splits, loaders, what is said where data cannot be had."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from sklearn.utils import Bunch

from benchmarks.data import cifar, faults, loaders
from benchmarks.data.errors import DataError
from benchmarks.data.source import Source
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


# -- generators -------------------------------------------------------------------------------


def test_class_sizes() -> None:
    assert faults.two_classes(5000, 0.995) == [4975, 25]
    assert faults.evenly(15, 10) == [2] * 5 + [1] * 5
    assert faults.long_tail(500, 10, ratio=10)[0] == 500
    assert faults.long_tail(500, 10, ratio=10)[-1] == 50
    sizes = faults.long_tail(1000, 4, ratio=8)
    assert sizes == [1000, 500, 250, 125]


def test_take_draws_the_sizes_asked_for_without_repeating_a_row() -> None:
    y = np.arange(60) % 3
    rows = faults.take(y, [5, 0, 20], rng())
    assert np.bincount(y[rows], minlength=3).tolist() == [5, 0, 20]
    assert len(set(rows.tolist())) == 25
    np.testing.assert_array_equal(rows, faults.take(y, [5, 0, 20], rng()))
    assert not np.array_equal(rows, faults.take(y, [5, 0, 20], rng(1)))
    assert np.any(np.diff(y[rows]) < 0), "classes are mixed"


def test_take_says_how_many_there_are() -> None:
    with pytest.raises(ValueError, match="Got a count of 21 for class 1, but expected at most 20"):
        faults.take(np.arange(60) % 3, [5, 21, 5], rng())


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.37, 0.6, 1.0])
def test_uniform_flip_is_exact_and_keeps_no_true_label(rate: float) -> None:
    y = np.arange(1000, dtype=np.int64) % 10
    noisy = faults.uniform_flip(y, rate, rng(), 10)
    assert np.sum(noisy != y) == round(1000 * rate)
    assert set(noisy.tolist()) <= set(range(10))
    np.testing.assert_array_equal(noisy, faults.uniform_flip(y, rate, rng(), 10))


def test_uniform_flip_goes_to_all_other_classes_alike() -> None:
    y = np.zeros(9000, dtype=np.int64)
    counts = np.bincount(faults.uniform_flip(y, 1.0, rng(), 4), minlength=4)
    assert counts[0] == 0
    assert counts[1:].min() > 2800


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_background_flip_is_exact_and_goes_one_way(rate: float) -> None:
    y = np.arange(1000, dtype=np.int64) % 10
    noisy = faults.background_flip(y, rate, rng(), background=3)
    changed = noisy != y
    assert changed.sum() == round(900 * rate)
    assert (noisy[changed] == 3).all()
    assert (noisy[y == 3] == 3).all()
    np.testing.assert_array_equal(noisy, faults.background_flip(y, rate, rng(), background=3))


def test_an_unknown_kind_of_noise_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="noise='pink', but expected one of none, uniform, back"):
        faults.flip(np.zeros(3, np.int64), "pink", 0.1, rng(), 2)


def test_the_source_of_labels_is_left_as_it_was() -> None:
    y = np.arange(100, dtype=np.int64) % 10
    before = y.copy()
    for noise in faults.NOISES:
        faults.flip(y, noise, 0.5, rng(), 10)
    np.testing.assert_array_equal(y, before)


# -- splits -----------------------------------------------------------------------------------


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


# -- loaders ----------------------------------------------------------------------------------


def test_the_bundled_sets_are_made_imbalanced(tmp_path: Path) -> None:
    cancer, digits = (loaders.load(name, str(tmp_path)) for name in ("breast_cancer", "digits"))
    assert np.bincount(cancer.y).tolist() == [357, 36]
    assert np.bincount(digits.y).tolist() == [1623, 58]
    assert cancer.rows(np.arange(3)).dtype == np.float32


def test_the_small_mnist_has_its_test_images_last(tmp_path: Path) -> None:
    source = loaders.load("mnist_small", str(tmp_path))
    assert source.n_train == 4000
    assert np.bincount(source.y[:4000]).tolist() == [400] * 10
    assert np.bincount(source.y[4000:]).tolist() == [100] * 10
    assert 0.99 < source.rows(np.arange(5000)).max() <= 1


def fake_mnist(calls: list[dict[str, Any]]) -> Any:
    def fetch(name: str, **more: Any) -> Bunch:
        calls.append({"name": name, **more})
        X = np.full((70_000, 2), 255.0)
        return Bunch(data=X, target=(np.arange(70_000) % 10).astype(str).astype(object))

    return fetch


def test_mnist_is_parsed_once_and_without_pandas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(loaders, "fetch_openml", fake_mnist(calls))
    first = loaders.load("mnist", str(tmp_path))
    loaders._load.cache_clear()
    second = loaders.load("mnist", str(tmp_path))
    (call,) = calls
    assert (call["name"], call["version"], call["parser"]) == ("mnist_784", 1, "liac-arff")
    assert call["data_home"] == str(tmp_path)
    np.testing.assert_array_equal(first.y, second.y)
    assert second.n_train == 60_000
    assert second.X.dtype == np.uint8
    assert second.rows(np.array([0])).max() == 1
    assert [p.name for p in (tmp_path / "sklearn_l2rw").iterdir()] == ["mnist.npz"]


def test_no_network_and_no_cache_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*args: Any, **more: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(loaders, "fetch_openml", fetch)
    with pytest.raises(DataError) as error:
        loaders.load("mnist", str(tmp_path))
    message = str(error.value)
    assert "Could not load 'mnist'" in message
    assert str(tmp_path) in message
    assert "no route to host" in message
    assert "--data-home" in message


def test_no_network_is_said_of_imbalanced_learns_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*args: Any, **more: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("imblearn.datasets.fetch_datasets", fetch)
    with pytest.raises(DataError, match=r"Could not load 'ecoli'.*--data-home"):
        loaders.load("ecoli", str(tmp_path))


def test_imbalanced_learns_rare_class_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(data_home: str, filter_data: tuple[str, ...]) -> dict[str, Bunch]:
        assert data_home == str(tmp_path)
        return {filter_data[0]: Bunch(data=np.zeros((4, 3)), target=np.array([-1, 1, -1, -1]))}

    monkeypatch.setattr("imblearn.datasets.fetch_datasets", fetch)
    source = loaders.load("abalone", str(tmp_path))
    assert source.y.tolist() == [0, 1, 0, 0]
    assert source.shape == (3,)


def test_an_unknown_data_set_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Got data set 'imagenet', but .*mnist.*cifar10.*ecoli"):
        loaders.load("imagenet", str(tmp_path))


def write_cifar(folder: Path) -> None:
    folder.mkdir()
    for i, name in enumerate(cifar.FILES):
        batch = {b"data": np.full((2, 3072), i, np.uint8), b"labels": [i, 9]}
        (folder / name).write_bytes(pickle.dumps(batch))


def test_cifar_folder(tmp_path: Path) -> None:
    write_cifar(tmp_path / cifar.FOLDER)
    source = loaders.load("cifar10", str(tmp_path))
    assert source.n_train == 10
    assert source.y.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9, 5, 9]
    assert source.X[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert source.shape == (3, 32, 32)


def test_a_cifar_folder_that_lacks_a_batch(tmp_path: Path) -> None:
    write_cifar(tmp_path / cifar.FOLDER)
    (tmp_path / cifar.FOLDER / "data_batch_3").unlink()
    with pytest.raises(DataError, match=r"Got no data_batch_3 in .*cifar-10-batches-py.*expected"):
        loaders.load("cifar10", str(tmp_path))


def test_no_cifar_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Got no data_batch_1, .*test_batch in .*Download"):
        loaders.load("cifar10", str(tmp_path))


def test_all_presets_name_data_sets_that_there_are() -> None:
    presets: list[Preset] = [p for e in EXPERIMENTS.values() for p in e.presets.values()]
    names = {p.data for p in presets} | {
        q["data"] for p in presets for q in p.points if "data" in q
    }
    assert names - {""} <= set(loaders.LOADERS)


def test_rows_are_scaled() -> None:
    source = Source(np.array([[0, 255]], np.uint8), np.zeros(1, np.int64), (2,), None, 127.5, 64.0)
    np.testing.assert_allclose(source.rows(np.array([0])), [[-127.5 / 64, 127.5 / 64]])
