"""`example_weights`: held to the oracle over the zoo, to invariants, and to its error messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import example_weights
from sklearn_l2rw.meta_gradient import ways
from tests import zoo_parts as z
from tests.oracle import (
    EXACT_WAYS,
    SLOW,
    WAYS,
    assert_close,
    oracle,
    oracle_of,
    weights_unless_refused,
)
from tests.reference import literal_weights
from tests.zoo import ZOO, build

SLOW_ONLY = [name for name, case in ZOO.items() if not case.fast]
CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")
f64 = torch.float64

BOTH_DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])


# Agreement with the oracle


@pytest.mark.filterwarnings(SLOW)
@BOTH_DTYPES
@pytest.mark.parametrize("way", ["auto", *EXACT_WAYS])
@pytest.mark.parametrize("name", ZOO)
def test_exact_ways_agree_with_the_oracle(name: str, way: str, dtype: torch.dtype) -> None:
    case = ZOO[name]
    problem = build(case, dtype)
    for _ in range(3):  # what was found out at the first call is used at the others
        weights = weights_unless_refused(name, problem, way)
        if weights is None:
            break
        assert_close(weights, oracle(name), 1e-9 if dtype == f64 else case.tolerance)


@pytest.mark.parametrize("way", EXACT_WAYS)
@pytest.mark.parametrize("name", ["mlp", "lenet", "layer_norm", "dropout", "frozen_parameters"])
def test_every_exact_way_takes_plain_modules(name: str, way: str) -> None:
    if name == "dropout" and ways.WAYS[way].together:
        pytest.skip("random numbers, which it does not take")
    weights = example_weights(*build(ZOO[name], torch.float32), meta_gradient=way)
    assert_close(weights, oracle(name), ZOO[name].tolerance)


@pytest.mark.parametrize("name", SLOW_ONLY)
def test_without_a_fast_way_auto_warns_once_and_is_exact(name: str) -> None:
    problem = build(ZOO[name], f64)
    with pytest.warns(UserWarning, match="one backward pass for each example.*per_example"):
        weights = example_weights(*problem)
    assert_close(weights, oracle(name), 1e-9)
    assert_close(example_weights(*problem), oracle(name), 1e-9)  # said once


@pytest.mark.parametrize("name", ZOO)
def test_one_backward_pass_for_each_example_takes_any_module(name: str) -> None:
    assert "per_example" not in ZOO[name].refused
    weights = example_weights(*build(ZOO[name], f64), meta_gradient="per_example")
    assert_close(weights, oracle(name), 1e-9)


@pytest.mark.parametrize("name", [name for name, case in ZOO.items() if case.smooth])
def test_finite_differences_are_close(name: str) -> None:
    problem = build(ZOO[name], f64)
    for _ in range(2):
        weights = example_weights(*problem, meta_gradient="finite_difference")
        assert_close(weights, oracle(name), 1e-3)


REFUSED = ["batch_norm_1d", *(name for name, case in ZOO.items() if case.refused)]


@BOTH_DTYPES
@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_ways_that_can(name: str, dtype: torch.dtype) -> None:
    messages = {}
    for way in WAYS:
        try:
            example_weights(*build(ZOO[name], dtype), meta_gradient=way)
        except ValueError as error:
            messages[way] = str(error)
    for message in messages.values():
        for able in set(WAYS) - set(messages):
            assert f"'{able}'" in message


@pytest.mark.parametrize("name", ["function_without_second_derivative", "embedding_bag"])
def test_a_way_that_cannot_be_right_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="Got meta_gradient='double_backward', but") as caught:
        example_weights(*build(ZOO[name], f64), meta_gradient="double_backward")
    assert re.search(ZOO[name].refused["double_backward"], str(caught.value))


@pytest.mark.parametrize("name", ["mlp", "batch_norm_1d", "tied_embedding", "lenet"])
def test_meta_parameters_are_as_if_the_others_were_frozen(name: str) -> None:
    problem = build(ZOO[name], f64)
    last = [name for name, _ in problem.module.named_parameters()][-2:]
    weights = example_weights(*problem, meta_parameters=last)
    if name != "tied_embedding":
        assert_close(example_weights(*problem, meta_parameters="last"), weights, 1e-12)
    for parameter, p in problem.module.named_parameters():
        p.requires_grad_(parameter in last)
    assert_close(weights, literal_weights(*problem), 1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings(SLOW)
@BOTH_DTYPES
@pytest.mark.parametrize("way", ["auto", *EXACT_WAYS])
@pytest.mark.parametrize("name", ["reentrant_checkpoint", "function_without_second_derivative"])
def test_no_way_is_taken_by_chance(name: str, way: str, dtype: torch.dtype) -> None:
    """These modules let a way run that drops a part of the derivative."""
    for seed in range(20):
        weights = weights_unless_refused(name, build(ZOO[name], dtype, seed), way)
        if weights is not None:
            expected = oracle_of(build(ZOO[name], f64, seed))
            assert_close(weights, expected, 1e-3 if dtype == f64 else 1e-2)


# What was found out about a module at one call must not be trusted blindly at the next


def first(n: int, X: Any) -> Any:
    """The first n examples of inputs of any form."""
    if isinstance(X, dict):
        return {name: first(n, x) for name, x in X.items()}
    return tuple(first(n, x) for x in X) if isinstance(X, tuple) else X[:n]


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("way", ["auto", *EXACT_WAYS])
@pytest.mark.parametrize("name", ZOO)
def test_later_batches_agree_with_the_oracle(name: str, way: str) -> None:
    """Others, and smaller, as the last of an epoch is, after a step of training."""
    problem = build(ZOO[name], f64)
    if weights_unless_refused(name, problem, way) is None:
        pytest.skip("refused")
    for p in problem.module.parameters():
        p.data.mul_(1.1)
    others = build(ZOO[name], f64, seed=11)[2:]
    batch, clean_batch = (first(n, b) for n, b in zip((7, 2), others, strict=True))
    problem = problem._replace(batch=batch, clean_batch=clean_batch)
    assert_close(example_weights(*problem, meta_gradient=way), oracle_of(problem), 1e-9)


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("name", SLOW_ONLY)
def test_first_call_with_a_head_of_zeros(name: str) -> None:
    """Then the gradient below the head is 0, and a way that drops it looks right."""
    problem = build(ZOO[name], f64)
    *_, weight, _ = problem.module.parameters()
    value = weight.detach().clone()
    nn.init.zeros_(weight)
    assert_close(example_weights(*problem), oracle_of(problem), 1e-3)
    weight.data.copy_(value)  # as training would have it, a few steps on
    assert_close(example_weights(*problem), oracle(name), 1e-3)


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("name", ["mlp", "reentrant_checkpoint"])
def test_first_call_with_nan(name: str) -> None:
    problem = build(ZOO[name], f64)
    X, y = problem.batch
    with pytest.raises(ValueError, match="finite"):
        example_weights(*problem._replace(batch=(X * torch.nan, y)))
    assert_close(example_weights(*problem), oracle(name), 1e-3)


def test_part_of_the_module_changes_its_mode() -> None:
    """With dropout, attention runs by a kernel that has a formula; without, by a fused one."""
    problem = build(ZOO["transformer_with_dropout"], f64)
    example_weights(*problem)
    encoder = problem.module.get_submodule("encoder")
    encoder.eval()
    assert_close(example_weights(*problem), oracle_of(problem), 1e-9)


def test_module_takes_another_path_for_another_batch() -> None:
    def forward(m: Any, x: Tensor, attend: Tensor) -> Tensor:
        output: Tensor = m.attention(x) if attend.any() else m.head(x.mean(1))
        return output

    module = z.Apply(forward, attention=z.attention(), head=z.head(6)).double()
    x, y = z.sequences(12).double(), z.labels(12)
    for attend in (torch.zeros(12), torch.ones(12)):
        batch = (x, attend), y
        problem = z.Problem(module, CROSS_ENTROPY, batch, batch)
        assert_close(example_weights(*problem), oracle_of(problem), 1e-9)


# Masks


def test_training_batch_has_the_masks_of_the_next_forward() -> None:
    # The slope of example i is in proportion to the number of units that it keeps.
    module = nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 1, bias=False)).double()
    X = torch.ones(6, 50, dtype=f64)
    batch, clean_batch = (X, torch.zeros(6)), (torch.ones(400, 50, dtype=f64), torch.zeros(400))
    weights = example_weights(module, lambda output, y: output[:, 0], batch, clean_batch)
    kept = module[0](X).sum(1)
    assert_close(weights, kept / kept.sum(), 0.02)


def test_clean_batch_has_masks_of_its_own() -> None:
    # With the same masks in both batches, all examples but the one at the place of the only
    # clean one would be independent of it, and its weight would be twice theirs.
    module = nn.Sequential(nn.Dropout(0.5), nn.Linear(2000, 1, bias=False)).double()
    X, y = torch.ones(5, 2000, dtype=f64), torch.zeros(5)
    weights = example_weights(module, lambda output, y: output[:, 0], (X, y), (X[:1], y[:1]))
    assert weights.max() < 0.25


# Invariants


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("name", ["mlp", "batch_norm_1d", "attention", "weight_norm"])
def test_scale_of_the_losses_does_not_matter(name: str, scale: float) -> None:
    problem = build(ZOO[name], f64)
    clean_y, loss = problem.clean_batch[1], problem.loss
    losses: list[Callable[[Any, Any], Tensor]] = [
        lambda output, y: scale * loss(output, y),
        lambda output, y: (scale if y is clean_y else 1) * loss(output, y),
    ]
    for scaled in losses:
        assert_close(example_weights(*problem._replace(loss=scaled)), oracle(name), 1e-9)


@pytest.mark.parametrize("name", ["mlp", "batch_norm_1d", "transformer", "lstm", "weight_norm"])
def test_weights_follow_their_examples(name: str) -> None:
    problem = build(ZOO[name], f64)
    X, y = problem.batch
    order = torch.randperm(len(y))
    weights = example_weights(*problem._replace(batch=(X[order], y[order])))
    assert_close(weights, oracle(name)[order], 1e-9)


@pytest.mark.parametrize("name", ["mlp", "lstm", "transformer"])
def test_repeated_examples_share_their_weight(name: str) -> None:
    problem = build(ZOO[name], f64)
    twice = tuple(
        (torch.cat([X, X]), torch.cat([y, y])) for X, y in (problem.batch, problem.clean_batch)
    )
    weights = example_weights(problem.module, problem.loss, *twice)
    assert_close(weights, torch.cat([oracle(name), oracle(name)]) / 2, 1e-9)


def test_all_zero_where_no_example_helps(way: str) -> None:
    module = nn.Linear(1, 2, dtype=f64)
    X, y = torch.ones(5, 1, dtype=f64), torch.zeros(5, dtype=torch.int64)
    weights = example_weights(module, CROSS_ENTROPY, (X, y), (X, 1 - y), meta_gradient=way)
    assert weights.tolist() == [0.0] * 5


def test_all_zero_where_the_clean_loss_is_flat(way: str) -> None:
    problem = build(ZOO["ignored_labels"], f64)
    X, y = problem.clean_batch
    problem = problem._replace(clean_batch=(X, torch.full_like(y, z.CLASSES)))
    assert example_weights(*problem, meta_gradient=way).tolist() == [0.0] * 12


def test_uniform_where_every_example_equals_the_clean_one(way: str) -> None:
    problem = build(ZOO["mlp"], f64)
    X, y = problem.clean_batch
    same = X[:1].repeat(8, 1), y[:1].repeat(8)
    weights = example_weights(problem.module, CROSS_ENTROPY, same, same, meta_gradient=way)
    assert_close(weights, torch.full((8,), 1 / 8, dtype=f64), 1e-12)


def test_batch_of_one(way: str) -> None:
    module = nn.Linear(1, 2)
    X, y = torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)
    for clean_y, expected in ((y, 1.0), (1 - y, 0.0)):
        weights = example_weights(module, CROSS_ENTROPY, (X, y), (X, clean_y), meta_gradient=way)
        assert weights.tolist() == [expected]


@BOTH_DTYPES
@pytest.mark.parametrize("name", ["mlp", "batch_norm_2d", "tuple_output", "segmentation"])
def test_form_of_the_result(name: str, way: str, dtype: torch.dtype) -> None:
    problem = build(ZOO[name], dtype)
    weights = weights_unless_refused(name, problem, way)
    if weights is None:
        pytest.skip("refused")
    assert weights.shape == (len(problem.batch[1]),)
    assert weights.dtype == dtype
    assert not weights.requires_grad
    assert (weights >= 0).all()
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)


def test_one_logit_and_one_column_of_targets() -> None:
    module, loss = nn.Linear(5, 1).double(), nn.BCEWithLogitsLoss(reduction="none")
    batch, clean_batch = (
        (z.vectors(n).double(), torch.rand(n, 1, dtype=f64).round()) for n in (12, 6)
    )
    problem = z.Problem(module, loss, batch, clean_batch)
    assert_close(example_weights(*problem), literal_weights(*problem), 1e-9)


@pytest.mark.parametrize("name", ["mlp", "transformer_eval", "padded_transformer_eval"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_around(name: str, way: str, mode: Any) -> None:
    problem = build(ZOO[name], f64)
    with mode():
        weights = weights_unless_refused(name, problem, way)
    if weights is None:
        pytest.skip("refused")
    assert_close(weights, oracle(name), 1e-3 if way == "finite_difference" else 1e-9)


# Bad input

X, Y = torch.randn(4, 5), torch.tensor([0, 1, 2, 0])
GOOD: dict[str, Any] = {
    "module": z.dense(nn.Tanh()),
    "loss": CROSS_ENTROPY,
    "batch": (X, Y),
    "clean_batch": (X, Y),
}
SCALAR, SHORT = nn.CrossEntropyLoss(), lambda output, y: CROSS_ENTROPY(output, y)[1:]


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"module": lambda X: X}, TypeError, "Got module of type function.*torch.nn.Module"),
        ({"module": nn.Linear}, TypeError, "Got module of type type.*torch.nn.Module"),
        ({"module": nn.Identity()}, ValueError, "without a parameter that requires a gradient"),
        ({"loss": "mse"}, TypeError, "callable"),
        ({"loss": SCALAR}, ValueError, r"loss of shape \(\).*batch of 4.*reduction='none'"),
        ({"loss": SHORT}, ValueError, r"loss of shape \(3,\).*batch of 4"),
        ({"loss": lambda output, y: 1.0}, ValueError, "float.*one loss for"),
        ({"batch": X}, TypeError, "Got batch of type Tensor.*pair"),
        ({"clean_batch": None}, TypeError, "Got clean_batch of type NoneType.*pair"),
        ({"batch": (X, Y, Y)}, (TypeError, ValueError), "batch.*pair"),
        ({"batch": (X, Y[1:])}, ValueError, "4 inputs and 3 targets in batch"),
        ({"clean_batch": (X[1:], Y)}, ValueError, "3 inputs and 4 targets in clean_batch"),
        ({"batch": (X[:0], Y[:0])}, ValueError, "0 inputs and 0 targets in batch"),
        ({"clean_batch": (X[:0], Y[:0])}, ValueError, "0 inputs and 0 targets in clean_batch"),
        ({"batch": (X.numpy(), Y.numpy())}, TypeError, "ndarray.*tensors"),
        ({"clean_batch": (X, [0, 1, 2, 0])}, TypeError, "list.*tensors"),
        ({"batch": (X * np.nan, Y)}, ValueError, "not finite.*NaN"),
        ({"clean_batch": (X * np.nan, Y)}, ValueError, "not finite.*NaN"),
        ({"batch": (X / 0, Y)}, ValueError, "not finite.*infinity"),
        (
            {"meta_gradient": "backward"},
            ValueError,
            "Got meta_gradient='backward'.*auto.*forward.*double_backward.*finite_difference",
        ),
        ({"meta_gradient": None}, ValueError, "Got meta_gradient=None"),
        ({"meta_gradient": ["auto"]}, (TypeError, ValueError), "meta_gradient=.*'auto'"),
        ({"meta_parameters": "4.*"}, ValueError, r"'4.\*', which matches no.*0.weight, 0.bias"),
        ({"meta_parameters": []}, ValueError, "matches no parameter"),
        ({"meta_parameters": 3}, TypeError, "Got meta_parameters=3"),
    ],
)
def test_bad_input(bad: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        example_weights(**{**GOOD, **bad})


@pytest.mark.parametrize("name", ["mlp", "batch_norm_1d", "lstm", "embedding_gru", "transformer"])
def test_nan_in_the_parameters(name: str) -> None:
    problem = build(ZOO[name], f64)
    for p in problem.module.parameters():
        p.data[0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        example_weights(*problem)


def test_frozen_module() -> None:
    with pytest.raises(ValueError, match="Unfreeze"):
        example_weights(**{**GOOD, "module": z.dense().requires_grad_(False)})
