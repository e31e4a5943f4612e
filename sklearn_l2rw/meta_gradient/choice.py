"""Which way computes the meta-gradient of a given module: found out by trying, and looked at again.

The first way of `WAYS` is taken that gets through a pass over a batch, and is right there (see
`trial`). It is not believed for ever: a batch on which something else is computed, as its
`signature` shows, is a trial of the plan in use, and so is, now and then, any batch. Trials are
made slightly off the parameters' values: where a last layer starts at zero, nothing below it would
be seen.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Hashable
from typing import Any

import torch
from torch import nn

from .algorithm import NOTHING, Wanted, Weighed
from .generators import ALL_STREAMS, GENERATORS, NO_STREAMS, Streams, drawing_from
from .gradients import Parameters, sharing_nothing
from .memory import MEMORY, architecture
from .signature import signature
from .state import Saved, perturbed
from .trial import REFUSALS, Given, Plan, Situation, Trial, look, situation
from .ways import WAYS, unweighed

_logger = logging.getLogger("sklearn_l2rw")

META_GRADIENTS = ("auto", *WAYS)

_NOISE = 0.01  # of the parameters in a trial
_RARER = 8  # each look at a plan comes after so many times the steps of the one before


def candidates(meta_gradient: str) -> list[Plan]:
    """Ways to try, the fastest first; those that run uncompiled what was compiled come late."""
    auto = meta_gradient == "auto"
    plans = [
        Plan(name, context)
        for name, way in WAYS.items()
        for context in way.contexts
        if (way.exact if auto else name == meta_gradient)
    ]
    return sorted(plans, key=lambda plan: (not WAYS[plan.way].tried, plan.context == "uncompiled"))


def first_right(plans: list[Plan], trial: Trial) -> tuple[Plan | None, list[str]]:
    """First plan whose error is rounding, else the best whose error is low precision.

    With the reasons why those before it were not taken.
    """
    refusals: list[str] = []
    best, least = None, float("inf")
    for plan in plans:
        if not WAYS[plan.way].tried:
            best = best or plan
            break
        reason = trial.refusal(plan)
        try:
            error = trial.error(plan) if reason is None else float("nan")
            if error <= trial.tolerance:
                best = plan
                break
            if error < least and trial.explained(plan, error):
                best, least = plan, error
        except torch.cuda.OutOfMemoryError:
            raise
        except REFUSALS as exception:
            reason = (str(exception).strip().splitlines() or ["?"])[0]
        reason = reason or f"it is off by {error:.1%} on a batch"
        refusals.append(f"{plan.way}: {reason}")
    return best, list(dict.fromkeys(refusals))


class Chooser:
    """Computes slopes by a way that is right for the module, and chooses anew where it is not.

    It may live across several fits of a module. It holds neither module nor data, and can be
    pickled.

    Parameters
    ----------
    meta_gradient : str
        One of `META_GRADIENTS`.

    Attributes
    ----------
    name : str
        The way in use; empty before the first call.
    streams : frozenset of str
        Global generators that the module was seen to draw from.

    """

    def __init__(self, meta_gradient: str) -> None:
        self.meta_gradient = meta_gradient
        self.name = ""
        self.streams: Streams = NO_STREAMS
        self._plans: dict[Situation, Plan] = {}
        self._failed: dict[Situation, set[tuple[str, str]]] = {}
        self._warned = False

    def __call__(
        self,
        objective: nn.Module,
        batch: Any,
        clean_batch: Any,
        parameters: Parameters,
        wanted: Wanted = NOTHING,
    ) -> Weighed:
        """Slopes, losses, output and weighted backward of a training batch; the clean loss."""
        given = Given(objective, batch, clean_batch, parameters, wanted)
        modules = list(objective.modules())
        before = Saved(modules, self.streams)
        now = situation(modules), frozenset(parameters), bool(wanted.clean)
        plan, looks = self._plans.get(now), 0
        if plan is None:
            before = Saved(modules, ALL_STREAMS)
            plan = self._recalled(given, now, before)
        if plan is None or (plan.calls >= plan.due and self._is_due(plan, len(batch[1]))):
            plan, looks = self._settle(plan, given, now, looks), 1
        failed: set[tuple[str, str]] = set()
        while plan is not None:
            try:
                found = plan.run(given, self.streams)
                known = looks == 2 or not WAYS[plan.way].tried
                if known or signature(found.losses) in plan.verified:
                    plan.calls += 1
                    self.name = plan.way
                    return found
                del found  # its graph would double the memory of a trial
            except torch.cuda.OutOfMemoryError:
                raise
            except REFUSALS:
                if plan.key in failed:
                    raise
                failed.add(plan.key)
                self._failed.setdefault(now, set()).add(plan.key)
                plan = None
            before.restore(self.streams)
            plan, looks = self._settle(plan, given, now, looks), min(looks + 1, 2)
        return self._unweighed(given)

    def _recalled(self, given: Given, now: Situation, before: Saved) -> Plan | None:
        """Plan that was right for another module of the same architecture."""
        key = self._key(given, now)
        plan = MEMORY.recall(key)
        if plan is None:
            return None
        with GENERATORS, torch.enable_grad():
            habits = look(given.objective, given.batch)
        self.streams |= habits.streams
        before.restore(self.streams)
        if WAYS[plan.way].together and (self.streams or habits.decides or habits.mixes):
            return None
        self._plans[now] = plan
        return plan

    def _key(self, given: Given, now: Situation) -> Hashable | None:
        kinds = tuple((x.dtype, x.device) for x in given.parameters.values())
        more = (self.meta_gradient, now[1:], kinds, given.wanted.norms is None)
        return architecture(given.objective.modules(), *more)

    def _is_due(self, plan: Plan, n: int) -> bool:
        """Whether it is time to look again at a plan: examples may have begun to interact."""
        if n == 1 or not WAYS[plan.way].tried:
            return False
        plan.due *= _RARER
        return True

    def _settle(self, plan: Plan | None, given: Given, now: Situation, looks: int) -> Plan | None:
        """Plan that is right on a batch: the one in use if it is; None where nothing can be told.

        What was computed at perturbed parameters may be something else, or nothing finite. Then
        they are left as they are.
        """
        for noise in (_NOISE, 0.0)[min(looks, 1) :]:
            moved = perturbed(given.objective, noise)
            with GENERATORS, torch.enable_grad(), sharing_nothing(), moved:
                trial = self._trial(given, fails=not noise)
                if trial is not None:
                    return self._decide(plan, trial, now)
        return None

    def _trial(self, given: Given, *, fails: bool) -> Trial | None:
        try:
            trial = Trial(given, self.streams)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception:
            if fails:  # in plain training: for the user to see
                raise
            return None
        self.streams = trial.streams
        return trial if trial.finite else None

    def _decide(self, plan: Plan | None, trial: Trial, now: Situation) -> Plan:
        failed = self._failed.setdefault(now, set())
        if plan is not None and not trial.accepts(plan):
            failed.add(plan.key)
            plan = None
        if plan is None:
            # Where paths alternate, the plan is one that was not refused on any of them.
            plans = sorted(candidates(self.meta_gradient), key=lambda p: p.key in failed)
            plan, refusals = first_right(plans, trial)
            reasons = "; ".join(refusals)
            if plan is None:
                raise ValueError(
                    f"Got meta_gradient={self.meta_gradient!r}, but this module cannot be "
                    f"differentiated that way ({reasons}). The ways that can are "
                    f"{_possible(trial)}; 'auto' takes the first."
                )
            self._report(plan, reasons, trial)
            self._plans[now] = plan
        plan.verified |= trial.signatures
        # The first that was right: a fit after this one begins as this one did, to the bit.
        if trial.telling and WAYS[plan.way].tried and not trial.low_precision and not failed:
            MEMORY.remember(self._key(trial.given, now), plan)
        if not trial.telling:
            plan.due = min(plan.due, 2 * plan.calls + 1)
        return plan

    def _report(self, plan: Plan, reasons: str, trial: Trial) -> None:
        """Say which way was chosen: loudly where it is slow, or not exact."""
        if not WAYS[plan.way].exact:
            _logger.warning(
                "The meta-gradient is computed by %s, which is not exact: it is off by %.1g of the "
                "slopes on a batch.",
                plan.way,
                trial.error(plan),
            )
        elif self.meta_gradient == "auto" and not WAYS[plan.way].tried and not self._warned:
            self._warned = True
            warnings.warn(
                "The meta-gradient is computed by one backward pass for each example, which is "
                f"exact and slow, because no faster way is right for this module ({reasons}). "
                "Set meta_gradient='per_example' to accept this, or "
                "meta_gradient='finite_difference' for a faster way that is not exact.",
                UserWarning,
                stacklevel=2,
            )
        else:
            _logger.info("The meta-gradient is computed by %s. %s", plan.way, reasons)

    def _unweighed(self, given: Given) -> Weighed:
        """Training pass over a batch about whose slopes nothing can be told."""
        with torch.enable_grad(), drawing_from(self.streams):
            return unweighed(*given)


def _possible(trial: Trial) -> list[str]:
    """Names of the ways that are right on a batch."""
    return [name for name in WAYS if first_right(candidates(name), trial)[0]]
