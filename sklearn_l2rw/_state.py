"""Leave no trace: what an extra forward or backward pass may disturb is put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def _accelerator_devices(module: nn.Module) -> list[torch.device]:
    """Devices other than the CPU that hold a parameter or a buffer of the module."""
    tensors = (*module.parameters(), *module.buffers())
    return sorted({t.device for t in tensors if t.device.type == "cuda"}, key=str)


@contextmanager
def buffers_untouched(module: nn.Module) -> Iterator[None]:
    """Put the module's buffers (BatchNorm's running averages, say) back on leaving."""
    slots = [
        (owner, name, buffer)
        for owner in module.modules()
        for name, buffer in owner.named_buffers(recurse=False)
    ]
    # `.data`: a graph of the user's that holds these buffers must not see their version change,
    # since their values do not.
    storages = [buffer.data for _, _, buffer in slots]
    values = [storage.clone() for storage in storages]
    try:
        yield
    finally:
        for owner, name, buffer in slots:
            if getattr(owner, name) is not buffer:
                setattr(owner, name, buffer)
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
