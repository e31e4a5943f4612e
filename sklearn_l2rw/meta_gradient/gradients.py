"""Gradients by parameter: of the clean loss, which all slopes are taken along, and of any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..nested import named_outputs
from .algorithm import Link, Wanted, Weighed
from .contexts import Context, current
from .graph import inputs_first
from .state import gradients_untouched, no_trace

Parameters = Mapping[str, nn.Parameter]
Gradients = list[Tensor | None]
Differentiate = Callable[[Tensor, nn.Module, Parameters], Gradients]


class Shared(NamedTuple):
    """Clean loss and its gradient by name that several processes share (see `processes`)."""

    loss: Tensor
    gradient: Mapping[str, Tensor]


# What is shared; NOTHING where several processes share nothing, as in a trial, which each makes for
# itself; None where a process is alone.
NOTHING = "nothing"
SHARED: ContextVar[Shared | str | None] = ContextVar("shared", default=None)


@contextmanager
def sharing(shared: Shared | str | None) -> Iterator[None]:
    """Within it, slopes are along a gradient that processes share, or each process's own."""
    token = SHARED.set(shared)
    try:
        yield
    finally:
        SHARED.reset(token)


def sharing_nothing() -> AbstractContextManager[None]:
    """Within it, each process computes clean gradients of its own."""
    return sharing(None if SHARED.get() is None else NOTHING)


def dense(gradient: Tensor) -> Tensor:
    """Gradient as an ordinary tensor; that of a sparse embedding is none."""
    return gradient.to_dense() if gradient.is_sparse else gradient


@contextmanager
def leaves_untouched(loss: Tensor) -> Iterator[None]:
    """Put the gradients of all leaves below a loss back on leaving, the user's own too."""
    nodes = [] if loss.grad_fn is None else inputs_first(loss.grad_fn)
    before = [(n.variable, n.variable.grad) for n in nodes if hasattr(n, "variable")]
    try:
        yield
    finally:
        for leaf, grad in before:
            leaf.grad = grad


@contextmanager
def hooks_off(module: nn.Module) -> Iterator[None]:
    """Call no hooks on gradients that are only looked at: an optimizer may step in them."""
    all_of = (getattr(p, "_post_accumulate_grad_hooks", None) for p in module.parameters())
    hooked = [(hooks, dict(hooks)) for hooks in all_of if hooks]
    try:
        for hooks, _ in hooked:
            hooks.clear()  # autograd holds this very dict
        yield
    finally:
        for hooks, kept in hooked:
            hooks.update(kept)


def by_grad(loss: Tensor, objective: nn.Module, parameters: Parameters) -> Gradients:
    """Gradient of a loss, computed as far down as the parameters reach."""
    return [*torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)]


def backward(loss: Tensor, *, keep: bool = False) -> None:
    """Add the gradient of a loss to all leaves below it, as ``loss.backward()`` does.

    With several processes not by it: DistributedDataParallel has hooks on the nodes that add to
    leaves, and would take the gradient for the one that it waits for since its last forward pass.
    """
    if SHARED.get() is None or loss.grad_fn is None:
        loss.backward(retain_graph=keep)  # type: ignore[no-untyped-call]
        return
    nodes = inputs_first(loss.grad_fn)
    if any(node.name() == "CheckpointFunctionBackward" for node in nodes):
        raise ValueError(
            "Got a reentrant checkpoint with several processes, but expected one whose parameters "
            "can be seen. Set use_reentrant=False in torch.utils.checkpoint.checkpoint."
        )
    leaves = [node.variable for node in nodes if hasattr(node, "variable")]
    found = torch.autograd.grad(loss, leaves, retain_graph=keep, allow_unused=True)
    for leaf, g in zip(leaves, found, strict=True):
        if g is not None:
            leaf.grad = g if leaf.grad is None else leaf.grad + g


def by_backward(
    loss: Tensor, objective: nn.Module, parameters: Parameters, *, keep: bool = False
) -> Gradients:
    """Gradient of a loss as training computes it: by ``backward()``.

    It takes reentrant checkpoints, which ``torch.autograd.grad`` does not, and finds the
    parameters inside them. The gradients that were there before are put back; the graph is kept
    if `keep`.
    """
    with gradients_untouched(objective), leaves_untouched(loss), hooks_off(objective):
        for p in objective.parameters():
            p.grad = None
        backward(loss, keep=keep)
        return [p.grad for p in parameters.values()]


def first_output(losses: Tensor, output: Any) -> Tensor | None:
    """What the losses are taken of: the module's (first) output, if it is a tensor in the graph.

    Not if the examples are along another axis, which shows where both axes are as long.
    """
    named = None if isinstance(output, Tensor) else named_outputs(output)
    if named is not None:
        output = [named["logits"]] if "logits" in named else [*named.values()]
    first = (output or [None])[0] if isinstance(output, (tuple, list)) else output
    if not isinstance(first, Tensor) or not first.requires_grad or first.ndim == 0:
        return None
    n = len(losses)
    if n > 1 and first.shape[:2] == (n, n):
        (r,) = torch.autograd.grad(losses[0], first, retain_graph=True, allow_unused=True)
        if r is not None and bool(r[1:].any()):
            return None
    return first


