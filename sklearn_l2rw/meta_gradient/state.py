"""Leave no trace: what an extra forward or backward pass may disturb is put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

# Held while torch's global generators are not where the user left them.
GENERATORS = RLock()


def _accelerator_devices(module: nn.Module) -> list[torch.device]:
    """Devices other than the CPU that hold a parameter or a buffer of the module."""
    tensors = (*module.parameters(), *module.buffers())
    return sorted({t.device for t in tensors if t.device.type == "cuda"}, key=str)


def _mutable(module: nn.Module) -> list[Tensor]:
    """Tensors that a forward pass may change in place: buffers, and renormalised embeddings."""
    embeddings = (nn.Embedding, nn.EmbeddingBag)
    return [
        *(buffer for buffer in module.buffers() if not is_lazy(buffer)),
        *(m.weight for m in module.modules() if isinstance(m, embeddings) and m.max_norm),
    ]


@contextmanager
def buffers_untouched(module: nn.Module) -> Iterator[None]:
    """Put the module's buffers (BatchNorm's running averages, say) back on leaving."""
    slots = [(owner, dict(owner._buffers)) for owner in module.modules()]
    # `.data`: a graph of the user's that holds these tensors must not see their version change,
    # since their values do not.
    storages = [tensor.data for tensor in _mutable(module)]
    values = [storage.clone() for storage in storages]
    try:
        yield
    finally:
        for owner, buffers in slots:
            for name in owner._buffers.keys() - buffers.keys():
                delattr(owner, name)
            for name, buffer in buffers.items():
                if owner._buffers[name] is not buffer:
                    owner._buffers[name] = buffer
        if storages:
            torch._foreach_copy_(storages, values)


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
def perturbed(module: nn.Module, scale: float = 0.01) -> Iterator[None]:
    """Move the module's parameters by a little noise, and back on leaving."""
    storages = [p.data for p in module.parameters()]
    values = [storage.clone() for storage in storages]
    generator = torch.Generator().manual_seed(0)
    try:
        for storage in storages:
            if storage.is_floating_point() or storage.is_complex():
                noise = torch.randn(storage.shape, generator=generator)
                storage.add_(noise.to(storage), alpha=scale)
        yield
    finally:
        if storages:
            torch._foreach_copy_(storages, values)


@contextmanager
def generators_untouched(module: nn.Module, *, own_stream: bool = False) -> Iterator[None]:
    """Put torch's global generators back on leaving.

    With ``own_stream`` the pass inside draws from a stream of its own (seeded by one draw from
    the global generator, which is put back too): the clean batch's dropout masks must not repeat
    those of the training batch, or examples would be favoured for their place in the batch.
    """
    devices = _accelerator_devices(module)
    with torch.random.fork_rng(devices=devices):
        if own_stream:
            seed = int(torch.empty((), dtype=torch.int64).random_())
            torch.default_generator.manual_seed(seed)
            for device in devices:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
        yield


@contextmanager
def no_trace(module: nn.Module, *, own_stream: bool = False) -> Iterator[None]:
    """Buffers and generators are after the block what they were before it."""
    with generators_untouched(module, own_stream=own_stream), buffers_untouched(module):
        yield
