"""The net that arms share: steps, batches, learning rates."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.methods import fit
from benchmarks.methods.net import Batches, Net
from benchmarks.methods.training import Training, n_epochs
from tests.small_benchmarks import TINY, tiny_setting, tiny_task


def test_steps_are_counted_over_the_rows_there_are() -> None:
    assert n_epochs(1000, 5000, 100) == 20
    assert n_epochs(1000, 50, 100) == 1000
    assert n_epochs(1, 5000, 100) == 1
    task = tiny_task()
    net = fit("random_undersampled", tiny_setting(task))[-1]
    batches = sum(len(row["batches"]) for row in net.history)
    assert abs(batches - TINY.n_steps) <= 1


def test_training_leaves_torchs_generator_alone() -> None:
    task = tiny_task()
    state = torch.get_rng_state()
    fit("random_weights", tiny_setting(task))
    assert torch.equal(torch.get_rng_state(), state)


def test_batches_hold_each_row_once() -> None:
    X = torch.arange(10.0)[:, None]
    seen = [
        row for x, _ in Batches(X, torch.arange(10), 4, Net(nn.Identity)) for row in x.flatten()
    ]
    assert len(Batches(X, torch.arange(10), 4)) == 3
    assert sorted(int(x) for x in seen) == list(range(10))
    in_order = torch.cat([y for _, y in Batches(X, torch.arange(10), 4)])
    assert in_order.tolist() == list(range(10))


def test_learning_rate_falls_at_the_milestones() -> None:
    training = Training("mlp", 16, 16, 20, lrs=(1.0,), milestones=(0.5,))
    for arm in ("unweighted", "l2rw"):
        net = fit(arm, tiny_setting(tiny_task(), training))
        assert net.optimizer_.param_groups[0]["lr"] == pytest.approx(0.01)
