"""The right weights of the zoo's problems, and how weights are compared with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from sklearn_l2rw import example_weights
from sklearn_l2rw.meta_gradient import ways
from tests.reference import normalized, per_example_slopes
from tests.zoo import ZOO, build, for_oracle
from tests.zoo_parts import Problem

WAYS = tuple(ways.WAYS)
EXACT_WAYS = tuple(name for name, way in ways.WAYS.items() if way.exact)
SLOW = "ignore:The meta-gradient is computed by one backward pass for each example:UserWarning"


def oracle_of(problem: Problem) -> Tensor:
    """Weights of a problem in float64."""
    return normalized(per_example_slopes(*for_oracle(problem)))


@cache
def oracle(name: str) -> Tensor:
    """Weights of a case of the zoo, with the global generator seeded with 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return oracle_of(build(ZOO[name], torch.float64))


def assert_close(weights: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(weights.to(expected), expected, rtol=0, atol=atol)


def weights_unless_refused(name: str, problem: Problem, way: str) -> Tensor | None:
    """Weights by a way, or None where it may refuse the module, does, and says why."""
    by_hand = {"merged": "", "layerwise": ""}  # take some modules only, by design
    refused = {**by_hand, **ZOO[name].refused}
    found: Tensor | None = unless_refused(
        refused, way, lambda: example_weights(*problem, meta_gradient=way)
    )
    return found


def unless_refused(refused: Mapping[str, str], way: str, compute: Callable[[], Any]) -> Any:
    """What a way computes, or None where it may refuse the module, does, and says why."""
    try:
        return compute()
    except ValueError as error:
        message = str(error)
        if way not in refused or f"Got meta_gradient='{way}', but" not in message:
            raise
        assert re.search(refused[way], message), "the operation is not named"
        return None
