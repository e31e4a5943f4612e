"""Which way computes the meta-gradient of a given module: chosen once, by trying.

A way is taken if it gets through a pass over a batch *and* its slopes are right. The second is no
formality: some modules let a way run and drop a part of the derivative without a word (TorchScript
in forward mode, a custom function whose backward is not differentiable in double backward, a
reentrant checkpoint in both). So the slopes ``u`` are held to one ordinary backward pass: for any
numbers ``r_i``, ``sum_i r_i u_i = <grad sum_i r_i f_i, v>``. That is tried slightly off the
parameters' values: where a last layer starts at zero, nothing below it would be seen.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .algorithm import Weighed
from .graph import forward_on_graph, inputs_first
from .layers import has_backward_hooks, layerwise, merged
from .state import gradients_untouched, no_trace, perturbed
from .ways import (
    Method,
    along,
    by_backward,
    by_grad,
    clean_gradient,
    dense,
    double_backward,
    dual_numbers,
    finite_difference,
    inner,
)

_logger = logging.getLogger("sklearn_l2rw")

META_GRADIENTS = ("auto", "layerwise", "forward", "double_backward", "finite_difference")
Context = Callable[[], AbstractContextManager[Any]]
Parameters = Mapping[str, nn.Parameter]

# Relative error of the slopes that low precision (bfloat16) explains.
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
    """How the meta-gradient of a module is computed.

    Attributes
    ----------
    name : str
        Of the way, as users know it.
    method : callable
        ``method(objective, batch, clean_batch, parameters)`` returns a `Weighed`.
    context : callable
        Makes the context in which it runs.
    refusals : tuple of str
        Ways that come before this one, each with the reason why it was not taken.
    """

    name: str
    method: Method
    context: Context = nullcontext
    refusals: tuple[str, ...] = ()

    def __call__(
        self, objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters
    ) -> Weighed:
        """Slopes, losses, output and weighted backward of a training batch; the clean loss."""
        with self.context():
            return self.method(objective, batch, clean_batch, parameters)


def situation(objective: nn.Module) -> tuple[bool, ...]:
    """What a way was chosen for: which modules train, and which parameters are learned.

    Callbacks freeze and thaw layers, and a way that is right for some may be wrong for others.
    """
    return (
        *(m.training for m in objective.modules()),
        *(p.requires_grad for p in objective.parameters()),
    )


def _candidates(objective: nn.Module, meta_gradient: str) -> list[Plan]:
    """Exact ways, the fastest first."""
    plans = [Plan("forward", along(forward_on_graph))]
    if not has_backward_hooks(objective):
        plans = [Plan("layerwise", merged), Plan("layerwise", layerwise), *plans]
    contexts: list[Context] = [nullcontext, plain_kernels]
    if "torch._dynamo" in sys.modules:  # something was compiled
        contexts.append(uncompiled)
        extra = partial(dual_numbers, extra=uncompiled)
        plans.append(Plan("forward", along(extra)))
    plans += [Plan("forward", along(forward_on_graph), context) for context in contexts[1:]]
    plans += [Plan("double_backward", along(double_backward), context) for context in contexts]
    return [p for p in plans if meta_gradient in ("auto", p.name)]


class _Truth(NamedTuple):
    """One ordinary pass over a batch, of ``sum_i r_i f_i`` with some numbers ``r_i``.

    ``slope`` is ``<grad sum_i r_i f_i, v>``; ``gradient`` is that gradient by name, and ``state``
    what the pass left in buffers and generator.
    """

    r: Tensor
    slope: Tensor
    gradient: dict[str, Tensor]
    state: list[Tensor]


class _Trial:
    """Batches, and the truth about them to hold ways to."""

    def __init__(
        self, objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters
    ) -> None:
        self.objective = objective
        self.batches = batch, clean_batch
        self.parameters = parameters
        self.low_precision = False
        self._truths: dict[tuple[Context, int], _Truth] = {}
        self._tangents: dict[Context, dict[str, Tensor]] = {}
        tangents = self.tangents(nullcontext)
        reached = clean_gradient(objective, clean_batch, parameters, by_grad)[1]
        self.hidden = set(reached) != set(tangents)
        dtypes = {v.dtype for v in tangents.values()}
        self.tolerance = 1e-6 if dtypes <= {torch.float64, torch.complex128} else 1e-3

    def _state(self) -> list[Tensor]:
        return [torch.get_rng_state(), *(b.clone() for b in self.objective.buffers())]

    def tangents(self, context: Context) -> dict[str, Tensor]:
        """Clean gradient, by ``backward()``."""
        if context not in self._tangents:
            with context():
                self._tangents[context] = clean_gradient(
                    self.objective, self.batches[1], self.parameters, by_backward
                )[1]
        return self._tangents[context]

    def truth(self, context: Context, seed: int) -> _Truth:
        """Truth in a context, since kernels may draw random numbers in other ways."""
        if (context, seed) not in self._truths:
            everything = dict(self.objective.named_parameters())
            with torch.enable_grad(), no_trace(self.objective), context():
                losses, _ = self.objective(self.batches[0])
                self.low_precision |= _has_low_precision(losses)
                generator = torch.Generator().manual_seed(seed)
                r = torch.randn(len(losses), generator=generator).to(losses)
                found = by_backward((r * losses).sum(), self.objective, everything)
                state = self._state()
            pairs = zip(everything, found, strict=True)
            gradient = {name: dense(g) for name, g in pairs if g is not None}
            slope = r.new_zeros(())
            for name, v in self.tangents(context).items():
                slope = slope + inner(gradient[name], v) if name in gradient else slope
            self._truths[context, seed] = _Truth(r, slope, gradient, state)
        return self._truths[context, seed]

    def error(self, plan: Plan, *, checks: int) -> float:
        """Relative error of a way's slopes, in several combinations, and of its backward."""
        truth = self.truth(plan.context, 0)
        with gradients_untouched(self.objective), no_trace(self.objective), plan.context():
            for p in self.objective.parameters():
                p.grad = None
            found = plan(self.objective, *self.batches, self.parameters)
            found.backward(truth.r)
            named = self.objective.named_parameters()
            gradient = {name: dense(p.grad) for name, p in named if p.grad is not None}
            state = self._state()
        pairs = zip(state, truth.state, strict=True)
        if not all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs):
            raise RuntimeError("it leaves other buffers or random states than plain training does")
        errors = []
        for seed in range(checks):
            r, slope, *_ = self.truth(plan.context, seed)
            products = r * found.slopes
            scale = torch.maximum(products.abs().sum(), slope.abs())
            errors.append(_relative(products.sum() - slope, scale))
        for name in gradient.keys() | truth.gradient.keys():
            expected = truth.gradient.get(name, torch.zeros(()).to(found.losses))
            difference = gradient.get(name, torch.zeros_like(expected)) - expected
            errors.append(_relative(difference, expected))
        return max(errors, key=lambda error: (error != error, error))


