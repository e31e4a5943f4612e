"""Fits beside each other, and beside a user's own stream of random numbers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw.meta_gradient.algorithm import normalize
from sklearn_l2rw.meta_gradient.choice import Chooser
from sklearn_l2rw.meta_gradient.objective import Objective
from sklearn_l2rw.meta_gradient.parameters import trainable
from sklearn_l2rw.meta_gradient.trial import look
from tests.zoo import ZOO, build

THREADS, TIMES = 3, 12
NOTHING_RANDOM = (
    "mlp",
    "batch_norm_1d",
    pytest.param("transformer", marks=pytest.mark.slow),
    pytest.param("hardsigmoid_under_batch_norm", marks=pytest.mark.slow),
)


@contextmanager
def stream() -> Iterator[list[float]]:
    """Numbers that a thread draws from torch's global generator until the block is left."""
    numbers: list[float] = []
    stop = threading.Event()

    def draw() -> None:
        while not stop.is_set():
            numbers.append(torch.rand((), dtype=torch.float64).item())

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        yield numbers
    finally:
        stop.set()
        thread.join()


def in_threads(call: Callable[[], tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [f.result() for f in [pool.submit(call) for _ in range(THREADS * TIMES)]]


@pytest.mark.parametrize("name", NOTHING_RANDOM)
def test_modules_with_nothing_random_are_weighed_alike_and_leave_a_stream_alone(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        problems = [build(ZOO[name], torch.float64) for _ in range(THREADS * TIMES + 1)]

    def weigh() -> tuple[str, Tensor]:
        problem = problems.pop()
        loss = nn.CrossEntropyLoss(reduction="none")
        objective, chooser = Objective(problem.module, loss), Chooser("auto")
        for _ in range(2):
            found = chooser(objective, *problem[2:], trainable(objective))
        return chooser.name, normalize(found.slopes)

    alone = weigh()
    with stream() as numbers:
        found = in_threads(weigh)
    assert {way for way, _ in found} == {alone[0]}
    assert all(torch.equal(weights, alone[1]) for _, weights in found)
    assert len(set(numbers)) == len(numbers)
    assert len(numbers) > 100


class Beside(nn.Linear):
    """A layer in whose first passes another thread draws, as that of a Dask worker does."""

    def __init__(self, draw: Callable[[], object], passes: int) -> None:
        super().__init__(4, 2)
        self.draw, self.passes = draw, passes

    def forward(self, X: Tensor) -> Tensor:
        if self.passes:
            self.passes -= 1
            thread = threading.Thread(target=self.draw)
            thread.start()
            thread.join()
        return super().forward(X)


def streams_of(module: nn.Module) -> frozenset[str]:
    objective = Objective(module, nn.CrossEntropyLoss(reduction="none"))
    return look(objective, (torch.ones(3, 4), torch.zeros(3, dtype=torch.int64))).streams


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_what_another_thread_draws_is_not_the_modules(draw: Callable[[], object]) -> None:
    """It would be refused the way that takes both batches in one pass, and end elsewhere."""
    assert streams_of(Beside(draw, passes=2)) == frozenset()


@pytest.mark.parametrize(("name", "draw"), [("random", random.random), ("numpy", np.random.rand)])
def test_what_a_module_draws_is_its_own(name: str, draw: Callable[[], object]) -> None:
    class Draws(nn.Linear):
        def forward(self, X: Tensor) -> Tensor:
            draw()
            return super().forward(X)

    assert streams_of(Draws(4, 2)) == {"torch", name}
    assert streams_of(nn.Sequential(Draws(4, 4), nn.Dropout(), Draws(4, 2))) == {"torch", name}
    assert streams_of(nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 2))) == {"torch"}
