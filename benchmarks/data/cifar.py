"""CIFAR-10 from the folder that its makers publish, ``cifar-10-batches-py``."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.errors import DataError
from benchmarks.data.source import Source

FOLDER = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))
FILES = (*TRAIN_FILES, "test_batch")
URL = "https://www.cs.toronto.edu/~kriz/cifar.html"


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


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    with path.open("rb") as file:
        batch = pickle.load(file, encoding="bytes")
    return np.asarray(batch[b"data"], np.uint8), np.asarray(batch[b"labels"], np.int64)
