"""Loaders of data sets, and what is said where data cannot be had."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from sklearn.utils import Bunch

from benchmarks.data import cifar, loaders
from benchmarks.data.errors import DataError
from benchmarks.data.source import Source


@pytest.fixture(autouse=True)
def _no_cache() -> Iterator[None]:
    """Data sets of one test are not seen by the next."""
    loaders._load.cache_clear()
    yield
    loaders._load.cache_clear()


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


def human_labels() -> dict[str, Any]:
    y = np.array([0, 9, 1, 9, 2, 9, 3, 9, 4, 9])
    names = ("aggre_label", "random_label1", "random_label2", "random_label3", "worse_label")
    return {"clean_label": y, **{name: (y + i) % 10 for i, name in enumerate(names)}}


def write_human(folder: Path, name: str, labels: dict[str, Any]) -> None:
    if name.endswith(".pt"):
        torch.save(labels, folder / name)
    else:
        small = {key: value.astype(np.int8) for key, value in labels.items()}
        np.savez(folder / name, **small)


@pytest.mark.parametrize("name", cifar.HUMAN_FILES)
def test_labels_that_people_gave(tmp_path: Path, name: str) -> None:
    write_cifar(tmp_path / cifar.FOLDER)
    write_human(tmp_path, name, human_labels())
    source = loaders.load("cifar10n", str(tmp_path))
    assert set(source.given) == {"aggre", "random1", "worse"}
    assert source.given["aggre"].tolist() == source.y[:10].tolist()
    assert source.given["random1"].tolist() == [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]
    assert source.given["worse"].tolist() == [4, 3, 5, 3, 6, 3, 7, 3, 8, 3]
    assert source.given["worse"].dtype == np.int64
    assert source.n_train == 10


def test_no_labels_that_people_gave(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cifar-10-batches-py"):
        loaders.load("cifar10n", str(tmp_path))
    write_cifar(tmp_path / cifar.FOLDER)
    with pytest.raises(DataError) as error:
        loaders.load("cifar10n", str(tmp_path))
    for part in ("CIFAR-10_human.pt", "UCSC-REAL/cifar-10-100n", "--data-home", str(tmp_path)):
        assert part in str(error.value)


def test_labels_of_other_images(tmp_path: Path) -> None:
    write_cifar(tmp_path / cifar.FOLDER)
    labels = human_labels()
    labels["clean_label"] = labels["clean_label"][::-1]
    write_human(tmp_path, cifar.HUMAN_FILES[1], labels)
    with pytest.raises(DataError, match=r"'clean_label' .*is not the labels of cifar-10-batches"):
        loaders.load("cifar10n", str(tmp_path))
    del labels["worse_label"]
    write_human(tmp_path, cifar.HUMAN_FILES[1], labels)
    with pytest.raises(DataError, match=r"Got clean_label, .*but expected 'worse_label'"):
        loaders.load("cifar10n", str(tmp_path))


def test_rows_are_scaled() -> None:
    source = Source(np.array([[0, 255]], np.uint8), np.zeros(1, np.int64), (2,), None, 127.5, 64.0)
    np.testing.assert_allclose(source.rows(np.array([0])), [[-127.5 / 64, 127.5 / 64]])
