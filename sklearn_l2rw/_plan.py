"""Which way computes the meta-gradient of a given module: chosen once, by trying.

A way is taken if it gets through a pass over a batch *and* its slopes are right. The second is no
formality: some modules let a way run and drop a part of the derivative without a word (TorchScript
in forward mode, a custom function whose backward is not differentiable in double backward, a
reentrant checkpoint in both). So the slopes ``u`` are held to one ordinary backward pass: for any
numbers ``r_i``, ``sum_i r_i u_i = <grad sum_i r_i f_i, v>``.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ._state import no_trace
from ._ways import (
    Differentiate,
    Pass,
    Tangents,
    Way,
    by_backward,
    by_grad,
    clean_gradient,
    double_backward,
    finite_difference,
    forward,
    forward_separate,
)

_logger = logging.getLogger("sklearn_l2rw")

META_GRADIENTS = ("auto", "forward", "double_backward", "finite_difference")
Context = Callable[[], AbstractContextManager[Any]]

# Relative error of the slopes that rounding explains, and that low precision (bfloat16) explains.
_TOLERANCE = {torch.float64: 1e-6}
_DEFAULT_TOLERANCE = 1e-3
_LOW_PRECISION_TOLERANCE = 5e-2


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run attention and recurrent layers by kernels that can be differentiated again.

    The fused attention kernels and cuDNN's recurrent ones have no forward-mode formula and no
    second derivative.
    """
    with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
        yield


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run what ``torch.compile`` made by the Python code that it was made from."""
    with torch.compiler.set_stance("force_eager"), plain_kernels():
        yield


@dataclass(frozen=True)
class Plan:
    """A way to compute the slopes, and what it needs.

    Attributes
    ----------
    name : str
        Of the way, as users know it.
    way : callable
        ``way(objective, batch, tangents)``.
    context : callable
        Makes the context in which the way's pass over the training batch runs.
    differentiate : callable
        How the gradient of the clean loss is computed.
    refusals : tuple of str
        Ways that come before this one, each with the reason why it was not taken.

    """

    name: str
    way: Way
    context: Context = nullcontext
    differentiate: Differentiate = by_grad
    refusals: tuple[str, ...] = ()

    def clean_gradient(
        self, objective: nn.Module, clean_batch: Any, parameters: Mapping[str, nn.Parameter]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of a clean batch, and its gradient by parameter name."""
        return clean_gradient(objective, clean_batch, parameters, self.differentiate)

    def __call__(self, objective: nn.Module, batch: Any, tangents: Tangents) -> Pass:
        """Slopes, losses and output of a training batch."""
        with self.context():
            if tangents:
                return self.way(objective, batch, tangents)
            losses, output = objective(batch)  # the clean loss depends on no parameter
            return Pass(torch.zeros_like(losses), losses, output)


def _has_batch_statistics(objective: nn.Module) -> bool:
    norm = torch.nn.modules.batchnorm._BatchNorm
    return any(isinstance(m, norm) and m.training for m in objective.modules())


def _candidates(objective: nn.Module, meta_gradient: str) -> list[Plan]:
    # Recording the tangents of BatchNorm's many operations costs more than a second pass.
    forward_way: Way = forward_separate if _has_batch_statistics(objective) else forward
    contexts: list[Context] = [nullcontext, plain_kernels]
    plans = [Plan("forward", forward_way, context) for context in contexts]
    if "torch._dynamo" in sys.modules:  # something was compiled
        plans.append(Plan("forward", partial(forward_separate, extra=uncompiled)))
        contexts.append(uncompiled)
        plans.append(Plan("forward", forward_way, uncompiled))
    plans += [Plan("double_backward", double_backward, context) for context in contexts]
    return [p for p in plans if meta_gradient in ("auto", p.name)]


