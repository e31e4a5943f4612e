"""A batch on which ways are held to ordinary backward passes.

A way is right if its slopes are. That is no formality: some modules let a way run and drop a part
of the derivative without a word (TorchScript in forward mode, a custom function whose backward is
not differentiable in double backward, a reentrant checkpoint in both). So the slopes ``u`` are held
to one ordinary backward pass: for any numbers ``r_i``, ``sum_i r_i u_i = <grad sum_i r_i f_i, v>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .algorithm import NOTHING, Wanted, Weighed, inner
from .contexts import CONTEXTS
from .generators import (
    ALL_STREAMS,
    GENERATORS,
    STREAMS,
    Habits,
    Streams,
    drawing_from,
    hides_operations,
    watched,
)
from .gradients import (
    SHARED,
    Parameters,
    by_backward,
    clean_gradient,
    dense,
    hooks_off,
    leaves_untouched,
)
from .graph import inputs_first
from .layers import RefusedError, find_layers
from .signature import Signature, signature
from .state import buffers_untouched, gradients_untouched, no_trace
from .ways import WAYS

# How torch says that a way, or a watch, cannot take a module, and how the module's own functions
# may, which are run in ways that they were not written for.
_TORCHS = (NotImplementedError, RuntimeError, AttributeError, TypeError)
REFUSALS = (*_TORCHS, ValueError, AssertionError, LookupError, StopIteration)

# How many units of rounding of the largest gradient another one is compared with at least.
_ROUNDING = 1e4

_CLEAN_WEIGHT = 0.5  # any would do
_LOOKS = 4  # at whether it is the module that draws from a generator that has moved

# Relative error of the slopes that low precision (bfloat16) explains.
_LOW_PRECISION_TOLERANCE = 5e-2


Situation = tuple[tuple[Any, ...], frozenset[str], bool]


class Given(NamedTuple):
    """Arguments of a way."""

    objective: nn.Module
    batch: Any
    clean_batch: Any
    parameters: Parameters
    wanted: Wanted = NOTHING


@dataclass
class Plan:
    """A way in a context, and what it was found to be right for.

    Attributes
    ----------
    way, context : str
        Names in `WAYS` and `CONTEXTS`.
    verified : set of Signature
        Of the batches on which it was right.
    calls, due : int
        Steps it has taken, and the number of steps at which it is looked at again.

    """

    way: str
    context: str
    verified: set[Signature] = field(default_factory=set)
    calls: int = 0
    due: int = 64

    @property
    def key(self) -> tuple[str, str]:
        """Names of way and context."""
        return self.way, self.context

    def run(self, given: Given, streams: Streams) -> Weighed:
        """Slopes, losses, output and weighted backward of a training batch; the clean loss.

        `streams` are the generators that the module draws from.
        """
        token = STREAMS.set(streams)
        lock = GENERATORS if streams else nullcontext()
        try:
            with lock, torch.enable_grad(), CONTEXTS[self.context]():
                return WAYS[self.way].compute(*given)
        finally:
            STREAMS.reset(token)


class _Truth(NamedTuple):
    """One ordinary pass over a batch, of ``sum_i r_i f_i`` with some numbers ``r_i``.

    ``slope`` is ``<grad sum_i r_i f_i, v>``; ``gradient`` is that gradient by name, and
    ``buffers`` what the pass left in them.
    """

    r: Tensor
    slope: Tensor
    gradient: dict[str, Tensor]
    buffers: list[Tensor]

    def is_finite(self) -> bool:
        return all(bool(t.isfinite().all()) for t in (self.slope, *self.gradient.values()))


class Trial:
    """Batches, and the truth about them to hold ways to.

    Attributes
    ----------
    streams : frozenset of str
        Generators that the module draws from.
    finite : bool
        Whether the truth is; if not, nothing can be held to it.
    telling : bool
        Whether there is any slope to be seen.
    low_precision, reentrant : bool
        Whether the graph has nodes of low precision, or hides a part of itself.
    unlayered : str
        Why it has no layers; empty if it has.
    signatures : set of Signature
        Of what the ways computed.

    """

    def __init__(self, given: Given, streams: Streams) -> None:
        self.given = given
        self.habits = look(given.objective, given.batch)
        self.streams = streams | self.habits.streams
        self.hooks = has_backward_hooks(given.objective.modules())
        self.low_precision = self.reentrant = False
        self.unlayered = ""
        self.signatures: set[Signature] = set()
        self._truths: dict[tuple[str, int], _Truth] = {}
        self._tangents: dict[str, dict[str, Tensor]] = {}
        doubles = {torch.float64, torch.complex128}
        dtypes = {p.dtype for p in given.parameters.values()}
        self.tolerance = 1e-6 if dtypes <= doubles else 1e-3
        first = self._truth("as_is", 0)  # what fails here fails in plain training
        self.finite, self.telling = first.is_finite(), bool(first.slope != 0)

    def _clean_gradient(self, context: str) -> dict[str, Tensor]:
        if context not in self._tangents:
            objective, _, clean_batch, parameters, wanted = self.given
            with CONTEXTS[context](), drawing_from(self.streams):
                everything = {**wanted.clean, **parameters}
                _, found = clean_gradient(objective, clean_batch, everything, by_backward)
            self._tangents[context] = {name: dense(g) for name, g in found.items()}
        return self._tangents[context]

    def _truth(self, context: str, seed: int) -> _Truth:
        """Truth in a context, since kernels may draw random numbers in other ways."""
        if (context, seed) not in self._truths:
            v = self._clean_gradient(context)
            objective = self.given.objective
            # What is compiled has no graph to go back over twice.
            seeds = (seed,) if seed or hides_operations(objective) else (0, 1)
            with drawing_from(self.streams), no_trace(objective), CONTEXTS[context]():
                losses, _ = objective(self.given.batch)
                self._look_at_graph(losses)
                for seed_ in seeds:
                    truth = self._one_truth(losses, seed_, v, keep=seed_ != seeds[-1])
                    self._truths[context, seed_] = truth
        return self._truths[context, seed]

    def _one_truth(self, losses: Tensor, seed: int, v: dict[str, Tensor], *, keep: bool) -> _Truth:
        everything = dict(self.given.objective.named_parameters())
        r = torch.randn(len(losses), generator=torch.Generator().manual_seed(seed)).to(losses)
        loss = (r * losses).sum()
        if not loss.requires_grad:
            raise ValueError(
                "Got losses that do not depend on any parameter that requires a gradient, but the "
                "weights come from gradients. Unfreeze a parameter, or see what the module returns."
            )
        found = by_backward(loss, self.given.objective, everything, keep=keep)
        pairs = zip(everything, found, strict=True)
        gradient = {name: dense(g) for name, g in pairs if g is not None}
        slope = r.new_zeros(())
        for name in v.keys() & gradient.keys() & self.given.parameters.keys():
            slope = slope + inner(gradient[name], v[name])
        return _Truth(r, slope, gradient, [b.clone() for b in self.given.objective.buffers()])

    def _look_at_graph(self, losses: Tensor) -> None:
        try:
            find_layers(losses)
        except RefusedError as error:
            self.unlayered = str(error)
        low = {torch.bfloat16, torch.float16}
        for node in inputs_first(losses.grad_fn) if losses.grad_fn is not None else []:
            self.reentrant |= node.name() == "CheckpointFunctionBackward"
            self.low_precision |= any(m.dtype in low for m in node._input_metadata)

    def refusal(self, plan: Plan) -> str | None:
        """Why a way need not be tried, if so."""
        if self.reentrant:
            return "a reentrant checkpoint hides parameters: set use_reentrant=False"
        if WAYS[plan.way].by_hand and self.hooks:
            return "it has backward hooks, which would not be called"
        if WAYS[plan.way].by_hand and self.unlayered:
            return self.unlayered
        if WAYS[plan.way].together and (self.streams or self.habits.decides):
            return "the module draws random numbers, or data decide what it does"
        if WAYS[plan.way].together and self.habits.mixes:
            return "examples are put together outside of the graph"
        if WAYS[plan.way].together and SHARED.get() is not None:
            return "several processes share the clean gradient"
        return None

    def accepts(self, plan: Plan) -> bool:
        """Whether a plan is right on this batch."""
        if not WAYS[plan.way].tried:
            return True
        if self.refusal(plan):
            return False
        error = self.error(plan)
        return error <= self.tolerance or self.explained(plan, error)

    def explained(self, plan: Plan, error: float) -> bool:
        """Whether low precision explains an error, in more combinations too."""
        if not self.low_precision or not error < _LOW_PRECISION_TOLERANCE:
            return False
        return self.error(plan, checks=10) < _LOW_PRECISION_TOLERANCE

    def error(self, plan: Plan, checks: int = 2) -> float:
        """Relative error of a plan's slopes, in several combinations, and of its backward."""
        truth = self._truth(plan.context, 0)
        objective = self.given.objective
        with gradients_untouched(objective), drawing_from(self.streams), no_trace(objective):
            for p in objective.parameters():
                p.grad = None
            found = plan.run(self.given, self.streams)
            self.signatures.add(signature(found.losses))
            with CONTEXTS[plan.context](), leaves_untouched(found.losses), hooks_off(objective):
                found.backward(truth.r, _CLEAN_WEIGHT if self.given.wanted.clean else 0.0)
                named = objective.named_parameters()
                gradient = {name: dense(p.grad) for name, p in named if p.grad is not None}
            buffers = [b.clone() for b in objective.buffers()]
        pairs = zip(buffers, truth.buffers, strict=True)
        if not all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs):
            raise RuntimeError("it leaves other buffers than plain training does")
        errors = [self._slope_error(plan, found.slopes, seed) for seed in range(checks)]
        expected_gradient = self._expected(plan.context)
        # A gradient that is zero but for rounding, as that of an attention's key bias, has none
        # of its own to be compared with.
        largest = max(
            (float(g.abs().max()) for g in expected_gradient.values() if g.numel()), default=0.0
        )
        for name in gradient.keys() | expected_gradient.keys():
            expected = expected_gradient.get(name, torch.zeros(()).to(found.losses))
            difference = gradient.get(name, torch.zeros_like(expected)) - expected
            rounding = _ROUNDING * torch.finfo(expected.dtype).eps * largest
            errors.append(_relative(difference, expected, rounding))
        return max(errors, key=lambda error: (error != error, error))

    def _expected(self, context: str) -> dict[str, Tensor]:
        """What backward is to leave: the weighted gradient, and the clean one beside."""
        expected = dict(self._truth(context, 0).gradient)
        for name in self.given.wanted.clean.keys() & self._tangents[context].keys():
            term = _CLEAN_WEIGHT * self._tangents[context][name]
            expected[name] = expected[name] + term if name in expected else term
        return expected

    def _slope_error(self, plan: Plan, slopes: Tensor, seed: int) -> float:
        truth = self._truth(plan.context, seed)
        products = truth.r * slopes
        scale = torch.maximum(products.abs().sum(), truth.slope.abs())
        return _relative(products.sum() - truth.slope, scale)


