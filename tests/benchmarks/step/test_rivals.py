"""Implementations of a step: each takes steps, and as the oracle says."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from benchmarks.nets.sequences import GRUClassifier, TransformerClassifier
from benchmarks.step.cases import Case, draw
from benchmarks.step.rivals import ARMS, INEXACT
from benchmarks.step.runs import prepare
from tests.benchmarks.step.small import TINY, installed, others_may_warn, tiny_setting
from tests.reference import literal_weights

NOT_COMPARED = ("plain", "ours:default")  # they have no weights, or others than Algorithm 1's


@pytest.fixture(params=ARMS)
def arm(request: pytest.FixtureRequest) -> str:
    """Name of every arm that can be run here."""
    return installed(request.param)


@others_may_warn
def test_every_arm_takes_steps(arm: str) -> None:
    given = tiny_setting()
    step = ARMS[arm](given).step
    for _ in range(2):
        before = copy.deepcopy(list(given.net.parameters()))
        weights = step()
        moved = [not torch.equal(p, q) for p, q in zip(given.net.parameters(), before, strict=True)]
        assert all(moved)
        assert (weights is None) == (arm in NOT_COMPARED)
        if weights is not None:
            assert weights.shape == (12,)
            assert not weights.requires_grad
            torch.testing.assert_close(weights.sum(), torch.tensor(1.0))


@others_may_warn
def test_exact_arms_move_the_net_as_the_oracle_says(arm: str) -> None:
    if arm in (*NOT_COMPARED, "ours:last", *INEXACT):
        pytest.skip("takes another step")
    net, (X, y), (X_clean, y_clean) = draw(TINY, "cpu")
    loss = nn.CrossEntropyLoss(reduction="none")
    oracle = net.double()
    weights = literal_weights(oracle, loss, (X.double(), y), (X_clean.double(), y_clean))
    gradients = torch.autograd.grad(
        (weights * loss(oracle(X.double()), y)).sum(), list(oracle.parameters())
    )
    given = tiny_setting()
    ARMS[arm](given).step()
    lr = given.optimizer.param_groups[0]["lr"]
    for p, before, g in zip(given.net.parameters(), oracle.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.double(), before - lr * g, atol=1e-6, rtol=0)


@others_may_warn
@pytest.mark.parametrize("make", [GRUClassifier, partial(TransformerClassifier, dropout=0.5)])
def test_sequence_nets_are_checked_without_dropout(
    make: Callable[..., nn.Module], arm: str
) -> None:
    if arm in ("ours:merged", "ours:layerwise", "torchopt"):
        pytest.skip("may refuse recurrent nets")
    case = Case(partial(make, 3), (4, 3), 2, 6, 5, rounds=1, twice=True, dropout=True)
    given, error = prepare(case, arm, "cpu")[1:]
    assert (error is None) == (arm in NOT_COMPARED)
    assert given.net.training
    assert make is GRUClassifier or any(getattr(m, "p", 0) == 0.5 for m in given.net.modules())
