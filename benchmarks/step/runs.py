"""Arms on a net: each is held to Algorithm 1, warmed up, and timed in turn with the others."""

from __future__ import annotations

import statistics
import textwrap
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from benchmarks.step.cases import Case, draw, setting, without_dropout
from benchmarks.step.costs import peak_memory, time_arms, timed
from benchmarks.step.rivals import ARMS, INEXACT, Arm, Setting, literal_weights
from sklearn_l2rw.meta_gradient.algorithm import inner_products, normalize
from sklearn_l2rw.meta_gradient.memory import MEMORY

TOLERANCE = 1e-4


@cache
def true_weights(case: Case, meta_parameters: str | None, device: str) -> Tensor:
    """Weights that arms should find, by Algorithm 1 as it stands.

    In float32: convolutions of float64 take minutes on CPU. The tests do it in float64. Where
    operations have no second derivative, by one backward pass for each example.
    """
    case = replace(case, compiled=False)
    net, batch, clean_batch = draw(case, device)
    given = setting(case, without_dropout(net), batch, clean_batch)
    try:
        return literal_weights(given, meta_parameters)
    except RuntimeError as error:
        if "is not implemented" not in str(error):
            raise
        return weights_by_example(given)


def weights_by_example(given: Setting) -> Tensor:
    """Weights over all parameters, one gradient after another."""
    parameters = list(given.net.parameters())
    v = torch.autograd.grad(given.losses(given.clean_batch).mean(), parameters)
    slopes = inner_products(
        given.losses(given.batch), v,
        lambda f_i: torch.autograd.grad(f_i, parameters, retain_graph=True),
    )  # fmt: skip
    return normalize(slopes)


def weights_error(case: Case, name: str, weights: Tensor | None, device: str) -> float | None:
    """Largest error of the weights of an arm's first step; ValueError if it is too large."""
    if weights is None or case.amp:  # in low precision no two ways agree
        return None
    expected = true_weights(case, "last" if name == "ours:last" else None, device)
    error = float((weights - expected).abs().max())
    tolerance = 0.5 * float(expected.max()) if name in INEXACT else TOLERANCE
    if not error <= tolerance:
        raise ValueError(f"its weights are off by {error:.2g}, allowed are {tolerance:.2g}")
    return error


def prepare(case: Case, name: str, device: str) -> tuple[Arm, Setting, float | None]:
    """Arm that is right and warmed up, what it works on, and the error of its weights."""
    net, *batches = draw(case, device)
    given = setting(case, net, *batches)
    arm = checked = ARMS[name](given)
    if case.dropout:
        checked = ARMS[name](setting(case, without_dropout(net), *batches))
    error = weights_error(case, name, checked.step(), device)
    arm.step()
    return arm, given, error


def first_steps(case: Case, device: str) -> dict[str, float]:
    """Seconds of the first step of a net, and of the next net's of the same architecture.

    The way has to be chosen in the first; kernels are warm.
    """
    net, *batches = draw(case, device)
    MEMORY.forget()
    arms = {name: ARMS["ours"](setting(case, net, *batches)) for name in ("first", "again")}
    return {name: timed(arm.step, device) for name, arm in arms.items()}


def reason(exception: Exception) -> str:
    """Why an arm is left out, in one line."""
    if isinstance(exception, ModuleNotFoundError):
        return f"{exception.name} is not installed"
    lines = str(exception).strip().splitlines()
    line = lines[0] if lines else "no message"
    return f"{type(exception).__name__}: {textwrap.shorten(line, 200, placeholder=' ...')}"


def run_case(
    case: Case, names: list[str], rounds: int, device: str
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Results by arm; and, for arms that are left out, why."""
    ready: dict[str, tuple[Arm, Setting, float | None]] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            ready[name] = prepare(case, name, device)
        except Exception as exception:  # other packages fail in any way
            if name == "plain":
                raise
            skipped[name] = reason(exception)
    first = first_steps(case, device) if "ours" in ready else None
    seconds = time_arms({name: arm.step for name, (arm, *_) in ready.items()}, rounds, device)
    found: dict[str, dict[str, Any]] = {}
    for name, (arm, given, error) in ready.items():
        median = statistics.median(seconds[name])
        memory = peak_memory(arm, given, device)
        plain = found.get("plain", {"ms": 1e3 * median, "memory_mb": memory / 1e6})
        found[name] = {
            "ms": 1e3 * median,
            "ratio": 1e3 * median / plain["ms"],
            "memory_mb": memory / 1e6,
            "memory_ratio": memory / 1e6 / plain["memory_mb"],
            "weights_error": error,
            "way": arm.note(),
            "rounds": rounds,
        }
    if first is not None:
        found["ours"] |= {k: 1e3 * t / found["plain"]["ms"] for k, t in first.items()}
    return found, skipped
