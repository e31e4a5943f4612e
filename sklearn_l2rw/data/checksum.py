"""A number by which data are recognised: in another process, or in another run."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ..nested import leaves


def checksum(parts: Any) -> int:
    """CRC of all arrays of a nested structure."""
    number = 0
    for block in _blocks(parts):
        number = zlib.crc32(block, number)
    return number


def _blocks(parts: Any) -> Iterator[bytes]:
    """What arrays hold, as bytes."""
    for x in leaves(parts):
        if isinstance(x, Tensor):
            yield x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        elif sparse.issparse(x):
            yield from (np.ascontiguousarray(a).tobytes() for a in (x.data, x.indices, x.indptr))
        elif isinstance(x, np.ndarray):
            if x.dtype.hasobject:  # whose bytes are addresses
                yield repr(x.tolist()).encode()
            else:
                yield np.ascontiguousarray(x).tobytes()
