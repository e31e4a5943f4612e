"""`reweighted_backward`: the gradients that it adds to, hooks, outputs that it cannot scale by."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import reweighted_backward
from tests import zoo_parts as z
from tests.oracle import SLOW, assert_close
from tests.reference import composed_step
from tests.zoo import ZOO, build

CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")


def make(name: str) -> z.Problem:
    return build(ZOO[name], torch.float64)


# Gradients: sparse ones, hooks


@pytest.mark.parametrize("clean_loss_weight", [0.0, 0.7])
@pytest.mark.parametrize("name", ["sparse_embedding", "sparse_embedding_bag"])
@pytest.mark.filterwarnings(SLOW)
def test_sparse_gradients_stay_sparse(name: str, clean_loss_weight: float) -> None:
    """As `torch.optim.SparseAdam` wants them, on what was there as well."""
    problem = make(name)
    (sparse,) = (m.weight for m in problem.module.modules() if getattr(m, "sparse", False))
    assert isinstance(sparse, nn.Parameter)
    once = composed_step(*problem, clean_loss_weight, True).gradients
    optimizer = torch.optim.SparseAdam([sparse], lr=0.1)
    before = sparse.detach().clone()
    for times in (1, 2):
        reweighted_backward(*problem, clean_loss_weight=clean_loss_weight)
        assert sparse.grad is not None
        assert sparse.grad.is_sparse
        for key, p in problem.module.named_parameters():
            assert p.grad is not None
            assert_close(p.grad.to_dense(), times * once[key], 1e-9)
    optimizer.step()  # type: ignore[no-untyped-call]
    seen = (once[next(k for k, p in problem.module.named_parameters() if p is sparse)] != 0).any(1)
    assert torch.equal((sparse != before).any(1), seen)


def test_dense_gradients_of_a_sparse_embedding_are_added_to() -> None:
    problem = make("sparse_embedding")
    expected = composed_step(*problem, 0.7, True).gradients
    for p in problem.module.parameters():
        p.grad = torch.ones_like(p)
    reweighted_backward(*problem, clean_loss_weight=0.7)
    for key, p in problem.module.named_parameters():
        assert p.grad is not None
        assert_close(p.grad, 1 + expected[key], 1e-9)


def hook(parameter: nn.Parameter, function: Callable[[Any], None]) -> None:
    parameter.register_post_accumulate_grad_hook(function)  # type: ignore[no-untyped-call]


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("name", ["mlp", "lenet", "batch_norm_1d", "tied_embedding"])
def test_hooks_after_accumulation_see_the_sum(name: str, way: str) -> None:
    problem = make(name)
    expected = composed_step(*problem, 0.7, True).gradients
    seen: dict[str, list[Tensor]] = {key: [] for key in expected}
    for key, p in problem.module.named_parameters():
        found = seen[key]
        hook(p, lambda p, found=found: found.append(p.grad.clone()))  # type: ignore[misc]
    given: dict[str, Any] = {"clean_loss_weight": 0.7, "meta_gradient": way}
    if way in ("merged", "layerwise"):  # they write gradients by hand
        with pytest.raises(ValueError, match="backward hooks"):
            reweighted_backward(*problem, **given)
        return
    for _ in range(2):  # the second is not a trial
        problem.module.zero_grad()
        reweighted_backward(*problem, **given)
    for key, values in seen.items():
        assert_close(values[-1], expected[key], 1e-3 if way == "finite_difference" else 1e-9)


def test_hooks_are_called_once_in_a_step() -> None:
    """An optimizer that runs in them takes one step, on the sum."""
    problem = make("mlp")
    reference = make("mlp")
    for _ in range(3):
        step = composed_step(*reference, 0.7, True)
        for key, p in reference.module.named_parameters():
            p.data -= 0.1 * step.gradients[key]

    def descend(p: Tensor) -> None:
        assert p.grad is not None
        p.data -= 0.1 * p.grad
        p.grad = None

    for p in problem.module.parameters():
        hook(p, descend)
    for _ in range(3):
        reweighted_backward(*problem, clean_loss_weight=0.7)
    for p, q in zip(problem.module.parameters(), reference.module.parameters(), strict=True):
        assert_close(p.detach(), q.detach(), 1e-9)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_around(way: str, mode: Any) -> None:
    """As `example_weights`, by whatever way: "auto" is not to fail for some modules alone."""
    problem = make("mlp")
    expected = composed_step(*problem, 0.7, True)
    with mode():
        step = reweighted_backward(*problem, clean_loss_weight=0.7, meta_gradient=way)
    atol = 1e-3 if way == "finite_difference" else 1e-9
    assert_close(step.weights, expected.weights, atol)
    for key, p in problem.module.named_parameters():
        assert p.grad is not None
        assert not p.grad.is_inference()
        assert_close(p.grad, expected.gradients[key], atol)


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("name", ["mlp", "dropout_and_batch_norm", "embedding_bag"])
def test_a_batch_that_is_not_finite_leaves_gradients_as_they_are(name: str, way: str) -> None:
    problem = make(name)
    for p in problem.module.parameters():
        p.grad = torch.ones_like(p)
    bad = problem._replace(loss=lambda output, y: CROSS_ENTROPY(output, y) * torch.nan)
    with pytest.raises(ValueError, match=r"not finite|Got meta_gradient"):
        reweighted_backward(*bad, clean_loss_weight=0.7, meta_gradient=way)
    assert all((p.grad == 1).all() for p in problem.module.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in problem.module.parameters())


def test_frozen_parameters_get_no_gradient(way: str) -> None:
    problem = make("frozen_parameters")
    reweighted_backward(*problem, clean_loss_weight=0.7, meta_gradient=way)
    frozen = [p for p in problem.module.parameters() if not p.requires_grad]
    assert frozen
    assert all(p.grad is None for p in frozen)


# Outputs without a gradient


class Holding:
    """Losses from a module's parameters, not from what it puts out."""

    def __init__(self, module: nn.Module, X: Tensor) -> None:
        self.module, self.X = module, X

    def __call__(self, output: Any, y: Tensor) -> Tensor:
        return CROSS_ENTROPY(self.module(self.X[: len(y)]), y)  # type: ignore[no-any-return]


