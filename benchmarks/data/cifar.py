"""CIFAR-10 from the folder that its makers publish, and labels that people gave to its images."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.data.errors import DataError
from benchmarks.data.source import Source

FOLDER = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))
FILES = (*TRAIN_FILES, "test_batch")
URL = "https://www.cs.toronto.edu/~kriz/cifar.html"
HUMAN_FILES = ("CIFAR-10_human.pt", "cifar10n_labels.npz")
HUMAN_URL = "https://github.com/UCSC-REAL/cifar-10-100n"
HUMAN_LABELS = {"aggre": "aggre_label", "random1": "random_label1", "worse": "worse_label"}


def load_cifar10(data_home: Path) -> Source:
    """Read the folder `FOLDER` in `data_home`; its download is left to the user.

    Raises
    ------
    DataError
        If the folder or a file in it is missing.

    """
    folder = data_home / FOLDER
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"Got no {', '.join(missing)} in {folder}, but expected the files {', '.join(FILES)}. "
            f"Download 'CIFAR-10 python version' from {URL}, unpack it into {data_home}, or name "
            "the folder that holds it with --data-home."
        )
    parts = [_read(folder / name) for name in FILES]
    X, y = (np.concatenate(column) for column in zip(*parts, strict=True))
    n_train = sum(len(labels) for _, labels in parts[:-1])
    return Source(X, y, (3, 32, 32), n_train, offset=127.5, scale=64.0)


def load_cifar10n(data_home: Path) -> Source:
    """CIFAR-10 with the labels of CIFAR-10N (Wei et al., ICLR 2022), which people gave.

    Three people looked at each training image: ``random1`` is the label that the first of them
    gave (17% are wrong), ``aggre`` that of the majority (9%), ``worse`` a wrong one if there was
    any (40%). **Not for commercial use**, by the terms of its authors; its download is left to the
    user. Read only a file that comes from them: ``CIFAR-10_human.pt`` is a pickle, which can run
    code. A file ``cifar10n_labels.npz`` with the same arrays will do as well.

    Raises
    ------
    DataError
        If CIFAR-10 or the file is missing, or the file is not one of these labels.

    """
    source = load_cifar10(data_home)
    found = [data_home / name for name in HUMAN_FILES if (data_home / name).is_file()]
    if not found:
        raise DataError(
            f"Got no {HUMAN_FILES[0]} in {data_home}, but expected it beside {FOLDER}. Download it "
            f"from the folder 'data' of {HUMAN_URL} (not for commercial use), or name the folder "
            "that holds both with --data-home."
        )
    path = found[0]
    labels = torch.load(path, weights_only=False) if path.suffix == ".pt" else np.load(path)
    given = {name: _labels(labels, key, path) for name, key in HUMAN_LABELS.items()}
    if not np.array_equal(_labels(labels, "clean_label", path), source.y[: source.n_train]):
        raise DataError(
            f"Got a 'clean_label' in {path} that is not the labels of {FOLDER} in their order, but "
            f"expected it to be. Download both anew, from {HUMAN_URL} and {URL}."
        )
    return replace(source, given=given)


def _labels(labels: Mapping[str, Any], key: str, path: Path) -> NDArray[np.int64]:
    if key not in labels:
        raise DataError(
            f"Got {', '.join(labels)} in {path}, but expected {key!r} among them. Download the "
            f"file from {HUMAN_URL}."
        )
    return np.asarray(labels[key], np.int64)


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    with path.open("rb") as file:
        batch = pickle.load(file, encoding="bytes")
    return np.asarray(batch[b"data"], np.uint8), np.asarray(batch[b"labels"], np.int64)