def situation(modules: Sequence[nn.Module]) -> tuple[Any, ...]:
    """What a way is chosen for: which modules train, what is learned, whether there are hooks.

    Callbacks freeze and thaw layers, and a way that is right for some may be wrong for others.
    """
    found: list[Any] = [has_backward_hooks(modules)]
    for m in modules:
        found.append(m.training)
        found += [p is not None and p.requires_grad for p in m._parameters.values()]
    return tuple(found)


def has_backward_hooks(modules: Iterable[nn.Module]) -> bool:
    """Whether there are hooks that a gradient written by hand would not call."""
    for m in modules:
        if m._backward_hooks or m._backward_pre_hooks:
            return True
        for p in m._parameters.values():
            if p is not None and (
                p._backward_hooks or getattr(p, "_post_accumulate_grad_hooks", None)
            ):
                return True
    return False


def look(objective: nn.Module, batch: Any) -> Habits:
    """What a pass over a batch does beside computing losses; the worst where it cannot be seen.

    Generators of Python and of NumPy may be moved by another thread meanwhile, as by that of a
    Dask worker. The module draws from those that move whenever it is looked at.
    """
    if hides_operations(objective):
        return Habits()
    streams = ALL_STREAMS
    for _ in range(_LOOKS):
        try:
            with buffers_untouched(objective), watched(objective, len(batch[1])) as habits:
                objective(batch)
        except _TORCHS:  # if it is the module's, plain training meets it next
            return Habits()
        streams = habits.streams = streams & habits.streams
        if streams <= {"torch"}:  # whose draws are seen, not told from its position
            break
    return habits


def _relative(error: Tensor, scale: Tensor, least: float = 0.0) -> float:
    """Largest error over the largest entry of what it is compared with, or over `least`."""
    size, bound = float(error.abs().max()), float(scale.abs().max())
    return size / max(bound, least, torch.finfo(scale.dtype).tiny) if size else 0.0
