"""Forward mode by torch's dual numbers: parameters carry a tangent through a pass of their own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from .contexts import no_fast_path, uncompiled
from .state import no_trace


@cache
def _load_forward_mode() -> None:
    """Have torch load its forward-mode formulas, which draws deprecation warnings of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with forward_ad.dual_level():
            forward_ad.make_dual(torch.zeros(1), torch.zeros(1))  # type: ignore[no-untyped-call]


@contextmanager
def _parameters_in_place(module: nn.Module) -> Iterator[None]:
    """Put the parameters back on leaving: swapping forgets one that two names lead to."""
    slots = [(m, dict(m._parameters)) for m in module.modules()]
    try:
        yield
    finally:
        for owner, parameters in slots:
            for name, p in parameters.items():
                if owner._parameters[name] is not p:
                    owner._parameters[name] = p


def push_dual(objective: nn.Module, batch: Any, tangents: Mapping[str, Tensor]) -> Tensor | None:
    """Tangents of a batch's losses (n,), given those of parameters; None where they are zero.

    The pass is run by kernels that have a formula, uncompiled; the module's other passes need
    not be. Forward mode has one level for all threads: `uncompiled` lets in one at a time.
    """
    with (
        torch.no_grad(),
        no_trace(objective),
        _parameters_in_place(objective),
        no_fast_path(),
        uncompiled(),
    ):
        _load_forward_mode()
        with forward_ad.dual_level():
            duals: dict[str, Tensor] = {
                name: forward_ad.make_dual(p.detach(), tangents[name])  # type: ignore[no-untyped-call]
                for name, p in objective.named_parameters()
                if name in tangents
            }
            losses, _ = functional_call(objective, duals, (batch,))
            slopes: Tensor | None = forward_ad.unpack_dual(losses).tangent  # type: ignore[no-untyped-call]
    return slopes
