"""Contexts that a way of computing the meta-gradient runs in: which kernels, compiled or not.

They change settings of the process, so one thread at a time is in one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from .generators import GENERATORS

Context = Callable[[], AbstractContextManager[Any]]

_CURRENT: ContextVar[Context] = ContextVar("current", default=nullcontext)


def current() -> Context:
    """Context that is entered now: what is checkpointed in it is to be run again in it."""
    return _CURRENT.get()


@contextmanager
def _entered(context: Context) -> Iterator[None]:
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run attention and recurrent layers by kernels that can be differentiated again.

    The fused attention kernels and cuDNN's recurrent ones have no forward-mode formula and no
    second derivative.
    """
    recurrent = torch.backends.cudnn.flags(enabled=False)
    with GENERATORS, sdpa_kernel(SDPBackend.MATH), recurrent, _entered(plain_kernels):
        yield


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run what ``torch.compile`` made by the Python code that it was made from."""
    with ExitStack() as stack:
        stack.enter_context(plain_kernels())
        # Nothing was compiled before the compiler is loaded, which takes seconds.
        if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(_entered(uncompiled))
        yield


@contextmanager
def no_fast_path() -> Iterator[None]:
    """Without the attention layers' fused inference, which rounds in other ways."""
    with GENERATORS:
        enabled = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(enabled)


CONTEXTS: dict[str, Context] = {
    "as_is": nullcontext,
    "plain_kernels": plain_kernels,
    "uncompiled": uncompiled,
}
