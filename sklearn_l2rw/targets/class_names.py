"""Labels as JSON holds them, with their type, for files that run no code when they are read."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPE = re.compile(r"[<>|](?:[biufU]\d{1,6}|O)")
_SCALARS = (str, bool, int, float)


def classes_as_json(classes: NDArray[Any]) -> dict[str, Any]:
    """Dtype and values of labels; a TypeError where these are not text, bool or numbers."""
    values = [x.item() if isinstance(x, np.generic) else x for x in classes.tolist()]
    foreign = [x for x in values if not isinstance(x, _SCALARS)]
    if foreign or not _DTYPE.fullmatch(classes.dtype.str):
        example = repr((foreign or values)[0])[:60]
        raise TypeError(f"labels of dtype {classes.dtype}, such as {example}")
    return {"dtype": classes.dtype.str, "values": values}


def classes_from_json(found: Any) -> NDArray[Any]:
    """Labels from their dtype and values, as `classes_as_json` makes them."""
    dtype, values = found["dtype"], found["values"]
    if not _DTYPE.fullmatch(dtype) or not all(isinstance(x, _SCALARS) for x in values):
        raise ValueError("classes are no list of labels")
    return np.array(values, dtype=dtype)
