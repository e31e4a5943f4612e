"""Ways to compute the meta-gradient of a batch.

All compute the same numbers. With the losses ``f_i`` of a training batch, ``i = 1..n``, the loss
``L`` of a clean batch, and ``v = grad L(theta)``, the negative meta-gradient of Algorithm 1 of
Ren et al. (2018) is, at ``eps = 0`` and up to the learning rate of the virtual step,

    ``u_i = - d L(theta - sum_j eps_j grad f_j(theta)) / d eps_i = <grad f_i(theta), v>``,

the directional derivative of ``f_i`` along ``v``. It is here called the *slope* of example ``i``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from threading import RLock
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from .algorithm import Weighed
from .state import gradients_untouched, no_trace


class Pass(NamedTuple):
    """A training batch seen once: its slopes, its losses with their graph, the output."""

    slopes: Tensor
    losses: Tensor
    output: Any


_ONE_LEVEL = RLock()  # forward mode has one level for all threads

Tangents = Mapping[str, Tensor]
Way = Callable[[nn.Module, Any, Tangents], Pass]
Method = Callable[[nn.Module, Any, Any, Mapping[str, nn.Parameter]], Weighed]


def dense(gradient: Tensor) -> Tensor:
    """Gradient as an ordinary tensor; that of a sparse embedding is none."""
    return gradient.to_dense() if gradient.is_sparse else gradient


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner product, of complex tensors as of pairs of real ones."""
    if a.is_complex():
        a, b = torch.view_as_real(a), torch.view_as_real(b)
    return (a * b).sum()


Differentiate = Callable[[Tensor, nn.Module, Mapping[str, nn.Parameter]], "Gradients"]
Gradients = list[Tensor | None]


def by_grad(
    loss: Tensor, objective: nn.Module, parameters: Mapping[str, nn.Parameter]
) -> Gradients:
    """Gradient of a loss, computed as far down as the parameters reach."""
    return list(torch.autograd.grad(loss, list(parameters.values()), allow_unused=True))


def by_backward(
    loss: Tensor, objective: nn.Module, parameters: Mapping[str, nn.Parameter]
) -> Gradients:
    """Gradient of a loss as training computes it: by ``backward()``.

    It finds parameters that ``torch.autograd.grad`` does not: those inside a reentrant
    checkpoint. The gradients that were there before are put back.
    """
    with gradients_untouched(objective):
        for p in objective.parameters():
            p.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        return [p.grad for p in parameters.values()]


def clean_gradient(
    objective: nn.Module,
    clean_batch: Any,
    parameters: Mapping[str, nn.Parameter],
    differentiate: Differentiate = by_grad,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean loss of the clean batch, and its gradient by parameter name.

    Parameters that the loss does not depend on are left out: they have no tangent to carry.
    """
    with torch.enable_grad(), no_trace(objective, own_stream=True):
        losses, _ = objective(clean_batch)
        loss = losses.mean()
        gradients = differentiate(loss, objective, parameters) if loss.requires_grad else []
    named = zip(parameters, gradients, strict=False)
    return loss.detach(), {name: dense(g.detach()) for name, g in named if g is not None}


def along(way: Way, differentiate: Differentiate = by_grad) -> Method:
    """Method that computes the clean gradient first, then the slopes along it."""

    def method(
        objective: nn.Module, batch: Any, clean_batch: Any, parameters: Mapping[str, nn.Parameter]
    ) -> Weighed:
        clean_loss, tangents = clean_gradient(objective, clean_batch, parameters, differentiate)
        if tangents:
            slopes, losses, output = way(objective, batch, tangents)
        else:  # the clean loss depends on no parameter
            losses, output = objective(batch)
            slopes = torch.zeros_like(losses)

        def backward(weights: Tensor) -> None:
            (weights * losses).sum().backward()  # type: ignore[no-untyped-call]

        return Weighed(slopes.detach(), losses, output, clean_loss, backward)

    return method


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


@contextmanager
def _no_fast_path() -> Iterator[None]:
    """Without the attention layers' fused inference, which rounds in other ways."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def dual_numbers(
    objective: nn.Module,
    batch: Any,
    tangents: Tangents,
    extra: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Pass:
    """Parameters carry ``v``, the losses carry the slopes, in a pass of which nothing is recorded.

    ``extra`` makes a context for that pass, so that the other can run compiled.
    """
    _load_forward_mode()
    with (
        torch.no_grad(),
        no_trace(objective),
        _parameters_in_place(objective),
        _no_fast_path(),
        extra(),
        _ONE_LEVEL,
        forward_ad.dual_level(),
    ):
        duals: dict[str, Tensor] = {
            name: forward_ad.make_dual(p.detach(), tangents[name])  # type: ignore[no-untyped-call]
            for name, p in objective.named_parameters()
            if name in tangents
        }
        dual, _ = functional_call(objective, duals, (batch,))
        slopes = forward_ad.unpack_dual(dual).tangent  # type: ignore[no-untyped-call]
    with torch.enable_grad():
        losses, output = objective(batch)
    return Pass(torch.zeros_like(losses) if slopes is None else slopes, losses, output)


def double_backward(objective: nn.Module, batch: Any, tangents: Tangents) -> Pass:
    """``g(c) = grad sum_i c_i f_i`` is linear in ``c``, so ``u = d <g(c), v> / dc``."""
    parameters = dict(objective.named_parameters())
    with torch.enable_grad():
        losses, output = objective(batch)
        c = torch.ones_like(losses, requires_grad=True)
        gradients = torch.autograd.grad(
            losses,
            [parameters[name] for name in tangents],
            grad_outputs=c,
            create_graph=True,
            allow_unused=True,
        )
        pairs = zip(gradients, tangents.values(), strict=True)
        product = sum((inner(g, v) for g, v in pairs if g is not None), losses.new_zeros(()))
        if not product.requires_grad:
            return Pass(torch.zeros_like(losses), losses, output)
        (slopes,) = torch.autograd.grad(product, c, retain_graph=True)
    return Pass(slopes, losses, output)


def finite_difference(objective: nn.Module, batch: Any, tangents: Tangents) -> Pass:
    """Central difference of the losses along ``v``: not exact, but needs nothing of autograd.

    The step is balanced between truncation (order ``h^2``) and rounding (order ``1/h``):
    ``h |v| = cbrt(machine epsilon) * max(1, |theta|)``.
    """
    parameters = dict(objective.named_parameters())
    chosen = [parameters[name].data for name in tangents]
    directions = list(tangents.values())
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(directions)))
    scale = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(chosen))).clamp(min=1)
    h = float(scale * torch.finfo(norm.dtype).eps ** (1 / 3) / norm.clamp(min=1e-30))
    before = [p.clone() for p in chosen]
    ends = []
    try:
        for step in (h, -h):
            torch._foreach_copy_(chosen, before)
            torch._foreach_add_(chosen, directions, alpha=step)
            with torch.no_grad(), no_trace(objective), _no_fast_path():
                ends.append(objective(batch)[0])
    finally:
        torch._foreach_copy_(chosen, before)
    with torch.enable_grad():
        losses, output = objective(batch)
    return Pass((ends[0] - ends[1]) / (2 * h), losses, output)
