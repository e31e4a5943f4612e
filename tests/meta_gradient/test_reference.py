"""The oracle is right, and the zoo is what it says it is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.reference import literal_training, literal_weights, normalized, per_example_slopes
from tests.snapshot import assert_same, snapshot
from tests.zoo import ZOO, build, for_oracle

LITERAL = [name for name, case in ZOO.items() if case.literal]
X = torch.tensor([[1.0], [2.0], [3.0], [-1.0]], dtype=torch.float64)
Y = torch.tensor([[3.0], [1.0], [6.5], [-2.0]], dtype=torch.float64)
CLEAN = (
    torch.tensor([[1.0], [2.0]], dtype=torch.float64),
    torch.tensor([[3.0], [5.0]], dtype=torch.float64),
)


def line(slope: float = 2.0) -> nn.Linear:
    module = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(module.weight, slope)
    return module


def squared(output: Tensor, y: Tensor) -> Tensor:
    return ((output - y) ** 2 / 2).squeeze(1)


def test_slopes_by_hand() -> None:
    # f(x, y) = (theta x - y)^2 / 2 at theta = 2, so df/dtheta = (2 x - y) x:
    #     clean   (1, 3): -1      (2, 5): -2      so grad L = (-1 - 2) / 2 = -1.5
    #     batch   (1, 3): -1      (2, 1):  6      (3, 6.5): -1.5      (-1, -2): 0
    slopes = per_example_slopes(line(), squared, (X, Y), CLEAN)
    assert slopes.tolist() == [1.5, -9.0, 2.25, 0.0]


def test_weights_by_hand() -> None:
    # max(u, 0) = (1.5, 0, 2.25, 0), whose sum is 3.75
    expected = torch.tensor([0.4, 0.0, 0.6, 0.0], dtype=torch.float64)
    torch.testing.assert_close(literal_weights(line(), squared, (X, Y), CLEAN), expected)


def test_weights_by_hand_where_nothing_helps() -> None:
    # (2, 1) alone: u = -9
    weights = literal_weights(line(), squared, (X[1:2], Y[1:2]), CLEAN)
    assert weights.tolist() == [0.0]


def test_training_by_hand() -> None:
    # Step 1, as above: the gradient of 0.4 f_1 + 0.6 f_3 is 0.4 * -1 + 0.6 * -1.5 = -1.3; with
    # lr = 0.1, theta = 2 + 0.13 = 2.13.
    # Step 2: df/dtheta = (2.13 - 3) * 1 = -0.87, (4.26 - 1) * 2 = 6.52, (6.39 - 6.5) * 3 = -0.33,
    # (-2.13 + 2) * -1 = 0.13; grad L = (-0.87 + (4.26 - 5) * 2) / 2 = -1.175, so that w is in
    # proportion to 0.87, 0, 0.33, 0; the gradient is -(0.87^2 + 0.33^2) / 1.2 = -0.7215.
    # With momentum 0.5 the step is 0.1 * (0.7215 + 0.5 * 1.3) = 0.13715.
    module = line()
    weights = literal_training(module, squared, [(X, Y)] * 2, [CLEAN] * 2, lr=0.1, momentum=0.5)
    assert weights[0].tolist() == pytest.approx([0.4, 0, 0.6, 0])
    assert weights[1].tolist() == pytest.approx([0.87 / 1.2, 0, 0.33 / 1.2, 0])
    assert module.weight.item() == pytest.approx(2.13 + 0.13715)


def test_clipped_training_by_hand() -> None:
    # The gradient -1.3 is clipped to -0.5.
    module = line()
    literal_training(module, squared, [(X, Y)], [CLEAN], lr=0.1, momentum=0.9, max_norm=0.5)
    assert module.weight.item() == pytest.approx(2.05, abs=1e-6)


@pytest.mark.parametrize("name", ["mlp", "batch_norm_1d", "dropout", "embedding_gru"])
def test_learning_rate_of_the_virtual_step_cancels(name: str) -> None:
    problem = build(ZOO[name], torch.float64)
    small, large = (literal_weights(*problem, lr=lr) for lr in (1e-3, 10.0))
    torch.testing.assert_close(small, large, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LITERAL)
def test_literal_algorithm_equals_inner_products(name: str) -> None:
    problem = for_oracle(build(ZOO[name], torch.float64))
    expected = normalized(per_example_slopes(*problem))
    with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
        weights = literal_weights(*problem)
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", LITERAL)
def test_oracle_leaves_no_trace(name: str) -> None:
    problem = for_oracle(build(ZOO[name], torch.float64))
    before = snapshot(problem)
    with sdpa_kernel(SDPBackend.MATH):
        literal_weights(*problem)
    per_example_slopes(*problem)
    assert_same(before, snapshot(problem))


@pytest.mark.parametrize("name", ZOO)
def test_zoo_is_what_it_says(name: str) -> None:
    case = ZOO[name]
    problem = build(case, torch.float32)
    X, y = problem.batch
    args, kwargs = ((), X) if isinstance(X, dict) else (X if isinstance(X, tuple) else (X,), {})
    output = problem.module(*args, **kwargs)
    losses = problem.loss(output[0] if isinstance(output, tuple) else output, y)
    assert losses.requires_grad
    assert len(losses) == len(y)
    assert problem.module.training == case.train
    assert case.check(problem, losses), f"the case does not test what it is named for: {name}"


@pytest.mark.parametrize("name", ZOO)
def test_zoo_is_not_trivial(name: str) -> None:
    problem = for_oracle(build(ZOO[name], torch.float64))
    weights = normalized(per_example_slopes(*problem))
    assert weights.sum().item() == pytest.approx(1)
    positive = weights[weights > 1e-3]
    assert 3 <= len(positive) < len(weights)
    assert positive.max() - positive.min() > 1e-2


@pytest.mark.parametrize("name", ZOO)
def test_zoo_is_reproducible(name: str) -> None:
    first, second = (build(ZOO[name], torch.float32) for _ in range(2))
    torch.testing.assert_close(first.module.state_dict(), second.module.state_dict())
    torch.testing.assert_close(first[2:], second[2:])
