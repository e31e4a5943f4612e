"""Ways to compute the meta-gradient of a batch, by name. All compute the slopes of `algorithm`.

A way is a function ``(objective, batch, clean_batch, parameters, wanted) -> Weighed``:

- ``objective(batch)`` returns the per-example losses (n,) of a batch and the module's output;
- `parameters` are those of the objective, by name, that the slopes are taken over;
- `wanted` is what the step needs beside slopes;
- of all its passes, the training pass alone may leave a trace in buffers and generators: the one
  whose losses and output are returned.

A new way is one more function here, and its line in `WAYS`. What it cannot take, it may let fail
(see `trial.REFUSALS`); whether it is right for a module is found out by trying.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .algorithm import NOTHING, Wanted, Weighed, inner, inner_products
from .contexts import CONTEXTS
from .dual import push_dual
from .gradients import Clean, Parameters, by_backward, dense
from .graph import push_forward
from .layers import layerwise
from .merged import merged
from .state import no_trace

Compute = Callable[[nn.Module, Any, Any, Parameters, Wanted], Weighed]


@dataclass(frozen=True)
class Way:
    """A way, and what there is to know before it is tried.

    Attributes
    ----------
    compute : callable
        ``compute(objective, batch, clean_batch, parameters, wanted)`` returns a `Weighed`.
    exact : bool
        Whether its slopes are right up to rounding.
    tried : bool
        Whether it is held to ordinary backward passes before it is believed.
    together : bool
        Whether it sees both batches in one pass. Then neither may random numbers be drawn, nor
        may data decide which path is taken.
    by_hand : bool
        Whether it writes gradients itself, and so calls no hooks of the user's.
    contexts : tuple of str
        Names of the contexts that it may be tried in.

    """

    compute: Compute
    exact: bool = True
    tried: bool = True
    together: bool = False
    by_hand: bool = False
    contexts: tuple[str, ...] = ("as_is",)


def unweighed(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """Training pass over a batch about whose slopes nothing can be told: they are NaN."""
    clean = Clean(objective, clean_batch, {}, NOTHING)
    losses, output = objective(batch)
    nothing = torch.full_like(losses.detach(), torch.nan)
    return clean.weighed(nothing, losses, output)._replace(norms=nothing)


def forward(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """``u = J v``, with ``J`` the Jacobian of the losses, through the graph of one pass."""
    clean = Clean(objective, clean_batch, parameters, wanted)
    losses, output = objective(batch)
    slopes = push_forward(losses, {parameters[name]: t for name, t in clean.v.items()})
    return clean.weighed(slopes, losses, output)


def dual_numbers(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """``u = J v``, by torch's forward mode, in a pass of its own of which nothing is recorded."""
    clean = Clean(objective, clean_batch, parameters, wanted)
    slopes = push_dual(objective, batch, clean.v)
    losses, output = objective(batch)
    return clean.weighed(slopes, losses, output)


def double_backward(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """``g(c) = grad sum_i c_i f_i`` is linear in ``c``, so ``u = d <g(c), v> / dc``."""
    clean = Clean(objective, clean_batch, parameters, wanted)
    losses, output = objective(batch)
    c = torch.ones_like(losses, requires_grad=True)
    product, slopes = losses.new_zeros(()), torch.zeros_like(losses)
    if clean.v:
        chosen = [parameters[name] for name in clean.v]
        gradients = torch.autograd.grad(losses, chosen, c, create_graph=True, allow_unused=True)
        pairs = zip(gradients, clean.v.values(), strict=True)
        product = sum((inner(g, v_p) for g, v_p in pairs if g is not None), product)
    if product.requires_grad:
        (slopes,) = torch.autograd.grad(product, c, retain_graph=True)
    return clean.weighed(slopes, losses, output)


def per_example(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """``u_i = <grad f_i, v>`` as it stands: an ordinary backward pass for each example."""
    clean = Clean(objective, clean_batch, parameters, wanted, by_backward)
    chosen = {name: parameters[name] for name in clean.v}
    losses, output = objective(batch)
    with no_trace(objective):  # a checkpoint runs its part of the module again
        slopes = inner_products(
            losses,
            [*clean.v.values()],
            lambda f_i: _densely(by_backward(f_i, objective, chosen, keep=True)),
        )
    return clean.weighed(slopes, losses, output)


def _densely(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [None if g is None else dense(g) for g in gradients]


def finite_difference(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """Central difference of the losses along ``v``: not exact, but needs nothing of autograd.

    The step is balanced between truncation (order ``h^2``) and rounding (order ``1/h``):
    ``h |v| = cbrt(machine epsilon) * max(1, |theta|)``.
    """
    clean = Clean(objective, clean_batch, parameters, wanted, by_backward)
    slopes = _central_difference(objective, batch, parameters, clean.v) if clean.v else None
    losses, output = objective(batch)
    return clean.weighed(slopes, losses, output)


def _central_difference(
    objective: nn.Module, batch: Any, parameters: Parameters, v: dict[str, Tensor]
) -> Tensor:
    chosen, directions = [parameters[name].data for name in v], list(v.values())
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(directions)))
    scale = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(chosen))).clamp(min=1)
    h = float(scale * torch.finfo(norm.dtype).eps ** (1 / 3) / norm.clamp(min=1e-30))
    before = [p.clone() for p in chosen]
    ends: list[Tensor] = []
    try:
        for step in (h, -h):
            torch._foreach_copy_(chosen, before)
            torch._foreach_add_(chosen, directions, alpha=step)
            with no_trace(objective):  # recorded all the same: it chooses among kernels
                ends.append(objective(batch)[0].detach())
    finally:
        torch._foreach_copy_(chosen, before)
    return (ends[0] - ends[1]) / (2 * h)


_ALL_CONTEXTS = tuple(CONTEXTS)

# In the order in which they are tried: the fastest first.
WAYS: dict[str, Way] = {
    "merged": Way(merged, together=True, by_hand=True),
    "layerwise": Way(layerwise, by_hand=True),
    "forward": Way(forward, contexts=_ALL_CONTEXTS),
    "dual_numbers": Way(dual_numbers),
    "double_backward": Way(double_backward, contexts=_ALL_CONTEXTS),
    "per_example": Way(per_example, tried=False, contexts=("as_is", "uncompiled")),
    "finite_difference": Way(finite_difference, exact=False, tried=False),
}
