"""Inputs in the number type that a module computes in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..nested import leaves, map_leaves


def _precision(module: nn.Module) -> torch.dtype | None:
    floats = (p.dtype for p in module.parameters() if p.is_floating_point())
    return next(floats, None)


def _is_integer(x: Any) -> bool:
    return isinstance(x, Tensor) and not x.is_floating_point() and not x.is_complex()


def has_integers(X: Any) -> bool:
    """Tell whether some array of X holds integers or booleans."""
    return any(_is_integer(x) for x in leaves(X))


def cast_floats(X: Any, module: nn.Module) -> Any:
    """Floating inputs in the module's precision."""
    dtype = _precision(module)
    if dtype is None:
        return X
    return map_leaves(
        lambda x: x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x, X
    )


def cast_integers(X: Any, module: nn.Module) -> Any:
    """Integer inputs as floats in the module's precision."""
    dtype = _precision(module) or torch.get_default_dtype()
    return map_leaves(lambda x: x.to(dtype) if _is_integer(x) else x, X)
