"""The clean set: the batches that the example weights are learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from skorch.utils import to_tensor
from torch import Tensor

from ..nested import map_leaves
from .batches import Batch, CollateNumbered, refuse_weights
from .collate import Collate
from .items import as_pair, stack_items
from .rows import Rows


class Position(NamedTuple):
    """A place in a stream of clean batches: permutations, and batches drawn of the current one.

    ``generator`` is the state that the current permutation was drawn from.
    """

    generator: Tensor
    drawn: int = 0

    @classmethod
    def start(cls, seed: int) -> Position:
        """Beginning of the stream of a seed."""
        return cls(torch.Generator().manual_seed(seed).get_state())


class CleanBatches:
    """Endless source of clean batches, on the device.

    A clean set that is no larger than `batch_size` is its own batch, the same at every step.
    From a larger one batches are drawn without replacement, reshuffled when fewer than
    `batch_size` examples are left, from a generator of its own.

    Parameters
    ----------
    dataset : Rows or torch.utils.data.Dataset
        Rows are kept on the device where they fit. Any other data set is asked for its items at
        every draw, since they may be random.
    batch_size : int
        Number of clean examples in a batch.
    device : str, torch.device or None
        Where batches are to be; None leaves them where they are.
    position : Position
        Where to begin.
    weight : torch.Tensor of shape (n_clean,) or None
        What each clean example counts; None for all the same.
    part : (int, int), default=(0, 1)
        Which part of a batch to give, of how many.
    collate : callable, default=stack_items
        Makes a batch of items, where the data set is asked for these.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        device: str | torch.device | None,
        position: Position,
        weight: Tensor | None = None,
        part: tuple[int, int] = (0, 1),
        collate: Collate = stack_items,
    ) -> None:
        self.dataset = dataset.to(device) if isinstance(dataset, Rows) else dataset
        self.batch_size = min(batch_size, len(dataset))
        self.device = device
        self.position = position
        self.weight = weight
        self.part = slice(part[0], None, part[1])
        self.collate = collate
        self._numbered = CollateNumbered(collate)
        self._generator = torch.Generator()
        self._stream = self._draw()
        self._next: Batch | None = None

    def next(self) -> Batch:
        """Draw the next clean batch."""
        batch = self.peek()
        self._next = None
        self.position = self.position._replace(drawn=self.position.drawn + 1)
        return batch

    def peek(self) -> Batch:
        """Look at the batch that will be drawn next."""
        if self._next is None:
            self._next = next(self._stream)
        return self._next

    def _draw(self) -> Iterator[Batch]:
        if isinstance(self.dataset, Rows) and self.batch_size == len(self.dataset):
            batch = self._at(list(range(self.batch_size)))
            while True:
                yield batch
        self._generator.set_state(self.position.generator)
        skip = self.position.drawn
        while True:
            self.position = Position(self._generator.get_state(), skip)
            order = torch.randperm(len(self.dataset), generator=self._generator)
            batches = torch.split(order, self.batch_size)[: len(self.dataset) // self.batch_size]
            for indices in batches[skip:]:
                yield self._at(indices.tolist())
            skip = 0

    def _at(self, indices: list[int]) -> Batch:
        indices = indices[self.part]
        if isinstance(self.dataset, Rows):
            X, y = self.dataset[indices]
            return self._on_device(X, y, indices)
        items = [self.dataset[i] for i in indices]
        if self.weight is None:
            return self._on_device(*as_pair(self.collate(items), "the clean_set"))
        batch, numbers = self._numbered(list(zip(items, indices, strict=True)))
        if numbers is None:
            refuse_weights()
        return self._on_device(*as_pair(batch, "the clean_set"), numbers)

    def _on_device(self, X: Any, y: Any, indices: Any = None) -> Batch:
        weight = None if self.weight is None else to_tensor(self.weight[indices], self.device)
        X = map_leaves(lambda x: x, X)  # skorch leaves a BatchEncoding where it is
        return Batch(to_tensor(X, self.device), to_tensor(y, self.device), weight=weight)
