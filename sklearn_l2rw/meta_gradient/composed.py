r"""The step of this package: Algorithm 1, and what makes it better, put together of named parts.

With the slopes ``u_i = <grad f_i, v>`` along the clean gradient ``v = grad L``, which Algorithm 1
computes to weigh the examples,

    ``w_i = max(u_i / s_i, 0) / sum_j max(u_j / s_j, 0)``   and the step is along
    ``d = sum_i w_i grad f_i + lambda v``.

- *Clean term* (``lambda``, `clean_loss_weight`): the step is on ``sum_i w_i f_i + lambda L``, so
  that the net learns from the clean examples, too. Their gradient is there already. 0 in the paper.
- *Scale of slopes* (`scale_slopes`): ``s_i = |d (sum_j f_j) / d z_i|``, the norm of the gradient
  at the module's output ``z_i``, which for cross entropy is ``|p_i - e_{y_i}|``. What is left of a
  slope is how well the example's direction agrees with the clean one, not how large its error is:
  wrong labels have the largest errors. Where the output is probabilities, it is the gradient at
  their logits that is meant. 1 in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .algorithm import Weighed, normalize
from .processes import ALONE, Alone, Several
from .trial import Given


class Parts(NamedTuple):
    """Parts of the step; all off is the paper's."""

    clean_loss_weight: float = 0.3
    scale_slopes: bool = True
    uniform: bool = False  # all examples count alike: before weights are learned


def check_parts(clean_loss_weight: Any, scale_slopes: Any) -> None:
    """Check what a step is to be put together of."""
    check_number(
        "clean_loss_weight", clean_loss_weight, 0 <= as_float(clean_loss_weight) < math.inf,
        "a finite number of at least 0; with 0, clean examples are not trained on",
    )  # fmt: skip
    if scale_slopes not in (True, False):  # NumPy's too
        raise TypeError(f"Got scale_slopes={scale_slopes!r}, but expected True or False.")


def as_float(value: Any) -> float:
    """Value of a real number; NaN for what is none."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an int of hundreds of digits
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]


def check_number(name: str, value: Any, holds: bool, expected: str) -> None:
    """Check what a parameter holds: a TypeError for no number, a ValueError for a wrong one."""
    if not holds:
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        error = ValueError if is_number else TypeError
        raise error(f"Got {name}={value!r}, but expected {expected}.")


def over_norms(slopes: Tensor, norms: Tensor) -> Tensor:
    """Slopes over the norms of the gradients at the output, ``u_i / s_i``.

    A gradient that is nothing but rounding has no direction: its example counts for nothing.
    """
    least = 10 * torch.finfo(norms.dtype).eps * norms.amax().clamp(max=1)
    return (slopes / torch.where(norms > least, norms, torch.inf)).to(slopes)


def check_norms(found: Weighed, parts: Parts) -> Weighed:
    """Check that there are norms to divide slopes by, if that is wanted."""
    if parts.scale_slopes and found.norms is None:
        raise ValueError(
            "Got a module whose first output has no gradient of the loss, or not one for each "
            "example, but slopes are divided by its norm. Set scale_slopes=False."
        )
    return found


def take_step(
    given: Given,
    weigh: Callable[[], Weighed],
    counts: Tensor | None,
    parts: Parts,
    processes: Alone = ALONE,
) -> tuple[Weighed, Tensor, Tensor]:
    """What `weigh` finds of a batch, its weights, and the loss that the step is on (`descend`).

    Of several `processes`, gradient and loss are those of the whole step, and the weights those
    of this process's examples.
    """
    if not isinstance(processes, Several):
        found = weigh()
        return found, *descend(found, counts, parts)
    with processes.over(given):
        found = processes.agreed(lambda: check_norms(weigh(), parts))
        weights, loss = descend(found, counts, parts, processes)
        processes.end(given.objective)
    return found, weights, loss


def descend(
    found: Weighed, counts: Tensor | None, parts: Parts, processes: Several | None = None
) -> tuple[Tensor, Tensor]:
    """Weights of a batch, and the loss that the step is on; its gradient is added to ``.grad``.

    `counts` (n,), if there are any, are what each example counts: they multiply its loss and
    with it its slope.
    """
    slopes = found.slopes if counts is None else counts.to(found.slopes) * found.slopes
    norms = check_norms(found, parts).norms if parts.scale_slopes else None
    if parts.uniform:
        slopes, norms = torch.ones_like(slopes) if counts is None else counts.to(slopes), None
    columns = [slopes] if norms is None else [slopes, norms]
    mine, backward = slice(None), found.backward
    if processes is not None:
        columns, mine = processes.gathered(*columns)
        backward = partial(processes.backward, found)
    slopes = columns[0] if norms is None else over_norms(*columns)
    weights = normalize(slopes)[mine]
    backward(weights, parts.clean_loss_weight)
    loss = (weights * found.losses.detach()).sum()
    loss = loss if processes is None else processes.total(loss)
    if parts.clean_loss_weight:
        loss = loss + parts.clean_loss_weight * found.clean_loss
    return weights, loss
