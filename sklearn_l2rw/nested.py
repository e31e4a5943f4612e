"""Inputs that are several arrays: a dict or a sequence of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


def map_leaves(function: Callable[[Any], Any], X: Any) -> Any:
    """Apply a function to each array of X, which may be a dict or a sequence of arrays."""
    if isinstance(X, Mapping):
        return {key: map_leaves(function, value) for key, value in X.items()}
    if type(X) in (tuple, list):  # not a PackedSequence, which is a named tuple
        return [map_leaves(function, value) for value in X]
    return function(X)


def copied(X: Any) -> Any:
    """Copy of the tensors of X, for a module that may write into its input.

    Without a graph: inputs are no functions of what is trained.
    """
    return map_leaves(lambda x: x.detach().clone() if isinstance(x, Tensor) else x, X)


def leaves(X: Any) -> list[Any]:
    """Arrays of X, in order."""
    found: list[Any] = []
    map_leaves(found.append, X)
    return found
