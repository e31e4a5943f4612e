"""Leave no trace: what an extra forward or backward pass may disturb is put back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .generators import STREAMS, Positions, Streams, generators_untouched


class _Buffers:
    """What a forward pass may change: buffers (BatchNorm's averages, say), renormed embeddings."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._slots = [(owner, dict(owner._buffers)) for owner in modules]
        mutable = [b for _, buffers in self._slots for b in buffers.values() if b is not None]
        mutable += [
            owner.weight
            for owner, _ in self._slots
            if isinstance(owner, (nn.Embedding, nn.EmbeddingBag)) and owner.max_norm
        ]
        # `.data`: a graph of the user's that holds these tensors must not see their version
        # change, since their values do not.
        self._storages = [tensor.data for tensor in mutable if not is_lazy(tensor)]
        self._values = [storage.clone() for storage in self._storages]

    def restore(self) -> None:
        for owner, buffers in self._slots:
            for name in owner._buffers.keys() - buffers.keys():
                delattr(owner, name)
            for name, buffer in buffers.items():
                if owner._buffers[name] is not buffer:
                    owner._buffers[name] = buffer
        if self._storages:
            torch._foreach_copy_(self._storages, self._values)


class Saved:
    """Buffers and generators before a step, for the step to be taken again."""

    def __init__(self, modules: Sequence[nn.Module], streams: Streams) -> None:
        self._buffers = _Buffers(modules)
        self._positions = Positions(modules, streams) if streams else None

    def restore(self, streams: Streams) -> None:
        """Put back the buffers, and the generators that the module draws from."""
        self._buffers.restore()
        if self._positions is not None:
            self._positions.restore(streams)


@contextmanager
def buffers_untouched(module: nn.Module) -> Iterator[None]:
    """Put the module's buffers back on leaving."""
    buffers = _Buffers(module.modules())
    try:
        yield
    finally:
        buffers.restore()


@contextmanager
def gradients_untouched(module: nn.Module) -> Iterator[None]:
    """Put the gradients of the module's parameters back on leaving."""
    before = [(p, p.grad) for p in module.parameters()]
    try:
        yield
    finally:
        for p, grad in before:
            p.grad = grad


@contextmanager
def perturbed(module: nn.Module, scale: float) -> Iterator[None]:
    """Move what is trained by noise of a share of its size, and back on leaving.

    Tensors that are all zero, as some last layers start, are moved by `scale` itself.
    """
    storages = [p.data for p in module.parameters() if p.requires_grad and scale]
    values = [storage.clone() for storage in storages]
    generator = torch.Generator().manual_seed(0)
    try:
        for storage in storages:
            size = float(torch.linalg.vector_norm(storage)) / max(storage.numel(), 1) ** 0.5
            noise = torch.randn(storage.shape, generator=generator)
            storage.add_(noise.to(storage), alpha=scale * (size or 1.0))
        yield
    finally:
        if storages:
            torch._foreach_copy_(storages, values)


@contextmanager
def no_trace(module: nn.Module, *, own_stream: bool = False) -> Iterator[None]:
    """Buffers and generators are after the block what they were before it."""
    buffers, streams = _Buffers(module.modules()), STREAMS.get()
    draws_nothing = streams is not None and not streams
    try:
        if draws_nothing:
            yield
        else:
            with generators_untouched(module, own_stream=own_stream):
                yield
    finally:
        buffers.restore()
