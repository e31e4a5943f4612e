"""Checks of the constructor's parameters."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from ..meta_gradient.choice import META_GRADIENTS


def check_parameters(meta_gradient: Any, clean_batch_size: Any, record_weights: Any) -> None:
    """Check values of the constructor's parameters."""
    if not isinstance(record_weights, bool) and record_weights != "epochs":
        raise ValueError(
            f"Got record_weights={record_weights!r}, but expected True, False, or 'epochs'."
        )
    if meta_gradient not in META_GRADIENTS:
        raise ValueError(
            f"Got meta_gradient={meta_gradient!r}, but expected one of {list(META_GRADIENTS)}."
        )
    is_int = isinstance(clean_batch_size, Integral) and not isinstance(clean_batch_size, bool)
    if clean_batch_size is not None and not (is_int and clean_batch_size > 0):
        error = ValueError if is_int else TypeError
        raise error(
            f"Got clean_batch_size={clean_batch_size!r}, but expected a positive int, or None for "
            "the whole clean set up to batch_size."
        )


def check_copyable(module: nn.Module) -> None:
    """Check that torch can copy an instance of a module."""
    names = [name for name, buffer in module.named_buffers() if is_lazy(buffer)]
    if names:
        raise ValueError(
            f"Got a module instance of {type(module).__name__} with lazy buffers {names}, which "
            "torch cannot copy, but expected one that can be, since a module of yours is not "
            "altered. Give the class, module=MyNet, or pass one batch through the instance before."
        )
