"""Ways held to one ordinary backward pass per example, without the trial that would refuse them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_l2rw.meta_gradient.algorithm import Wanted, Weighed
from sklearn_l2rw.meta_gradient.objective import Objective
from sklearn_l2rw.meta_gradient.ways import WAYS
from tests.zoo_parts import Problem

CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")
CLEAN_WEIGHT = 0.7


def problem_of(
    module: nn.Module, X: Callable[[int], Any], n: int, m: int, loss: Any = CROSS_ENTROPY
) -> Problem:
    """A module in float64, a batch of n examples of three classes, and a clean batch of m."""
    batch, clean_batch = ((X(k), torch.randint(3, (k,))) for k in (n, m))
    return Problem(module.double(), loss, batch, clean_batch)


def weighed(problem: Problem, way: str, chosen: Callable[[str], bool] | None = None) -> Weighed:
    """What a way finds, whatever a trial would say to it."""
    objective = Objective(problem.module, problem.loss)
    trained = {name: p for name, p in objective.named_parameters() if p.requires_grad}
    taken = {name: p for name, p in trained.items() if chosen is None or chosen(name)}
    batches = problem.batch, problem.clean_batch
    return WAYS[way].compute(objective, *batches, taken, Wanted(clean=trained))


def _gradients(scalar: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(scalar, leaves, retain_graph=True, allow_unused=True)
    pairs = zip(found, leaves, strict=True)
    return [torch.zeros_like(p) if g is None else g.to_dense() for g, p in pairs]


def assert_right(
    problem: Problem, way: str, chosen: Callable[[str], bool] | None = None, atol: float = 1e-9
) -> None:
    """Slopes, and the gradient of weighted losses and of the clean one, relative to the largest."""
    objective = Objective(problem.module, problem.loss)
    trained = {name: p for name, p in objective.named_parameters() if p.requires_grad}
    taken = [p for name, p in trained.items() if chosen is None or chosen(name)]
    leaves = [*trained.values()]
    clean_loss = objective(problem.clean_batch)[0].mean()
    losses = objective(problem.batch)[0]
    v = _gradients(clean_loss, taken)
    rows = [_gradients(f_i, taken) for f_i in losses]
    slopes = torch.stack(
        [torch.stack([(g * d).sum() for g, d in zip(row, v, strict=True)]).sum() for row in rows]
    )
    weights = torch.linspace(-1, 1.3, len(losses)).to(losses)
    both = (weights * losses).sum() + CLEAN_WEIGHT * clean_loss
    expected = _gradients(both, leaves)

    problem.module.zero_grad()
    found = weighed(problem, way, chosen)
    _assert_close(found.slopes, slopes, atol)
    _assert_close(found.clean_loss, clean_loss.detach(), atol)
    _assert_close(found.losses.detach(), losses.detach(), atol)
    assert len(found.output) == len(losses)
    found.backward(weights, CLEAN_WEIGHT)
    got = [torch.zeros_like(p) if p.grad is None else p.grad.to_dense() for p in leaves]
    assert [g.shape for g in got] == [p.shape for p in leaves]
    flat, right = (torch.cat([g.flatten() for g in gs]) for gs in (got, expected))
    _assert_close(flat, right, atol)


def _assert_close(found: Tensor, right: Tensor, atol: float) -> None:
    scale = max(float(right.abs().max()), 1e-3)
    torch.testing.assert_close(found / scale, right / scale, rtol=0, atol=atol)