def at_output(r: Tensor, output: Tensor) -> Tensor:
    """Gradient at the output, as it is."""
    return r


def before_softmax(r: Tensor, p: Tensor) -> Tensor:
    """Gradient at the logits of probabilities (n, k): of ``-log p_y`` it is ``p - e_y``."""
    at_logits: Tensor = p * (r - (p * r).sum(1, keepdim=True))
    return at_logits


def before_sigmoid(r: Tensor, p: Tensor) -> Tensor:
    """Gradient at the logits of probabilities, each of its own."""
    return r * p * (1 - p)


def norms_of_rows(r: Tensor | None, output: Tensor, n: int, link: Link) -> Tensor | None:
    """Norms (n,) of the gradient at each example's output, if there is one for each.

    In single precision at least: of small numbers, low precision leaves nothing.
    """
    if r is None or len(r) != n:
        return None
    r = link(r, output.detach()).reshape(n, -1)
    dtype = (
        None if r.dtype in (torch.float64, torch.complex128) or r.is_complex() else torch.float32
    )
    norms: Tensor = torch.linalg.vector_norm(r, dim=1, dtype=dtype)
    return norms


def output_norms(losses: Tensor, output: Any, link: Link) -> Tensor | None:
    """Norm of the gradient of the losses at each output, (n,); None without one.

    `link` is for outputs that are probabilities: what is meant is the gradient at their logits. To
    be called before the graph of the losses is freed.
    """
    first = first_output(losses, output)
    if first is None:
        return None
    (r,) = torch.autograd.grad(
        losses, first, torch.ones_like(losses), retain_graph=True, allow_unused=True
    )
    return norms_of_rows(r, first, len(losses), link)


def add_to_gradients(pairs: Sequence[tuple[Tensor, Tensor]], factor: float) -> None:
    """Add a factor times a gradient to the ``.grad`` of each of the leaves."""
    if not pairs or factor == 0:
        return
    for leaf, gradient in pairs:
        g = factor * gradient
        if leaf.grad is None:
            same = g.is_sparse or g.stride() == leaf.stride()  # else torch warns of its layout
            leaf.grad = g if same else torch.empty_like(leaf).copy_(g)
        elif leaf.grad.is_sparse and not g.is_sparse:
            leaf.grad = g + leaf.grad
        else:
            leaf.grad.add_(g)


def clean_gradient(
    objective: nn.Module,
    clean_batch: Any,
    parameters: Parameters,
    differentiate: Differentiate = by_grad,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean loss of the clean batch, and its gradient by parameter name.

    Parameters that the loss does not depend on are left out: they have no tangent to carry. That
    of a sparse embedding is sparse (see `dense`). What processes share is not computed again.
    """
    shared = SHARED.get()
    if isinstance(shared, Shared):
        known = shared.gradient
        return shared.loss, {name: known[name] for name in parameters if name in known}
    with torch.enable_grad(), no_trace(objective, own_stream=True):
        losses, _ = objective(clean_batch)
        loss = losses.mean()
        gradients = (
            differentiate(loss, objective, parameters) if loss.requires_grad and parameters else []
        )
    named = zip(parameters, gradients, strict=False)
    return loss.detach(), {name: g for name, g in named if g is not None}


class Clean:
    """Clean loss and its gradient: along the parameters of the slopes, and all that is wanted."""

    def __init__(
        self,
        objective: nn.Module,
        clean_batch: Any,
        parameters: Parameters,
        wanted: Wanted,
        differentiate: Differentiate = by_grad,
    ) -> None:
        self.wanted, everything = wanted, {**wanted.clean, **parameters}
        self.loss, found = clean_gradient(objective, clean_batch, everything, differentiate)
        self.v = {name: dense(found[name]) for name in parameters if name in found}
        self.term = [(p, found[name]) for name, p in wanted.clean.items() if name in found]

    def weighed(self, slopes: Tensor | None, losses: Tensor, output: Any) -> Weighed:
        """Result of a way whose losses have their graph."""
        link = self.wanted.norms
        norms = None if link is None else output_norms(losses, output, link)
        slopes = torch.zeros_like(losses) if slopes is None else slopes.detach()
        return Weighed(
            slopes,
            losses,
            output,
            self.loss,
            partial(_backward, losses, self.term, current()),
            norms,
        )


def _backward(
    losses: Tensor,
    term: Sequence[tuple[Tensor, Tensor]],
    context: Context,
    weights: Tensor,
    clean_weight: float,
) -> None:
    add_to_gradients(term, clean_weight)  # first: hooks are to see the sum
    with context():  # a checkpoint runs its part of the module again
        backward((weights * losses).sum())