def _has_low_precision(losses: Tensor) -> bool:
    low = {torch.bfloat16, torch.float16}
    nodes = inputs_first(losses.grad_fn) if losses.grad_fn is not None else []
    return any(m.dtype in low for node in nodes for m in node._input_metadata)


def _relative(error: Tensor, scale: Tensor) -> float:
    """Largest error over the largest entry of what it is compared with."""
    size, bound = float(error.abs().max()), float(scale.abs().max())
    return size / max(bound, torch.finfo(scale.dtype).tiny) if size else 0.0


def choose_plan(
    objective: nn.Module,
    batch: Any,
    clean_batch: Any,
    parameters: Parameters,
    meta_gradient: str,
) -> Plan:
    """First way that is right on a batch.

    Finite differences, which are right for any module but not exact, come last. No trace is left.
    """
    with torch.enable_grad(), perturbed(objective):
        trial = _Trial(objective, batch, clean_batch, parameters)
        trial.truth(nullcontext, 0)  # what fails here fails in plain training: the user's to see
        plan, refusals = _first_exact(meta_gradient, trial)
        possible = _possible(trial) if plan is None and meta_gradient != "auto" else []
    reasons = "; ".join(refusals) or "it has backward hooks, which would not be called"
    if plan is None and meta_gradient not in ("auto", "finite_difference"):
        raise ValueError(
            f"Got meta_gradient={meta_gradient!r}, but this module cannot be differentiated that "
            f"way ({reasons}). The ways that can are {possible}; 'auto' takes the first."
        )
    if plan is None:
        differentiate = by_backward if trial.hidden else by_grad
        plan = Plan("finite_difference", along(finite_difference, differentiate))
    if meta_gradient == "auto":
        _report(plan, reasons)
    return replace(plan, refusals=tuple(refusals))


def _possible(trial: _Trial) -> list[str]:
    exact = [name for name in META_GRADIENTS[1:-1] if _first_exact(name, trial)[0]]
    return [*exact, "finite_difference"]


def _first_exact(meta_gradient: str, trial: _Trial) -> tuple[Plan | None, list[str]]:
    """First way whose error is rounding, else the best whose error is low precision."""
    if trial.hidden:
        return None, ["a reentrant checkpoint hides parameters: set use_reentrant=False"]
    refusals: list[str] = []
    best: Plan | None = None
    least = _LOW_PRECISION_TOLERANCE
    for plan in _candidates(trial.objective, meta_gradient):
        try:
            error = trial.error(plan, checks=2)
            if not error > trial.tolerance:
                best = plan  # NaN too: the losses are, and the user is told
                break
            if trial.low_precision and error < least:  # by chance?
                error = trial.error(plan, checks=10)
        except (NotImplementedError, RuntimeError, AttributeError, TypeError) as exception:
            refusals.append(f"{plan.name}: {(str(exception).strip().splitlines() or ['?'])[0]}")
            continue
        refusals.append(f"{plan.name}: it is off by {error:.1%} on a batch")
        if trial.low_precision and error < least:
            best, least = plan, error
    return best, list(dict.fromkeys(refusals))


def _report(plan: Plan, reasons: str) -> None:
    """Say which way was chosen: loudly where it is not exact."""
    if plan.name == "finite_difference":
        warnings.warn(
            "The meta-gradient is computed by finite differences, which are not exact, because "
            f"no exact way can take this module ({reasons}). Set "
            "meta_gradient='finite_difference' to accept this.",
            UserWarning,
            stacklevel=2,
        )
    else:
        _logger.info("The meta-gradient is computed by %s. %s", plan.name, reasons)


class Chooser:
    """Computes slopes by the way that is right for a module; chosen anew in another situation."""

    def __init__(self, meta_gradient: str) -> None:
        self.meta_gradient = meta_gradient
        self._plan: Plan | None = None
        self._chosen_for: tuple[bool, ...] = ()

    @property
    def name(self) -> str:
        """Of the way in use."""
        return self._plan.name if self._plan else ""

    def __call__(
        self, objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters
    ) -> Weighed:
        """Slopes, losses, output and weighted backward of a training batch; the clean loss."""
        now = situation(objective)
        if self._plan is None or now != self._chosen_for:
            self._chosen_for = now
            self._plan = choose_plan(objective, batch, clean_batch, parameters, self.meta_gradient)
        return self._plan(objective, batch, clean_batch, parameters)
