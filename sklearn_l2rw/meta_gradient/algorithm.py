r"""Algorithm 1 of Ren et al. (2018), lines 4 to 10, as it stands in the paper. Torch alone.

With the losses ``f_i`` of a training batch, ``i = 1..n``, and the mean loss ``L`` of a clean batch,
the paper takes a virtual step on weights ``eps`` that are zero,

    ``theta_hat(eps) = theta - lr * grad sum_i eps_i f_i(theta)``,

and asks how each ``eps_i`` would move the clean loss after it. By the chain rule that is

    ``u_i = - d L(theta_hat(eps)) / d eps_i = lr * <grad f_i(theta), grad L(theta_hat)>``,

where ``theta_hat = theta`` because ``eps = 0``. The learning rate cancels in the weights, so that
what has to be found are the *slopes* ``u_i = <grad f_i, v>`` along ``v = grad L(theta)``. All ways
in `ways` compute these numbers; here they are computed by their definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

Link = Callable[[Tensor, Tensor], Tensor]


class Wanted(NamedTuple):
    """What a step needs beside slopes: nothing, in the paper.

    ``clean`` are the parameters, by name, that the clean gradient is added to. ``norms``, if the
    norms of the gradients at the module's output are asked for, takes such a gradient and the
    output to the one whose norm is meant (see `output_norms`).
    """

    clean: Mapping[str, nn.Parameter] = MappingProxyType({})
    norms: Link | None = None


NOTHING = Wanted()


class Weighed(NamedTuple):
    """All that a step needs of a training batch and a clean batch.

    ``slopes`` (n,), ``losses`` (n,), the module's output, the mean clean loss ``L``, and
    ``backward(weights, clean_weight)``, which adds the gradient of ``sum_i w_i f_i`` to all
    parameters and ``clean_weight`` times that of ``L`` to those that were `Wanted`. ``norms`` (n,)
    are those of ``d (sum_j f_j) / d z_i``, with ``z_i`` the module's output; None where there is
    no such gradient, or they were not asked for.
    """

    slopes: Tensor
    losses: Tensor
    output: Any
    clean_loss: Tensor
    backward: Callable[[Tensor, float], None]
    norms: Tensor | None = None


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner product, of complex tensors as of pairs of real ones."""
    if a.is_complex():
        a, b = torch.view_as_real(a), torch.view_as_real(b)
    return (a * b).sum()


def inner_products(
    losses: Tensor,
    v: Sequence[Tensor],
    gradient: Callable[[Tensor], Sequence[Tensor | None]],
) -> Tensor:
    """Slopes ``u_i = <grad f_i, v>``, where ``gradient(f_i)`` is the gradient, one tensor each."""
    slopes = torch.zeros_like(losses, requires_grad=False)
    for i, f_i in enumerate(losses):
        for g, v_p in zip(gradient(f_i), v, strict=True):
            if g is not None:
                slopes[i] += inner(g, v_p)
    return slopes


def rectify(slopes: Tensor) -> Tensor:
    """Equation 8: ``max(u, 0)``, over its largest entry, which equation 9 cancels.

    That keeps the sum of equation 9 clear of underflow where gradients are tiny.
    """
    positive = slopes.clamp(min=0)
    peak = positive.amax()
    return positive / torch.where(peak > 0, peak, torch.ones_like(peak))


def normalize(slopes: Tensor) -> Tensor:
    """Equation 9: ``max(u, 0)`` over its sum, all 0 where that is 0."""
    positive = rectify(slopes)
    total = positive.sum()
    return positive / torch.where(total > 0, total, torch.ones_like(total))


def literal_weights(
    objective: nn.Module,
    batch: Any,
    clean_batch: Any,
    parameters: Mapping[str, nn.Parameter],
    lr: float = 1e-3,
) -> Tensor:
    """Algorithm 1, lines 4 to 10, with the virtual step in the graph: slow, and plain to see.

    ``objective(batch)`` returns the per-example losses (n,) and an output; `parameters` are those
    of it that the virtual step moves, by name. Buffers are left as they are.
    """

    def losses_at(theta: Mapping[str, Tensor], batch: Any) -> Tensor:
        buffers = {name: b.clone() for name, b in objective.named_buffers()}
        losses: Tensor = functional_call(objective, {**buffers, **theta}, (batch,))[0]
        return losses

    theta = dict(parameters)
    f = losses_at(theta, batch)  # line 4
    eps = torch.zeros_like(f, requires_grad=True)  # line 5
    gradients = torch.autograd.grad(  # line 6
        (eps * f).sum(), list(theta.values()), create_graph=True, materialize_grads=True
    )
    pairs = zip(theta.items(), gradients, strict=True)
    theta_hat = {name: p - lr * g for (name, p), g in pairs}  # line 7
    clean_loss = losses_at(theta_hat, clean_batch).mean()  # line 8
    (slope,) = torch.autograd.grad(clean_loss, eps, materialize_grads=True)  # line 9
    return normalize(-slope)  # line 10: equations 8 and 9
