"""Rows of numbers in every type and container that people keep them in, and in hopeless ones."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse
from skorch.dataset import Dataset as SkorchDataset
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

Array = NDArray[Any]

DTYPES = (
    "float32", "float64", "float16", "longdouble", "int64", "int8", "uint8", "uint16", "uint32",
    "uint64", "bool", "complex64", "complex128", "datetime64[D]", "timedelta64[s]", "object",
    "object of text", "object with None", "U", "S", ">f8", ">i4", "structured", "void",
)  # fmt: skip


def typed(rows: Array, dtype: str) -> Array:
    """Rows of a type; what does not fit into it wraps around."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dtype.startswith(("datetime", "timedelta")):
            return np.nan_to_num(rows).astype(np.int64).astype(dtype)
        if dtype == "object of text":
            return rows.astype(str).astype(object)
        if dtype == "object with None":
            rows = rows.astype(object)
            rows[-1:] = None
            return rows
        if dtype == "structured":
            return rows.astype(np.dtype([("a", "f4"), ("b", "i8")]))
        if dtype == "void":
            return rows.astype("f8").view("V8")
        return rows.astype(dtype)


def _copied_over(rows: Array, out: Array) -> Array:
    out[...] = rows
    return out


def _read_only(rows: Array) -> Array:
    rows = rows.copy()
    rows.flags.writeable = False
    return rows


def _memmap(rows: Array) -> Array:
    if rows.size == 0:
        return rows
    file = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the map
    return _copied_over(rows, np.memmap(file, dtype=rows.dtype, mode="w+", shape=rows.shape))


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "rows": lambda x: x,
    "columns": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "read-only": _read_only,
    "memmap": _memmap,
}


class Items(Dataset[Any]):
    """Items of a data set that is asked one by one."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: Any) -> Any:
        return self.X[i], self.y[i]


class Dicts(Items):
    """The same, each a dict."""

    def __getitem__(self, i: Any) -> Any:
        return {"X": self.X[i], "label": self.y[i]}


class Bare(Items):
    """The same, without labels."""

    def __getitem__(self, i: Any) -> Any:
        return self.X[i]


class Stream(IterableDataset[Any]):
    """The same as a stream."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    def __iter__(self) -> Iterator[Any]:
        return iter(list(zip(self.X, self.y, strict=True)))


class LazyFrame:
    """What has columns and is yet to be collected, as in polars."""

    def __init__(self, X: Any) -> None:
        self._X = X
        self.columns = [f"x{i}" for i in range(X.shape[1])]

    def collect(self) -> pd.DataFrame:
        """The rows."""
        return pd.DataFrame(self._X, columns=self.columns)


def _masked(x: Array) -> Any:
    mask = np.zeros(x.shape, bool)
    mask[:1] = True
    return np.ma.array(x, mask=mask)


def _gap(x: Array) -> Any:
    frame = pd.DataFrame(x).convert_dtypes()
    frame.iloc[:1] = pd.NA
    return frame


IN_MEMORY: dict[str, Callable[[Array], Any]] = {
    "array": lambda x: x,
    "list": lambda x: x.tolist(),
    "tuples": lambda x: tuple(map(tuple, x.tolist())),
    "list of rows": list,
    "list of tensors": lambda x: list(torch.as_tensor(x)),
    "masked, nothing": np.ma.array,
    "masked": _masked,
    "matrix": np.asmatrix,
    "tensor": torch.as_tensor,
    "tensor with a gradient": lambda x: torch.as_tensor(x).requires_grad_(),
    "tensor of bfloat16": lambda x: torch.as_tensor(x).bfloat16(),
    "sparse tensor": lambda x: torch.as_tensor(x).to_sparse(),
    "meta tensor": lambda x: torch.as_tensor(x).to("meta"),
    "frame": pd.DataFrame,
    "frame of names": lambda x: pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])]),
    "frame of own types": lambda x: pd.DataFrame(x).convert_dtypes(),
    "frame of categories": lambda x: pd.DataFrame(x).astype("category"),
    "frame with gaps": _gap,
    "series": lambda x: pd.Series(x[:, 0]),
    **{
        f: getattr(sparse, f + "_matrix") for f in ("csr", "csc", "coo", "dok", "lil", "bsr", "dia")
    },
    **{f + "_array": getattr(sparse, f + "_array") for f in ("csr", "csc", "coo", "dok")},
    "one dimension": lambda x: x[:, 0],
    "three dimensions": lambda x: x[:, :, None],
    "dict": lambda x: {"X": x},
    "dict of two": lambda x: {"a": x, "b": x[:, :1].copy()},
    "dict of lists": lambda x: {"a": x.tolist()},
    "tuple of two": lambda x: (x, x.copy()),
    "nested": lambda x: {"a": [x, {"b": x.copy()}]},
    "uneven dict": lambda x: {"a": x, "b": x[1:]},
    "ragged": lambda x: [row[: 1 + i % 2] for i, row in enumerate(x.tolist())],
}
WITH_LABELS: dict[str, Callable[[Any, Any], Any]] = {
    "TensorDataset": lambda x, y: TensorDataset(torch.as_tensor(x), torch.as_tensor(y)),
    "skorch's": SkorchDataset,
    "Subset": lambda x, y: Subset(SkorchDataset(x, y), list(range(len(x)))),
    "items": Items,
    "items of dicts": Dicts,
    "items without labels": Bare,
    "stream": Stream,
}
HOPELESS: dict[str, Callable[[Array], Any]] = {
    "None": lambda x: None,
    "number": lambda x: 5,
    "numpy's number": lambda x: np.float64(5),
    "no dimension": lambda x: np.array(5.0),
    "scalar tensor": lambda x: torch.tensor(5.0),
    "text": lambda x: "rows",
    "bytes": lambda x: b"rows",
    "empty list": lambda x: [],
    "empty tuple": lambda x: (),
    "empty dict": lambda x: {},
    "no rows": lambda x: x[:0],
    "no columns": lambda x: x[:, :0],
    "no rows, sparse": lambda x: sparse.csr_matrix(x[:0]),
    "generator": lambda x: (row for row in x),
    "set": lambda x: set(x[:, 0].tolist()),
    "range": lambda x: range(len(x)),
    "object": lambda x: object(),
    "class": lambda x: dict,
    "lazy frame": LazyFrame,
    "list of texts": lambda x: ["a"] * len(x),
    "list of dicts": lambda x: [{"a": 1.0}] * len(x),
}
CONTAINERS = (*IN_MEMORY, *WITH_LABELS, *HOPELESS)


def contained(x: Array, y: Any, container: str) -> tuple[Any, Any]:
    """X in a container, and y beside it; the array as it is where its type has no place there."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if container in WITH_LABELS:
                y = np.asarray(y) if hasattr(y, "iloc") else y
                return WITH_LABELS[container](x, y), None
            return {**IN_MEMORY, **HOPELESS}[container](x), y
    except (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError, IndexError):
        return x, y