def detached(module: Any, x: Tensor) -> Tensor:
    output: Tensor = module.a(x).detach()
    return output


Loss = Callable[[Any, Tensor], Tensor]
# Module, and loss; each example has a loss, and no row of the first output a gradient of it.
BLIND: dict[str, tuple[Callable[[Any, Tensor], Any], Loss | None]] = {
    "detached": (detached, None),
    "transposed": (lambda m, x: m.a(x).t(), lambda output, y: CROSS_ENTROPY(output.t(), y)),
    "scalar": (lambda m, x: m.a(x).sum(), lambda output, y: output * (1.0 + y)),
    "labels": (lambda m, x: (m.a(x).argmax(1), m.a(x)), None),
}  # fmt: skip


SEEN: dict[str, tuple[Callable[[Any, Tensor], Any], Loss]] = {
    "mapping": (
        lambda m, x: {"scores": m.a(x)}, lambda output, y: CROSS_ENTROPY(output["scores"], y)
    ),
    "logits": (
        lambda m, x: {"hidden": x, "logits": m.a(x)},
        lambda output, y: CROSS_ENTROPY(output["logits"], y),
    ),
    "list": (lambda m, x: [m.a(x)], lambda output, y: CROSS_ENTROPY(output[0], y)),
    "tuple": (lambda m, x: (m.a(x), x), CROSS_ENTROPY),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_outputs_of_other_forms(name: str) -> None:
    function, loss = SEEN[name]
    head = z.head(5).double()
    X, y = z.vectors(8).double(), z.labels(8)
    batches = (X, y), (X[:4], y[:4])
    step = reweighted_backward(z.Apply(function, a=head), loss, *batches)
    head.zero_grad()
    expected = reweighted_backward(head, CROSS_ENTROPY, *batches)
    assert torch.equal(step.weights, expected.weights)


@pytest.mark.parametrize("way", ["forward", "double_backward"])
@pytest.mark.parametrize("length", [8, 5])
def test_examples_along_another_axis_are_refused(length: int, way: str) -> None:
    """Also where there are as many time steps as examples."""
    head = z.head(5).double()
    X = torch.randn(8, length, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = z.labels(8)
    batches = (X, y), (X[:4], y[:4])

    def loss(output: Tensor, y: Tensor) -> Tensor:
        logits = output if len(output) == len(y) and not turned else output.transpose(0, 1)
        losses: Tensor = CROSS_ENTROPY(logits.mean(1), y)
        return losses

    turned = True
    module = z.Apply(lambda m, x: m.a(x).transpose(0, 1), a=head)
    with pytest.raises(ValueError, match=r"Set scale_slopes=False"):
        reweighted_backward(module, loss, *batches, meta_gradient=way)
    turned = False
    step = reweighted_backward(head, loss, *batches, meta_gradient=way)
    assert step.weights.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("name", BLIND)
def test_output_without_a_gradient(name: str) -> None:
    function, loss = BLIND[name]
    head = z.head(5)
    module = z.Apply(function, a=head).double()
    X, y = z.vectors(8).double(), z.labels(8)
    loss = loss or Holding(head, X)
    given = module, loss, (X, y), (X[:4], y[:4])
    with pytest.raises(ValueError, match=r"first output.*Set scale_slopes=False") as caught:
        reweighted_backward(*given)
    assert "no gradient of the loss" in str(caught.value)
    assert all(p.grad is None for p in module.parameters())
    step = reweighted_backward(*given, scale_slopes=False)
    assert step.weights.sum().item() == pytest.approx(1)


def test_logits_of_a_mapping() -> None:
    """As transformers' models put out."""
    head = z.head(5)
    module = z.Apply(lambda m, x: {"logits": m.a(x)}, a=head).double()
    X, y = z.vectors(8).double(), z.labels(8)
    given = (X, y), (X[:4], y[:4])
    step = reweighted_backward(module, lambda out, y: CROSS_ENTROPY(out["logits"], y), *given)
    expected = composed_step(head, CROSS_ENTROPY, *given, 0.3, True)
    assert_close(step.weights, expected.weights, 1e-9)


# Bad input


class Untouched(nn.Linear):
    """A module that is not to be called."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        raise AssertionError("something was computed")


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"clean_loss_weight": -0.1}, ValueError),
        ({"clean_loss_weight": float("nan")}, ValueError),
        ({"clean_loss_weight": float("inf")}, ValueError),
        ({"clean_loss_weight": "a"}, TypeError),
        ({"clean_loss_weight": True}, TypeError),
        ({"clean_loss_weight": None}, TypeError),
        ({"scale_slopes": "yes"}, TypeError),
        ({"scale_slopes": None}, TypeError),
        ({"scale_slopes": 2}, TypeError),
    ],
)
def test_bad_parts(bad: dict[str, Any], error: type[Exception]) -> None:
    X, y = z.vectors(4), z.labels(4)
    ((name, value),) = bad.items()
    with pytest.raises(error, match=rf"Got {name}={re.escape(repr(value))}, but expected"):
        reweighted_backward(Untouched(5, 3), CROSS_ENTROPY, (X, y), (X, y), **bad)


@pytest.mark.parametrize("value", [np.float32(0.5), 1, 0])
def test_numbers_of_any_kind(value: Any) -> None:
    problem = make("mlp")
    step = reweighted_backward(*problem, clean_loss_weight=value, scale_slopes=bool(np.True_))
    assert_close(step.loss, composed_step(*problem, float(value), True).loss, 1e-9)
