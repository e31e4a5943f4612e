"""What is differentiated: a module under a loss, from a batch to one loss for each example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from ..nested import copied


def per_example(losses: Any, n: int) -> Tensor:
    """Losses of shape (n,), from losses of shape (n, ...) averaged over what follows."""
    got = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
    if not isinstance(losses, Tensor) or losses.ndim == 0 or len(losses) != n:
        raise ValueError(
            f"Got a loss of shape {got} for a batch of {n} examples, but expected one loss for "
            "each example. Use a loss that does not reduce over the batch: "
            "torch.nn.CrossEntropyLoss(reduction='none'), for instance."
        )
    return losses if losses.ndim == 1 else losses.flatten(1).mean(1)


class Objective(nn.Module):
    """A module under a loss, as one module: its parameters can be swapped in one place."""

    def __init__(self, module: nn.Module, loss: Callable[[Any, Any], Tensor]) -> None:
        super().__init__()
        self.module = module
        self.loss = loss

    def forward(self, batch: tuple[Any, Any]) -> tuple[Tensor, Any]:
        """Losses (n,) of a batch (X, y), and what the module puts out."""
        X, y = copied(batch[0]), batch[1]
        if isinstance(X, Mapping):
            output = self.module(**X)
        elif isinstance(X, (tuple, list)):
            output = self.module(*X)
        else:
            output = self.module(X)
        first = output[0] if isinstance(output, tuple) else output
        return per_example(self.loss(first, y), len(y)), output
