"""Time of fits of a small net on rows: the estimator beside skorch and hand-written loops.

All train the same perceptron (20-64-64-2) by SGD with momentum on batches of 128, for the same
number of epochs. The ratio is that to skorch's own `NeuralNetClassifier`, which trains without
weights.

A `partial_fit` is one epoch over a batch of rows, in a net that has had such a batch before,
without and with BatchNorm. Nothing but a step is to be done: what it takes beyond is the
estimator's own.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import Tensor, nn

from benchmarks.nets.small import MLP
from benchmarks.step.costs import time_arms
from sklearn_l2rw import L2RWClassifier, example_weights

BATCH_SIZE = 128
N_CLEAN = 10
SETTINGS: dict[str, Any] = {
    "module__n_inputs": 20,
    "module__n_outputs": 2,
    "module__hidden": (64, 64),
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.01,
    "batch_size": BATCH_SIZE,
    "verbose": 0,
}


class Rows(NamedTuple):
    """Training data, clean data, and how to train."""

    X: Any
    y: Any
    X_clean: Any
    y_clean: Any
    epochs: int
    device: str


def make_rows(n: int, epochs: int, device: str) -> Rows:
    """Two noisy classes, which a line separates."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n + N_CLEAN, 20)).astype(np.float32)
    y = (X[:, 0] + 0.5 * rng.normal(size=len(X)) > 0).astype(np.int64)
    return Rows(X[N_CLEAN:], y[N_CLEAN:], X[:N_CLEAN], y[:N_CLEAN], epochs, device)


def make_skorch(rows: Rows, **more: Any) -> Any:
    """Plain net, with skorch's defaults but for the loss and the shuffling."""
    return NeuralNetClassifier(
        MLP,
        criterion=nn.CrossEntropyLoss,
        train_split=None,
        iterator_train__shuffle=True,
        max_epochs=rows.epochs,
        device=rows.device,
        **SETTINGS,
        **more,
    )


def make_ours(rows: Rows, **more: Any) -> Any:
    """Estimator of this package."""
    return L2RWClassifier(
        MLP,
        clean_set=(rows.X_clean, rows.y_clean),
        max_epochs=rows.epochs,
        device=rows.device,
        **SETTINGS,
        **more,
    )


def fit(rows: Rows, make: Callable[..., Any], **more: Any) -> Any:
    """Fit an estimator."""
    return make(rows, **more).fit(rows.X, rows.y)


def loop(rows: Rows, *, weighted: bool) -> nn.Module:
    """Fit by a loop of one's own, with `example_weights` or without."""
    net = MLP(20, 2, (64, 64)).to(rows.device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    loss = nn.CrossEntropyLoss(reduction="none")
    X, y, X_clean, y_clean = (torch.as_tensor(a, device=rows.device) for a in rows[:4])
    for _ in range(rows.epochs):
        for indices in torch.split(torch.randperm(len(X), device=rows.device), BATCH_SIZE):
            batch: tuple[Tensor, Tensor] = (X[indices], y[indices])
            weights = torch.full((), 1 / len(indices), device=rows.device)
            if weighted:
                weights = example_weights(net, loss, batch, (X_clean, y_clean))
            optimizer.zero_grad()
            (weights * loss(net(batch[0]), batch[1])).sum().backward()
            optimizer.step()
    return net


MAKERS: dict[str, Callable[..., Any]] = {"skorch": make_skorch, "ours": make_ours}
FITS: dict[str, Callable[[Rows], Any]] = {
    **{name: partial(fit, make=make) for name, make in MAKERS.items()},
    "ours, weights not recorded": partial(fit, make=make_ours, record_weights=False),
    "loop": partial(loop, weighted=False),
    "loop + example_weights": partial(loop, weighted=True),
}
PARTIAL_FITS = {"MLP": False, "MLP with BatchNorm": True}
Times = dict[str, dict[str, float]]


def time_fits(n: int, epochs: int, rounds: int, device: str) -> Times:
    """Median seconds of a fit, and their ratio to skorch's; the fits take turns."""
    rows = make_rows(n, epochs, device)
    warm_up = make_rows(4 * BATCH_SIZE, 1, device)
    for fit_ in FITS.values():
        fit_(warm_up)
    return _compared({name: partial(fit_, rows) for name, fit_ in FITS.items()}, rounds, device)


def time_partial_fits(n: int, rounds: int, device: str) -> dict[str, Times]:
    """Median seconds of a `partial_fit` of n rows, by net, and their ratio to skorch's."""
    rows = make_rows(n, 1, device)
    found = {}
    for net, batch_norm in PARTIAL_FITS.items():
        made = {name: make(rows, module__batch_norm=batch_norm) for name, make in MAKERS.items()}
        steps = {name: partial(net.partial_fit, rows.X, rows.y) for name, net in made.items()}
        for step in steps.values():
            step()
        found[net] = _compared(steps, rounds, device)
    return found


def _compared(steps: Mapping[str, Callable[[], Any]], rounds: int, device: str) -> Times:
    seconds = time_arms(steps, rounds, device)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        name: {"seconds": median, "ratio": median / medians["skorch"], "rounds": rounds}
        for name, median in medians.items()
    }
