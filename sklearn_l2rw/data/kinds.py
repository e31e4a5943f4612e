"""Whether an array is one of real numbers, each of which counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def refuse_masked(x: Any, name: str) -> None:
    """Refuse an array some of which is masked: masks would be lost without a word."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        n_masked = int(np.ma.getmaskarray(x).sum())
        raise ValueError(
            f"Got {name} with {n_masked} masked entries, but expected an array that counts "
            f"as a whole. Drop these rows, or fill them: {name}.filled(...)."
        )


def check_kind(x: Any, name: str) -> None:
    """Check that an array, if x is one, holds real numbers in the open; objects may yet do."""
    refuse_masked(x, name)
    if isinstance(x, Tensor):
        _check_tensor(x, name)
        return
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise ValueError(_complex(name, dtype))
    if isinstance(dtype, np.dtype) and dtype.kind not in "biufOSU":
        raise TypeError(f"Got {name} of dtype {dtype}, but expected real numbers. {_advice(dtype)}")
    is_sequence = hasattr(x, "__len__") and hasattr(x, "__getitem__")
    is_array = hasattr(x, "shape") or hasattr(x, "__array__")
    if isinstance(x, (type, str, bytes)) or not (is_sequence or is_array):
        collect = ", for instance by its method collect()" if hasattr(x, "collect") else ""
        raise TypeError(
            f"Got {name} of type {type(x).__name__}, but expected rows: an array, a tensor, a "
            f"data frame, a list of rows or a Dataset. Make one of it first{collect}."
        )
    if getattr(x, "shape", None) == ():
        raise ValueError(
            f"Got {name} without a dimension, the number {x}, but expected an array of rows."
        )


def _check_tensor(x: Tensor, name: str) -> None:
    if x.ndim == 0:
        raise ValueError(f"Got {name} without a dimension, but expected a tensor of rows.")
    if x.ndim == 2 and not x.shape[1]:
        raise ValueError(f"Got {name} of shape {tuple(x.shape)}, but expected a column at least.")
    if x.is_complex():
        raise ValueError(_complex(name, x.dtype))
    if x.layout is not torch.strided or x.device.type == "meta":
        raise TypeError(
            f"Got {name} as a tensor of layout {x.layout} on {x.device}, but expected a dense one "
            "whose entries are known. Use its to_dense(), or a SciPy sparse matrix."
        )


def _complex(name: str, dtype: Any) -> str:
    return (
        f"Complex data not supported: got {name} of dtype {dtype}, but expected real numbers. Give "
        "real and imaginary part as features of their own."
    )


def _advice(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "mM":
        return "Make numbers of dates, such as days since the first: (x - x.min()).astype(float)."
    return "Convert it to an array of numbers."