class _Trial:
    """A batch, a direction and the truth about them, to hold ways to."""

    def __init__(self, objective: nn.Module, batch: Any, tangents: Tangents) -> None:
        self.objective = objective
        self.batch = batch
        self.tangents = tangents
        self._truth: dict[Context, tuple[Tensor, Tensor]] = {}

    def truth(self, context: Context) -> tuple[Tensor, Tensor]:
        """Numbers ``r`` (n,), and ``<grad sum_i r_i f_i, v>`` by an ordinary backward pass."""
        if context not in self._truth:
            parameters = dict(self.objective.named_parameters())
            chosen = {name: parameters[name] for name in self.tangents}
            with torch.enable_grad(), no_trace(self.objective), context():
                losses, _ = self.objective(self.batch)
                generator = torch.Generator().manual_seed(0)
                r = torch.randn(len(losses), generator=generator).to(losses)
                gradients = by_backward((r * losses).sum(), self.objective, chosen)
            pairs = zip(gradients, self.tangents.values(), strict=True)
            products = [torch.sum(g * v) for g, v in pairs if g is not None]
            self._truth[context] = r, torch.stack([r.new_zeros(()), *products]).sum()
        return self._truth[context]

    def error(self, plan: Plan) -> tuple[Pass, float]:
        """Run a way: what it finds, and its relative error."""
        r, truth = self.truth(plan.context)
        with no_trace(self.objective):
            found = plan(self.objective, self.batch, self.tangents)
        products = r * found.slopes.detach()
        scale = torch.maximum(products.abs().sum(), truth.abs())
        error = (products.sum() - truth).abs() / torch.where(scale > 0, scale, 1)
        return found, float(error)


def choose_plan(
    objective: nn.Module,
    batch: Any,
    clean_batch: Any,
    parameters: Mapping[str, nn.Parameter],
    meta_gradient: str,
) -> tuple[Plan, Pass, Tensor]:
    """First way that is right on a batch; what it found there; the clean loss.

    Finite differences, which are right for any module but not exact, come last. No trace is left.
    """
    differentiate = _choose_differentiation(objective, clean_batch, parameters)
    clean_loss, tangents = clean_gradient(objective, clean_batch, parameters, differentiate)
    chosen, refusals = _first_exact(
        _candidates(objective, meta_gradient), _Trial(objective, batch, tangents)
    )
    if chosen is None and meta_gradient not in ("auto", "finite_difference"):
        raise ValueError(
            f"Got meta_gradient={meta_gradient!r}, but this module cannot be differentiated that "
            f"way ({refusals[0]}). Use meta_gradient='auto', which finds a way that it can take."
        )
    if chosen is None:
        plan = Plan("finite_difference", finite_difference)
        with no_trace(objective):
            chosen = plan, plan(objective, batch, tangents)
    plan, found = chosen
    plan = replace(plan, differentiate=differentiate, refusals=tuple(refusals))
    if meta_gradient == "auto":
        _report(plan)
    return plan, found, clean_loss


def _first_exact(
    candidates: list[Plan], trial: _Trial
) -> tuple[tuple[Plan, Pass] | None, list[str]]:
    """First way whose error is rounding, else the best whose error is low precision."""
    refusals: list[str] = []
    best: tuple[Plan, Pass] | None = None
    least = _LOW_PRECISION_TOLERANCE
    for plan in candidates:
        try:
            found, error = trial.error(plan)
        except (NotImplementedError, RuntimeError) as exception:
            refusals.append(f"{plan.name}: {str(exception).strip().splitlines()[0]}")
            continue
        if not error > _TOLERANCE.get(found.losses.dtype, _DEFAULT_TOLERANCE):
            return (plan, found), refusals  # NaN too: the losses are, and the user is told
        refusals.append(f"{plan.name}: its slopes are off by {error:.1%} on a batch")
        if error < least:
            best, least = (plan, found), error
    return best, refusals


def _report(plan: Plan) -> None:
    """Say which way was chosen: loudly where it is not exact."""
    reasons = "; ".join(dict.fromkeys(plan.refusals))
    if plan.name == "finite_difference":
        warnings.warn(
            "The meta-gradient is computed by finite differences, which are not exact, because "
            f"no exact way can take this module ({reasons}). Set "
            "meta_gradient='finite_difference' to accept this.",
            UserWarning,
            stacklevel=2,
        )
    elif reasons:
        _logger.info("The meta-gradient is computed by %s (%s).", plan.name, reasons)


def _choose_differentiation(
    objective: nn.Module, clean_batch: Any, parameters: Mapping[str, nn.Parameter]
) -> Differentiate:
    """``by_grad``, unless ``backward()`` reaches parameters that it does not."""
    reached = [
        set(clean_gradient(objective, clean_batch, parameters, differentiate)[1])
        for differentiate in (by_backward, by_grad)
    ]
    return by_grad if reached[0] == reached[1] else by_backward
