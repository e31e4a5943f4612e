"""Arrays that torch can take."""

from __future__ import annotations

from typing import Any

import numpy as np


def for_torch(x: Any, *, writable: bool = False) -> Any:
    """Return x, or a copy of an array that torch refuses, or warns of where it is to be `writable`.

    torch takes no views backwards and no foreign byte order, and warns of read-only memory.
    """
    if not isinstance(x, np.ndarray):
        return x
    if not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    backwards = any(stride < 0 for stride in x.strides)
    return x.copy() if backwards or (writable and not x.flags.writeable) else x
