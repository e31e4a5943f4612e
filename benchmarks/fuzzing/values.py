"""Numbers of rows, labels and weights, from usual to absurd."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[Any]
Random = np.random.Generator


def _with(value: float) -> Callable[[Random, tuple[int, int]], Array]:
    def make(random: Random, shape: tuple[int, int]) -> Array:
        rows = random.normal(size=shape)
        rows[-1:, -1:] = value
        return rows

    return make


VALUES: dict[str, Callable[[Random, tuple[int, int]], Array]] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "whole": lambda random, shape: random.integers(0, 10, shape).astype(float),
    "constant": lambda random, shape: np.ones(shape),
    "zero": lambda random, shape: np.zeros(shape),
    "negative": lambda random, shape: -random.integers(1, 200, shape).astype(float),
    "NaN": _with(np.nan),
    "inf": _with(np.inf),
    "-inf": _with(-np.inf),
    "1e39": _with(1e39),
    "1e300": _with(1e300),
    "max": _with(np.finfo(np.float64).max),
    "large": lambda random, shape: 1e6 * random.normal(size=shape),
    "all 1e30": lambda random, shape: 1e30 * random.normal(size=shape),
    "all 1e160": lambda random, shape: 1e160 * random.normal(size=shape),
    "tiny": lambda random, shape: 1e-310 * random.normal(size=shape),
}


def _objects(items: list[Any]) -> Array:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _named(*names: Any) -> Callable[[Array], Any]:
    return lambda codes: np.array(names)[codes % len(names)]


LABELS: dict[str, Callable[[Array], Any]] = {
    "0, 1": lambda codes: codes % 2,
    "0, 1, 2": lambda codes: codes % 3,
    "one class": lambda codes: codes * 0,
    "all different": lambda codes: codes,
    "bool": lambda codes: codes % 2 == 1,
    "3, -7": _named(3, -7),
    "2**63": lambda codes: np.array([0, 2**63], dtype=np.uint64)[codes % 2],
    "text": _named("no", "yes"),
    "bytes": _named(b"no", b"yes"),
    "objects of text": lambda codes: _objects([("no", "yes")[c % 2] for c in codes.tolist()]),
    "floats of classes": lambda codes: (codes % 2).astype(float),
    "float16": lambda codes: (codes % 2).astype(np.float16),
    "longdouble": lambda codes: (codes % 2).astype(np.longdouble),
    "real": lambda codes: np.sin(codes),
    "real, 1e39": lambda codes: np.where(codes == 1, 1e39, np.sin(codes)),
    "real, 1e300": lambda codes: np.where(codes == 1, 1e300, np.sin(codes)),
    "NaN": lambda codes: np.where(codes == 1, np.nan, codes % 2),
    "inf": lambda codes: np.where(codes == 1, np.inf, codes % 2),
    "complex": lambda codes: (codes % 2) + 1j,
    "dates": lambda codes: (codes % 2).astype("datetime64[D]"),
    "NaT": lambda codes: np.where(codes == 1, np.datetime64("NaT"), np.datetime64(0, "D")),
    "durations": lambda codes: (codes % 2).astype("timedelta64[s]"),
    "Python's dates": lambda codes: _objects([date(2020, 1, 1 + c % 2) for c in codes.tolist()]),
    "fractions": lambda codes: _objects([Fraction(c % 2, 3) for c in codes.tolist()]),
    "None": lambda codes: _objects([None if c == 1 else c % 2 for c in codes.tolist()]),
    "mixed": lambda codes: _objects([("a", 1)[c % 2] for c in codes.tolist()]),
    "objects": lambda codes: _objects([object() for _ in codes]),
    "tuples": lambda codes: _objects([(c % 2, 0) for c in codes.tolist()]),
    "huge ints": lambda codes: _objects([10**400 * (c % 2) for c in codes.tolist()]),
    "dicts": lambda codes: [{"a": c} for c in codes.tolist()],
    "structured": lambda codes: (codes % 2).astype([("a", "i4")]),
    "column": lambda codes: (codes % 2)[:, None],
    "indicators": lambda codes: np.stack([codes % 2, 1 - codes % 2, codes % 3 == 0], 1).astype(int),
    "indicators of bool": lambda codes: np.stack([codes % 2 == 0, codes % 3 == 0], 1),
    "sparse indicators": lambda codes: sparse.csr_matrix(np.eye(2, dtype=int)[codes % 2]),
    "list of lists": lambda codes: np.eye(2)[codes % 2].tolist(),
    "three targets": lambda codes: np.sin(codes)[:, None] * [1, 2, 3],
    "no targets": lambda codes: np.zeros((len(codes), 0)),
    "cube": lambda codes: np.zeros((len(codes), 2, 2)),
    "list": lambda codes: (codes % 2).tolist(),
    "series": lambda codes: pd.Series(codes % 2),
    "categories": lambda codes: pd.Series(codes % 2).map({0: "no", 1: "yes"}).astype("category"),
    "series with NA": lambda codes: pd.Series(codes % 2, dtype="Int64").replace(1, pd.NA),
    "masked": lambda codes: np.ma.array(codes % 2, mask=codes == 1),
    "tensor": lambda codes: torch.as_tensor(codes % 2),
    "tensor of bfloat16": lambda codes: torch.as_tensor(np.sin(codes)).bfloat16(),
    "too few": lambda codes: codes[1:] % 2,
    "one": lambda codes: 1,
    "no dimension": lambda codes: np.array(1),
    "a text": lambda codes: "labels",
    "nothing": lambda codes: None,
    "empty": lambda codes: [],
    "frame": lambda codes: pd.DataFrame({"y": codes % 2}),
}

WEIGHTS: dict[str, Callable[[int], Any]] = {
    "none": lambda n: None,
    "some": lambda n: np.arange(n) % 3 + 0.5,
    "some 0": lambda n: (np.arange(n) % 4 > 0).astype(int),
    "ones of bool": lambda n: np.ones(n, bool),
    "list": lambda n: [1.0] * n,
    "tensor": lambda n: torch.arange(n) + 1,
    "series": lambda n: pd.Series(np.arange(n) + 1.0),
    "number": lambda n: 2.0,
    "zeros": lambda n: np.zeros(n),
    "negative": lambda n: -np.ones(n),
    "NaN": lambda n: np.where(np.arange(n) == 1, np.nan, 1),
    "inf": lambda n: np.where(np.arange(n) == 1, np.inf, 1),
    "1e300": lambda n: np.where(np.arange(n) == 1, 1e300, 1),
    "all 1e308": lambda n: np.full(n, 1e308),
    "1e-300": lambda n: np.full(n, 1e-300),
    "complex": lambda n: np.ones(n, complex),
    "dates": lambda n: np.arange(n).astype("datetime64[D]"),
    "text": lambda n: np.array(["1"] * n),
    "objects": lambda n: np.array([1, 2.5] * n, dtype=object)[:n],
    "objects of text": lambda n: np.array(["a"] * n, dtype=object),
    "huge int": lambda n: [10**400] + [1] * (n - 1),
    "masked": lambda n: np.ma.array(np.ones(n), mask=np.arange(n) == 1),
    "column": lambda n: np.ones((n, 1)),
    "too few": lambda n: np.ones(n - 1),
    "a text": lambda n: "balanced",
    "a dict": lambda n: {0: 1},
}
