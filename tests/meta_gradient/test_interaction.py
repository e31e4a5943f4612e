"""Examples that interact, or begin to, without a change that names of nodes would show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import chosen_meta_gradient, example_weights
from tests.oracle import assert_close, oracle_of
from tests.zoo_parts import Problem

N, M = 32, 8


def given(loss: Any, module: Any = None) -> Problem:
    torch.manual_seed(0)
    net = nn.Linear(5, 3) if module is None else module
    batches = [(torch.randn(n, 5).double(), torch.randint(0, 3, (n,))) for n in (N, M)]
    return Problem(net.double(), loss, batches[0], batches[1])


def softmax_along(dim: int) -> Any:
    return lambda output, y: -output.log_softmax(dim).gather(1, y[:, None])[:, 0]


def test_second_loss_that_goes_along_the_examples() -> None:
    """Both have the same nodes."""
    first = given(softmax_along(1))
    for loss in (softmax_along(1), softmax_along(0), softmax_along(1)):
        problem = first._replace(loss=loss)
        assert_close(example_weights(*problem), oracle_of(problem), atol=1e-10)


class Mixing(nn.Module):
    """Takes something away from the hidden units, along features or along examples."""

    def __init__(self, mean: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)
        self.mean, self.share, self.along = mean, 0.5, 1

    def forward(self, X: Tensor) -> Tensor:
        h = self.a(X).relu()
        output: Tensor = self.b(h - self.share * self.mean(h, self.along))  # type: ignore[call-arg]
        return output


MIXTURES: dict[str, Any] = {
    "mean": lambda h, dim: h.mean(dim, keepdim=True),
    "sum": lambda h, dim: h.sum(dim, keepdim=True),
    "softmax": lambda h, dim: h.softmax(dim),
    "logsumexp": lambda h, dim: h.logsumexp(dim, keepdim=True),
    "amax": lambda h, dim: h.amax(dim, keepdim=True),
    "std": lambda h, dim: h.std(dim, keepdim=True),
    "norm": lambda h, dim: h.norm(dim=dim, keepdim=True),
    "cumsum": lambda h, dim: h.cumsum(dim),
    "roll": lambda h, dim: h.roll(1, dim),
    "flip": lambda h, dim: h.flip(dim),
    "sort": lambda h, dim: h.sort(dim).values,
    "everything": lambda h, dim: h.mean() if dim == 0 else h.mean(1, keepdim=True),
    "gram": lambda h, dim: (h @ h.T) @ h / N if dim == 0 else h,
    "transposed": lambda h, dim: h.T.softmax(1).T if dim == 0 else h.softmax(1),
    "cut": lambda h, dim: torch.cat([h[N // 2 :], h[: N // 2]]) if dim == 0 else h,
}


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("name", MIXTURES)
def test_flag_that_makes_examples_interact(name: str, negative: bool) -> None:
    module = Mixing(MIXTURES[name])
    problem = given(nn.CrossEntropyLoss(reduction="none"), module)
    rows, labels = problem.batch
    problem = problem._replace(clean_batch=(rows[:M], labels[:M]))
    for along in (1, 0, 1, 0):
        module.along = along - 2 * negative if name not in ("everything", "gram", "cut") else along
        if name == "transposed":
            module.along = along
        if name in ("gram", "cut") and along == 0:
            problem = problem._replace(clean_batch=problem.batch)
        assert_close(example_weights(*problem), oracle_of(problem), atol=1e-9)


def test_ramp_from_nothing() -> None:
    """As long as its share is zero, no batch shows that examples interact."""
    module = Mixing(MIXTURES["mean"])
    module.along, module.share = 0, 0.0
    problem = given(nn.CrossEntropyLoss(reduction="none"), module)
    for share in (0.0, 0.0, 0.9):
        module.share = share
        assert_close(example_weights(*problem), oracle_of(problem), atol=1e-10)


def test_layers_that_keep_examples_apart_are_taken_layer_by_layer() -> None:
    """What goes along features is not refused."""
    for name in ("mean", "softmax", "logsumexp", "amax", "std", "cumsum", "flip"):
        problem = given(nn.CrossEntropyLoss(reduction="none"), Mixing(MIXTURES[name]))
        found = example_weights(*problem, meta_gradient="layerwise")
        assert_close(found, oracle_of(problem), atol=1e-10)


class Shifted(nn.Module):
    """Takes away a mean over the batch that no graph shows."""

    def __init__(self, mean: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)
        self.mean, self.share = mean, 0.0

    def forward(self, X: Tensor) -> Tensor:
        h = self.a(X)
        output: Tensor = self.b((h - self.share * self.mean(X, h)).relu())
        return output


UNSEEN: dict[str, Any] = {
    "of the input": lambda X, h: X.mean(0).sum(),
    "detached": lambda X, h: h.detach().mean(0),
    "of its first row": lambda X, h: X[:1].sum(),
    "sorted": lambda X, h: h.detach().sort(0).values[:1],
    "a norm": lambda X, h: X.norm(),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_ramp_outside_of_the_graph(name: str) -> None:
    module = Shifted(UNSEEN[name])
    problem = given(nn.CrossEntropyLoss(reduction="none"), module)
    for share in (0.0, 0.0, 0.9):
        module.share = share
        assert_close(example_weights(*problem), oracle_of(problem), atol=1e-10)


class Ramped:
    """A loss that comes to depend on the labels, or the losses, of the whole batch."""

    def __init__(self, factor: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.factor, self.share = factor, 0.0

    def __call__(self, output: Tensor, y: Tensor) -> Tensor:
        f = nn.functional.cross_entropy(output, y, reduction="none")
        return f * (1 - self.share + self.share * self.factor(f.detach(), y))


FACTORS: dict[str, Any] = {
    "balanced": lambda f, y: (1 / torch.bincount(y, minlength=3))[y],
    "small losses": lambda f, y: (f <= f.quantile(0.5)).to(f),
}


@pytest.mark.parametrize("name", FACTORS)
def test_ramp_in_a_loss(name: str) -> None:
    loss = Ramped(FACTORS[name])
    problem = given(loss)
    for share in (0.0, 0.0, 0.9):
        loss.share = share
        assert_close(example_weights(*problem), oracle_of(problem), atol=1e-10)


def test_both_batches_go_together_where_examples_are_apart() -> None:
    problem = given(nn.CrossEntropyLoss(reduction="none"))
    example_weights(*problem)
    assert chosen_meta_gradient(problem.module) == "merged"
