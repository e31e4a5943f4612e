"""`example_weights` leaves module, loss, generators and settings as they were."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import example_weights
from tests import zoo_parts as z
from tests.oracle import SLOW, assert_close, oracle, oracle_of, weights_unless_refused
from tests.snapshot import assert_same, snapshot
from tests.zoo import ZOO, build

CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")
f64 = torch.float64


def with_gradients(problem: z.Problem) -> z.Problem:
    """Every other parameter has a gradient already."""
    with torch.random.fork_rng(devices=[]):
        for p in list(problem.module.parameters())[::2]:
            p.grad = torch.randn_like(p)
    return problem


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("name", ZOO)
def test_no_trace(name: str, way: str) -> None:
    problem = with_gradients(build(ZOO[name], torch.float32))
    before = snapshot(problem)
    for _ in range(2):
        weights_unless_refused(name, problem, way)
        assert_same(before, snapshot(problem))


class FailsAt:
    """A loss that raises when it is called for the n-th time."""

    def __init__(self, n: int, error: type[BaseException]) -> None:
        self.n, self.error = n, error

    def __call__(self, output: Tensor, y: Tensor) -> Tensor:
        self.n -= 1
        if self.n == 0:
            raise self.error("in the middle")
        return CROSS_ENTROPY(output, y)  # type: ignore[no-any-return]


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ArithmeticError])
@pytest.mark.parametrize(
    "name",
    [
        *("dropout_and_batch_norm", "spectral_norm", "lstm", "transformer", "embedding_bag"),
        *("reentrant_checkpoint", "counting_buffer", "compiled"),
    ],
)
def test_no_trace_of_a_pass_that_raises(name: str, way: str, error: type[BaseException]) -> None:
    problem = with_gradients(build(ZOO[name], torch.float32))
    if weights_unless_refused(name, problem, way) is None:
        pytest.skip("refused")
    before = snapshot(problem)
    for n in range(1, 100):
        loss = FailsAt(n, error)
        with contextlib.suppress(error):
            example_weights(*problem._replace(loss=loss), meta_gradient=way)
        assert_same(before, snapshot(problem))
        if loss.n > 0:
            break
    assert 2 < n < 99
    weights = example_weights(*problem, meta_gradient=way)
    assert_close(weights, oracle(name), 1e-2 if way == "finite_difference" else 1e-3)


@pytest.mark.parametrize("name", ["batch_norm_eval", "dropout_and_batch_norm", "spectral_norm"])
def test_a_graph_of_the_users_survives(name: str) -> None:
    first, second = (build(ZOO[name], f64) for _ in range(2))
    for problem in (first, second):
        torch.manual_seed(1)
        losses = problem.loss(problem.module(problem.batch[0]), problem.batch[1])
        if problem is first:
            for way in ("auto", "double_backward", "finite_difference"):
                example_weights(*problem, meta_gradient=way)
        losses.sum().backward()  # type: ignore[no-untyped-call]
    for p, q in zip(first.module.parameters(), second.module.parameters(), strict=True):
        assert_same({"grad": p.grad}, {"grad": q.grad})


class MakesBuffer(nn.Module):
    """Fills a buffer when it is first called."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 3)
        self.mask: Tensor | None
        self.register_buffer("mask", None)

    def forward(self, X: Tensor) -> Tensor:
        if self.mask is None:
            self.mask = torch.ones(5)
        output: Tensor = self.linear(X * self.mask)
        return output


class Penalized(nn.Module):
    """A loss that knows the module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        penalty = sum((p**2).sum() for p in self.module.parameters())
        losses: Tensor = CROSS_ENTROPY(output, y) + penalty
        return losses


def test_no_trace_of_a_buffer_made_by_the_forward(way: str) -> None:
    batch = z.vectors(6), z.labels(6)
    problem = z.Problem(MakesBuffer(), CROSS_ENTROPY, batch, batch)
    before = snapshot(problem)
    with contextlib.suppress(ValueError):  # refused
        example_weights(*problem, meta_gradient=way)
    assert_same(before, snapshot(problem))


def test_no_trace_of_renormalized_embeddings(way: str) -> None:
    batch = z.tokens(6), z.labels(6)
    problem = z.Problem(z.words(nn.Embedding(7, 5, max_norm=0.5)), CROSS_ENTROPY, batch, batch)
    before = snapshot(problem)
    with contextlib.suppress(ValueError):  # refused
        example_weights(*problem, meta_gradient=way)
    assert_same(before, snapshot(problem))


def test_no_trace_where_the_loss_holds_the_module(way: str) -> None:
    problem = build(ZOO["mlp"], f64)
    problem = problem._replace(loss=Penalized(problem.module))
    before = snapshot(problem)
    weights = weights_unless_refused("mlp", problem, way)
    assert_same(before, snapshot(problem))
    if weights is not None:
        assert_close(weights, oracle_of(problem), 1e-6)
