"""Targets that are numbers: of regression, and 0 or 1 for each label."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_columns(y: Any) -> Tensor:
    """Targets as floats of shape (n, n_targets); those of one example as (n_targets,)."""
    if not isinstance(y, Tensor):
        array = np.array(y)  # a copy: torch warns of arrays that cannot be written to
        y = array.astype(np.float64) if array.dtype.kind == "O" else array
    targets = torch.as_tensor(y)
    if not targets.is_floating_point():
        targets = targets.to(torch.get_default_dtype())
    return targets.unsqueeze(-1) if targets.ndim < 2 else targets


def like_output(y_true: Tensor, output: Any) -> Tensor:
    """Targets in the shape and precision of the module's (first) output.

    Without it a loss would broadcast targets (n, 1) and outputs (n,) to (n, n).
    """
    first = output[0] if isinstance(output, tuple) else output
    if y_true.numel() == first.numel():
        y_true = y_true.reshape(first.shape)
    return y_true.to(first.dtype)
