"""What a case of the zoo is, and how the problem is built that it describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests import zoo_parts as z

N, M = 12, 6  # examples in the training batch, in the clean batch
SEED = 10  # the weights of every case are of all sorts: see test_zoo_is_not_trivial


@dataclass(frozen=True)
class Case:
    """A module, the data for it, and what is known about it.

    Attributes
    ----------
    module
        Makes the module.
    check
        Whether the case is what it is meant to be, from the problem and the losses in a graph.
    X, y
        Make inputs and targets of as many examples as they are asked for.
    loss
        Makes the loss.
    train
        The module's mode.
    literal
        Whether the literal algorithm can run on it.
    fast
        Whether any exact way can that needs no backward pass for each example.
    smooth
        Whether its gradient is the slope of its losses, so that differences of them are close.
    refused
        Ways that may refuse it, with the operation (a pattern) that the error must name then.
    tolerance
        Of the weights in float32.

    """

    module: Callable[[], nn.Module]
    check: z.Check
    X: Callable[[int], Any] = z.vectors
    y: Callable[[int], Tensor] = z.labels
    loss: Callable[[], Callable[[Any, Any], Tensor]] = lambda: nn.CrossEntropyLoss(reduction="none")
    train: bool = True
    literal: bool = True
    fast: bool = True
    smooth: bool = True
    refused: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-5


def cast(x: Any, dtype: torch.dtype) -> Any:
    """Floating-point and complex tensors in this precision; nested in any way."""
    if isinstance(x, dict):
        return {name: cast(value, dtype) for name, value in x.items()}
    if isinstance(x, tuple):
        return tuple(cast(value, dtype) for value in x)
    if x.is_complex():
        return x.to(dtype.to_complex())
    return x.to(dtype) if x.is_floating_point() else x


def cast_module(module: nn.Module, dtype: torch.dtype) -> None:
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = cast(tensor.data, dtype)


def build(case: Case, dtype: torch.dtype, seed: int = SEED) -> z.Problem:
    """The same problem at each call, whose numbers are those of float32 in any precision."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module, loss = case.module().train(case.train), case.loss()
        batch, clean_batch = ((case.X(n), case.y(n)) for n in (N, M))
    for holder in (module, loss):
        if isinstance(holder, nn.Module):
            cast_module(holder, dtype)
    return z.Problem(module, loss, cast(batch, dtype), cast(clean_batch, dtype))


def for_oracle(problem: z.Problem) -> z.Problem:
    """The same problem, with the original of a compiled module: it has the same parameters."""
    return problem._replace(module=getattr(problem.module, "_orig_mod", problem.module))
