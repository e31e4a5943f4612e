"""Epochs before weights are learned: `warm_up`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_l2rw import ALGORITHM_1
from tests.small import X, Y, make_net, same_state, state_of

PAPER: dict[str, Any] = {**ALGORITHM_1, "clean_batch_size": 3, "batch_size": 8}


def test_rows_count_alike_at_first_and_are_weighed_then() -> None:
    net = make_net(**PAPER, max_epochs=4, warm_up=2, record_weights="epochs").fit(X, Y)
    by_epoch = net.epoch_example_weights_
    assert (by_epoch[:2] == 1).all()
    assert (by_epoch[2:] == 0).any()
    assert (by_epoch[2:] > 1).any()


def test_warm_up_is_plain_training() -> None:
    """Of the mean loss, step by step, with what rows count."""
    p = np.linspace(0.5, 2, len(X))
    net = make_net(**PAPER, max_epochs=1, warm_up=1, lr=0.1, iterator_train__shuffle=False)
    net.initialize()
    start = state_of(net.module_)
    net.partial_fit(X, Y, sample_weight=p)
    ours = state_of(net.module_)
    net.module_.load_state_dict(start)
    optimizer = torch.optim.SGD(net.module_.parameters(), lr=0.1)
    codes = torch.as_tensor(np.searchsorted(np.unique(Y), Y))
    rows = torch.as_tensor(X)
    for first in range(0, len(X), 8):
        batch = slice(first, first + 8)
        optimizer.zero_grad()
        losses = nn.functional.cross_entropy(
            net.module_(rows[batch]), codes[batch], reduction="none"
        )
        counts = torch.as_tensor(p[batch]).float()
        (losses * counts / counts.sum()).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert not same_state(start, ours, atol=1e-3)
    assert same_state(state_of(net.module_), ours, atol=1e-6)


def test_partial_fit_counts_on() -> None:
    """Epochs are counted from the first one of a net."""
    net = make_net(**PAPER, max_epochs=1, warm_up=1, record_weights="epochs").fit(X, Y)
    assert (net.epoch_example_weights_ == 1).all()
    net.partial_fit(X, Y)
    assert not (net.epoch_example_weights_[-1] == 1).all()


@pytest.mark.parametrize(
    ("warm_up", "error"), [(-1, ValueError), (0.5, ValueError), ("2", TypeError), (True, TypeError)]
)
def test_bad_value(warm_up: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"warm_up=.*number of epochs"):
        make_net(warm_up=warm_up).fit(X, Y)
