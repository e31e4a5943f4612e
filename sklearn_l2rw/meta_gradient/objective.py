"""What is differentiated: a module under a loss, from a batch to one loss for each example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..nested import copied, logits_of, named_outputs


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
        elif isinstance(X, (tuple, list)) and not isinstance(X, PackedSequence):
            output = self.module(*X)
        else:
            output = self.module(X)
        return per_example(self._loss_of(output, y), len(y)), output

    def _loss_of(self, output: Any, y: Any) -> Any:
        """Loss of what the module puts out: of the logits where it is one of torch's kind.

        A function of the user's gets an output with names whole, and takes of it what it needs.
        """
        is_torchs = isinstance(self.loss, nn.Module) and hasattr(self.loss, "reduction")
        named = None if isinstance(output, tuple) else named_outputs(output)
        if named is None or is_torchs:
            output = logits_of(output)
            return self.loss(output[0] if isinstance(output, tuple) else output, y)
        try:
            return self.loss(output, y)
        except Exception as error:
            error.add_note(
                f"The loss got all that the module returns, a {type(output).__name__} with the "
                f"entries {[*named]}. Take what it is of: lambda output, y: "
                "loss(output['logits'], y), for instance."
            )
            raise
