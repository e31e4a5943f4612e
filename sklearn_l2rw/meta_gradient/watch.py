"""What the operations of a pass do that a recorded graph does not show.

A mean over the batch that is taken of the input, or detached, is in no graph, and may begin to
count later on: in a ramp, say. Where both batches go through in one pass, it would be another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Operations that put together, order or pick entries along a dimension, or along all of them.
_ALONG = frozenset(
    (
        "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "bincount", "cummax", "cummin",
        "cumprod", "cumsum", "flip", "histc", "index_select", "kthvalue", "linalg_vector_norm",
        "logcumsumexp", "logsumexp", "max", "mean", "median", "min", "mode", "nanmedian", "norm",
        "prod", "roll", "select", "slice", "sort", "std", "std_mean", "sum", "topk", "var",
        "var_mean", "_log_softmax", "_softmax", "_unique2", "unique_dim",
    )
)  # fmt: skip


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees whether operations draw numbers, ask for data, or put examples together.

    Data decide the path where a tensor is asked for its value (``if x[0, 0] > 1``). Examples are
    put together where something is done along the first dimension of what has n rows.
    """

    def __init__(self, n: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n = n
        self.draws = self.decides = self.mixes = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to be skipped by it, torch would load its compiler

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, and look at what it did."""
        self.decides |= torch.Tag.data_dependent_output in func.tags
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.draws |= not _leaves_generator_alone(func, args, kwargs or {})
        found = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2]
        if name in _ALONG and not self.mixes:
            self.mixes = _goes_along(func, args, kwargs or {}, self.n, found)
        return found


def _given(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an operation by name, defaults among them."""
    arguments = func._schema.arguments
    known = {a.name: a.default_value for a in arguments if a.has_default_value()}
    return {**known, **dict(zip((a.name for a in arguments), args, strict=False)), **kwargs}


def _leaves_generator_alone(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether an operation that may draw does not: fused attention without dropout, say.

    It is read off the arguments: the generator itself may be moved by another thread meanwhile.
    """
    given = _given(func, args, kwargs)
    return given.get("generator") is not None or any(
        name in given and not given[name] for name in ("dropout_p", "dropout")
    )


def _goes_along(
    func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], n: int, found: Any
) -> bool:
    """Whether an operation goes along the first dimension of what has n rows."""
    x = args[0] if args else None
    if n == 1 or not isinstance(x, Tensor) or x.ndim == 0 or x.shape[0] != n:
        return False
    if isinstance(found, Tensor) and found.shape == x.shape and func._schema.name == "aten::slice":
        return False  # all of it
    given = _given(func, args, kwargs)
    dims = given.get("dim", given.get("dims"))
    if dims is None or dims == []:
        return True
    return any(d % x.ndim == 0 for d in ([dims] if isinstance(dims, int) else dims))
