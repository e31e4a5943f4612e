"""The clean set: the batches that the example weights are learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch.utils.data import DataLoader

from ._rows import Rows


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
    device : str or torch.device
        Where batches are to be.
    seed : int
        Seed of the generator.

    """

    def __init__(
        self, dataset: Any, batch_size: int, device: str | torch.device, seed: int
    ) -> None:
        self.dataset = dataset.to(device) if isinstance(dataset, Rows) else dataset
        self.batch_size = min(batch_size, len(dataset))
        self.device = device
        self.generator = torch.Generator().manual_seed(seed)
        self._stream = self._draw()
        self._next: tuple[Any, Any] | None = None

    def next(self) -> tuple[Any, Any]:
        """Draw the next clean batch."""
        batch = self.peek()
        self._next = None
        return batch

    def peek(self) -> tuple[Any, Any]:
        """Look at the batch that will be drawn next."""
        if self._next is None:
            self._next = next(self._stream)
        return self._next

    def _draw(self) -> Iterator[tuple[Any, Any]]:
        if isinstance(self.dataset, Rows):
            yield from self._draw_rows(self.dataset)
        loader: DataLoader[Any] = DataLoader(
            self.dataset, self.batch_size, shuffle=True, drop_last=True, generator=self.generator
        )
        while True:
            for batch in loader:
                yield self._on_device(batch)

    def _draw_rows(self, rows: Rows) -> Iterator[tuple[Any, Any]]:
        n = len(rows)
        if self.batch_size == n:
            batch = self._on_device(rows[list(range(n))])
            while True:
                yield batch
        while True:
            order = torch.randperm(n, generator=self.generator)
            for indices in torch.split(order, self.batch_size)[: n // self.batch_size]:
                yield self._on_device(rows[indices.tolist()])

    def _on_device(self, batch: Any) -> tuple[Any, Any]:
        X, y = unpack_data(batch)
        return to_tensor(X, self.device), to_tensor(y, self.device)
