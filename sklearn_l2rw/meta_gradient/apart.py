"""Which nodes of a recorded graph keep the rows of each example apart.

What is computed layer by layer (see `layers`) is right only where the i-th rows of every result
belong to the i-th example alone. That is read off the nodes themselves, not from how a batch came
out: a flag, a ramp or other data may make examples interact later, in a graph that looks the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

# torch's own nodes, and those of them that may take rows from anywhere or put rows together.
TORCHS = re.compile(r"Backward\d+$|^torch::autograd::(?!CppNode)")
MOVING = re.compile(
    "Index|Gather|Scatter|MaskedSelect|Sort|Topk|Take|Unique|SplitWithSizes|Segment|PackPadded|Nested"
    "|Cdist|Pdist|Linalg(?!VectorNorm)|Cholesky|Svd|Repeat"
)
DIMENSIONS = ("dim", "dims", "dim0", "dim1", "dim2", "dimension")
PRODUCTS = ("MmBackward0", "AddmmBackward0", "TBackward0")  # of what is no parameter


class RefusedError(NotImplementedError):
    """The module is none whose slopes can be had layer by layer."""


@cache
def _dimensions(kind: Any) -> tuple[str, ...]:
    """Attributes of a kind of node that name dimensions."""
    return tuple(f"_saved_{name}" for name in DIMENSIONS if hasattr(kind, f"_saved_{name}"))


@cache
def _is_moving(name: str) -> bool:
    return bool(MOVING.search(name))


@cache
def _is_torchs(name: str) -> bool:
    return bool(TORCHS.search(name))


def refuse_mixing(nodes: Iterable[tuple[Any, str, bool]], n: int) -> None:
    """Refuse nodes whose output has rows that do not belong each to one of n examples.

    Each comes with its name, and with whether parameters go into it.
    """
    for node, name, has_parameters in nodes:
        if not _is_torchs(name):
            raise RefusedError(f"{name} is not one of torch's own functions")
        if "BatchNorm" in name and getattr(node, "_saved_training", True):
            raise RefusedError("batch statistics make examples interact")
        shape = node._input_metadata[0].shape
        if _is_moving(name) and not _along_the_last(node, len(shape)):
            raise RefusedError(f"{name} may move rows from one example to another")
        if not len(shape) or shape[0] % n or (name in PRODUCTS and not has_parameters):
            raise RefusedError(f"{name} of shape {tuple(shape)} may make examples interact")
        for attribute in _dimensions(node.__class__):
            if _is_first(node, getattr(node, attribute), len(shape)):
                raise RefusedError(f"{name} goes along the examples")


def _is_first(node: Any, dims: Any, ndim: int) -> bool:
    """Whether the dimension of the examples is among those that a node goes along."""
    if dims is None or dims == ():
        return True  # along all
    several = (dims,) if isinstance(dims, int) else tuple(dims)
    if type(node).__name__ == "PermuteBackward0":
        return _signed(several[0]) not in (0, -ndim)
    sizes = getattr(node, "_saved_self_sym_sizes", None)
    if sizes is not None:
        ndim = len(sizes)
    elif not getattr(node, "_saved_keepdim", True):
        ndim += len(several)
    return any(_signed(dim) in (0, -ndim) for dim in several)


def _along_the_last(node: Any, ndim: int) -> bool:
    """Whether entries are moved along the last dimension alone, as those of labels in a loss."""
    dim = getattr(node, "_saved_dim", None)
    return isinstance(dim, int) and ndim > 1 and _signed(dim) in (-1, ndim - 1)


def _signed(dim: int) -> int:
    return dim - 2**64 if dim >= 2**63 else dim
