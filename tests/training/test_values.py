"""`example_values_`: what each row was worth to the clean set, by the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import LRScheduler
from torch import nn

from tests.reference import per_example_slopes
from tests.small import X_CLEAN, Y_CLEAN, Y_NOISY, Record, X, joined, make_net
from tests.training.test_recording import Double

PER_EXAMPLE = nn.CrossEntropyLoss(reduction="none")
CLEAN = torch.as_tensor(X_CLEAN, dtype=torch.float64), torch.as_tensor(Y_CLEAN)
N = len(X)
WEIGHT = np.where(np.arange(N) % 5 == 1, 0.0, np.random.default_rng(3).uniform(0.1, 4, N))
ROW = {value: i for i, value in enumerate(X[:, 0].tolist())}


class Before(Record):
    """Remembers the parameters and the learning rate before each step."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[tuple[Any, Any, float]] = []

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        state = {name: p.detach().clone() for name, p in net.module_.state_dict().items()}
        self.states.append((batch, state, net.optimizer_.param_groups[0]["lr"]))


def by_definition(before: Before, p: Any = None) -> np.ndarray[Any, Any]:
    """Sum over the steps of lr * p_i / sum p * <grad f_i, grad L>."""
    values, module = np.zeros(N), Double()
    for batch, state, lr in before.states:
        module.load_state_dict(state)
        rows = [ROW[x] for x in batch[0][:, 0].tolist()]
        pair = batch[0].double(), torch.as_tensor(batch[1])
        slopes = per_example_slopes(module, PER_EXAMPLE, pair, CLEAN).numpy()
        share = np.ones(len(rows)) if p is None else p[rows]
        np.add.at(values, rows, lr * share / share.sum() * slopes)
    return values


@pytest.mark.parametrize("scale_slopes", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_what_they_are_defined_to_be(weighted: bool, scale_slopes: bool) -> None:
    before = Before()
    halve = LRScheduler("StepLR", step_size=2, gamma=0.5, step_every="batch")
    net = make_net(
        Double, max_epochs=3, average=0.5, clean_loss_weight=0.3, scale_slopes=scale_slopes,
        callbacks=[("before", before), ("halve", halve)],
    )  # fmt: skip
    net.fit(X, Y_NOISY, sample_weight=WEIGHT if weighted else None)
    expected = by_definition(before, WEIGHT if weighted else None)
    assert len({lr for *_, lr in before.states}) > 2
    assert (expected < 0).any() and (expected > 0).any()  # noqa: PT018
    trained = WEIGHT > 0 if weighted else np.ones(N, dtype=bool)
    np.testing.assert_allclose(net.example_values_[trained], expected[trained], rtol=1e-6)
    assert np.isnan(net.example_values_[~trained]).all()


def test_class_weights_are_shares_too() -> None:
    # Both classes are as frequent in the clean set, whose losses are as they are then.
    before, weights = Before(), {0: 1.0, 1: 3.0}
    scale = {0: 1.0, 1: 1.0}
    plain = make_net(Double, class_weight=scale, callbacks=[("before", before)]).fit(X, Y_NOISY)
    np.testing.assert_allclose(plain.example_values_, by_definition(before), rtol=1e-6)
    other = make_net(Double, class_weight=weights, max_epochs=1, batch_size=-1).fit(X, Y_NOISY)
    twice = make_net(
        Double, class_weight={0: 2.0, 1: 6.0}, max_epochs=1, batch_size=-1
    ).fit(X, Y_NOISY)  # fmt: skip
    np.testing.assert_allclose(other.example_values_, twice.example_values_, rtol=1e-6)
    assert not np.allclose(other.example_values_, plain.example_values_)


def test_values_sum_to_the_first_order_fall_of_the_clean_loss() -> None:
    # of a plain step, on the mean loss: lr * <grad mean f, grad L>, by finite differences
    module = Double()
    net = make_net(module, lr=0.1, max_epochs=1, batch_size=-1).fit(X, Y_NOISY)
    rows, y = torch.as_tensor(X, dtype=torch.float64), torch.as_tensor(Y_NOISY)
    parameters = list(module.parameters())
    direction = torch.autograd.grad(PER_EXAMPLE(module(rows), y).mean(), parameters)

    def clean_loss(step: float) -> float:
        moved = Double()
        moved.load_state_dict(module.state_dict())
        with torch.no_grad():
            for p, g in zip(moved.parameters(), direction, strict=True):
                p.sub_(step * g)
        return float(PER_EXAMPLE(moved(CLEAN[0]), CLEAN[1]).mean().detach())

    fall = 0.1 * (clean_loss(-1e-5) - clean_loss(1e-5)) / 2e-5
    assert fall > 0
    assert net.example_values_.sum() == pytest.approx(fall, rel=1e-5)


def test_a_row_that_stands_twice_has_the_value_of_two() -> None:
    once, twice = X[:20], np.concatenate([X[:20], X[:1]])
    y = Y_NOISY[:20]
    net = make_net(Double, max_epochs=1, batch_size=-1)
    weight = np.ones(20)
    weight[0] = 2
    weighed = net.fit(once, y, sample_weight=weight).example_values_.copy()
    repeated = net.fit(twice, np.append(y, y[0])).example_values_
    assert weighed[0] == pytest.approx(repeated[0] + repeated[-1], rel=1e-6)
    np.testing.assert_allclose(weighed[1:], repeated[1:-1], rtol=1e-6)


def test_clean_rows_have_none() -> None:
    rows, y, mask = joined()
    net = make_net(clean_set=None).fit(rows, y, clean_mask=mask)
    np.testing.assert_array_equal(np.isnan(net.example_values_), mask)


def test_values_are_kept_as_weights_are() -> None:
    assert not hasattr(make_net(record_weights=False).fit(X, Y_NOISY), "example_values_")
    net = make_net(record_weights="epochs").fit(X, Y_NOISY)
    assert net.example_values_.shape == (N,)
    net.partial_fit(X[:7], Y_NOISY[:7])
    assert net.example_values_.shape == (7,)
