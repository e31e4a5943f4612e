"""The paper's equations: by hand, and against the oracle."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sklearn_l2rw.meta_gradient.algorithm import (
    inner_products,
    literal_weights,
    normalize,
    rectify,
)
from sklearn_l2rw.meta_gradient.objective import Objective
from sklearn_l2rw.meta_gradient.parameters import trainable
from tests.oracle import assert_close, oracle
from tests.reference import normalized, per_example_slopes
from tests.snapshot import assert_same, snapshot
from tests.zoo import ZOO, build, for_oracle

f64 = torch.float64
# Without random numbers, whose masks the literal algorithm draws in its own order, and without
# parameters of two names, which functional_call swaps in one place only.
LITERAL = (
    *("mlp", "lenet", "batch_norm_1d", "batch_norm_eval", "instance_norm", "unused_parameters"),
    *("frozen_parameters", "embedding_gru", "lstm", "transformer", "spectral_norm", "prelu"),
    *("complex_parameters", "counting_buffer", "segmentation", "dict_of_inputs"),
)


def test_equations_by_hand() -> None:
    u = torch.tensor([2.0, -1.0, 0.0, 6.0])
    assert rectify(u).tolist() == pytest.approx([1 / 3, 0, 0, 1])  # equation 8, over its maximum
    assert normalize(u).tolist() == [0.25, 0.0, 0.0, 0.75]  # equation 9
    assert normalize(-u.abs()).tolist() == [0.0] * 4


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e30])
def test_weights_of_tiny_and_of_large_slopes(scale: float) -> None:
    weights = normalize(torch.tensor([1.0, 3.0, -5.0]) * scale)
    assert weights.sum().item() == pytest.approx(1)
    assert weights[2] == 0


def test_slopes_are_inner_products() -> None:
    theta = torch.tensor([2.0, -1.0], requires_grad=True)
    losses = torch.stack([theta[0] ** 2, theta.sum(), theta[1] * theta[0]])
    # gradients (4, 0), (1, 1), (-1, 2)
    slopes = inner_products(
        losses,
        [torch.tensor([1.0, 10.0])],
        lambda f_i: torch.autograd.grad(f_i, [theta], retain_graph=True),
    )
    assert slopes.tolist() == [4.0, 11.0, 19.0]


@pytest.mark.parametrize("name", LITERAL)
def test_literal_algorithm_agrees_with_the_oracle_and_leaves_no_trace(name: str) -> None:
    problem = for_oracle(build(ZOO[name], f64))
    objective = Objective(problem.module, problem.loss)
    before = snapshot(problem)
    with sdpa_kernel(SDPBackend.MATH):
        weights = literal_weights(objective, *problem[2:], trainable(objective), lr=0.1)
    assert_same(before, snapshot(problem))
    assert_close(weights, normalized(per_example_slopes(*problem)), 1e-9)
    assert_close(weights, oracle(name), 1e-9)
