"""A callback that asks for a loader of its own does not disturb the fit that it is told of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from tests.small import Y_NOISY, Record, X, make_net, same_state, state_of

N = len(X)
WEIGHTS = np.linspace(0.2, 2, N)


class Asks(Callback):
    """Goes over data as in training, say to estimate BatchNorm's statistics anew."""

    def __init__(self, when: str, rows: slice | None) -> None:
        self.when = when
        self.rows = rows
        self.dataset: Any = None
        self.parts: list[int] = []

    def ask(self, net: Any) -> None:
        dataset = self.dataset
        if dataset is None or self.rows is not None:
            rows = self.rows or slice(None)
            dataset = net.get_dataset(X[rows], Y_NOISY[rows])
        with torch.random.fork_rng(devices=[]):
            for Xi, yi in net.get_iterator(dataset, training=True):
                assert len(Xi) == len(yi)
                self.parts.append(len(yi))

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        if self.when == "train begin":
            self.ask(net)

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        self.dataset = dataset_train
        if self.when == "epoch begin":
            self.ask(net)

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if self.when == "batch begin" and training:
            self.ask(net)

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if self.when == "batch end" and training:
            self.ask(net)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.when == "epoch end":
            self.ask(net)


@pytest.mark.parametrize("sample_weight", [None, WEIGHTS], ids=["plain", "sample_weight"])
@pytest.mark.parametrize("rows", [None, slice(0, 10)], ids=["the data", "other data"])
@pytest.mark.parametrize("loader", ["rows", "items"])
@pytest.mark.parametrize(
    "when", ["train begin", "epoch begin", "batch begin", "batch end", "epoch end"]
)
def test_loader_of_a_callback_leaves_the_fit_alone(
    when: str, loader: str, rows: slice | None, sample_weight: Any
) -> None:
    options: dict[str, Any] = {"record_weights": "epochs", "batch_size": 8}
    if loader == "items":
        options["iterator_train__num_workers"] = 0  # skorch's loader, item by item
    asks = Asks(when, rows)
    net = make_net(callbacks=[("asks", asks)], **options)
    net.fit(X, Y_NOISY, sample_weight=sample_weight)
    expected = make_net(**options).fit(X, Y_NOISY, sample_weight=sample_weight)
    assert sum(asks.parts) % (N if rows is None else 10) == 0
    assert sum(asks.parts) > 0
    assert same_state(state_of(net.module_), state_of(expected.module_))
    np.testing.assert_array_equal(net.example_weights_, expected.example_weights_)
    np.testing.assert_array_equal(net.epoch_example_weights_, expected.epoch_example_weights_)


class Averages(Callback):
    """Estimates BatchNorm's statistics anew at the end, as torch's update_bn does."""

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        loader = net.get_iterator(net.get_dataset(X, y), training=True)
        torch.optim.swa_utils.update_bn(loader, net.module_)


def test_batch_norm_is_estimated_anew_at_the_end() -> None:
    settings = {"module__batch_norm": True}
    net = make_net(callbacks=[Averages()], **settings).fit(X, Y_NOISY)
    expected = make_net(**settings).fit(X, Y_NOISY)
    np.testing.assert_array_equal(net.example_weights_, expected.example_weights_)
    assert not torch.equal(net.module_.norm.running_mean, expected.module_.norm.running_mean)
    assert int(net.module_.norm.num_batches_tracked) == 3


def test_loader_after_a_fit_yields_pairs() -> None:
    record = Record()
    net = make_net(callbacks=[("record", record)]).fit(X, Y_NOISY)
    weights = net.example_weights_.copy()
    loader = net.get_iterator(net.get_dataset(X, Y_NOISY), training=True)
    labels = [yi for _, yi in loader]
    assert sum(len(yi) for yi in labels) == N
    np.testing.assert_array_equal(net.example_weights_, weights)
