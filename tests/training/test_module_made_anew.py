"""A module that a callback makes anew, or that a first batch completes, is the one that learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, InputShapeSetter
from torch import Tensor, nn

from tests.small import (
    MLP,
    X_CLEAN,
    Y_CLEAN,
    Record,
    X,
    Y,
    make_net,
    same_state,
    state_of,
)

SETTINGS: dict[str, Any] = {"max_epochs": 20, "clean_batch_size": 4}


def check_learned(net: Any, record: Record) -> None:
    """Weights are not all 0, and each step moves the module that predicts."""
    weights = torch.cat(record.weights)
    assert (weights > 0).any()
    assert np.nanmax(net.example_weights_) > 1
    assert same_state(record.parameters[-1], state_of(net.module_))
    assert net.score(X, Y) > 0.9


class Wider(Callback):
    """Searches, prunes or grows: sets another size when training begins."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        net.set_params(module__hidden=7)


@pytest.mark.parametrize("way", ["auto", "layerwise", "forward", "double_backward"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_size_that_is_set_when_training_begins(method: str, way: str) -> None:
    record = Record()
    callbacks = [("record", record), ("wider", Wider())]
    net = make_net(callbacks=callbacks, meta_gradient=way, **SETTINGS)
    getattr(net, method)(X, Y)
    assert net.module_.inner.out_features == 7
    check_learned(net, record)


class OfInputs(MLP):
    def __init__(self, input_dim: int = 1) -> None:
        super().__init__(n_inputs=input_dim)


def test_input_shape_setter() -> None:
    record = Record()
    callbacks = [("record", record), ("shape", InputShapeSetter())]
    net = make_net(OfInputs, callbacks=callbacks, **SETTINGS).fit(X, Y)
    assert net.module_.inner.in_features == 4
    check_learned(net, record)


class Replaces(Callback):
    """Takes another module in the middle of a fit."""

    def __init__(self, when: str) -> None:
        self.when = when
        self.taken = 0

    def take(self, net: Any) -> None:
        if not self.taken and len(net.history) == 2:
            self.taken += 1
            net.module_ = MLP(hidden=7)
            net.optimizer_ = torch.optim.SGD(net.module_.parameters(), lr=net.lr)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if self.when == "epoch begin":
            self.take(net)

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if self.when == "batch begin" and training:
            self.take(net)

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if self.when == "batch end" and training:
            self.take(net)


@pytest.mark.parametrize("when", ["epoch begin", "batch begin", "batch end"])
@pytest.mark.parametrize("way", ["auto", "layerwise", "double_backward"])
def test_module_that_is_replaced_in_the_middle(way: str, when: str) -> None:
    record, replaces = Record(), Replaces(when)
    callbacks = [("record", record), ("replaces", replaces)]
    net = make_net(callbacks=callbacks, meta_gradient=way, **SETTINGS).fit(X, Y)
    assert replaces.taken == 1
    assert net.module_.inner.out_features == 7
    check_learned(net, record)


def test_module_that_is_replaced_is_weighed_like_one_that_was_there_before() -> None:
    """From the moment on, training is that of the new module."""
    torch.manual_seed(3)
    other = MLP(dtype=torch.float64)

    class Takes(Callback):
        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            net.module_ = MLP(dtype=torch.float64)
            net.module_.load_state_dict(other.state_dict())
            net.optimizer_ = torch.optim.SGD(net.module_.parameters(), lr=net.lr)

    settings: dict[str, Any] = {"iterator_train__shuffle": False, "module__dtype": torch.float64}
    replaced = make_net(callbacks=[Takes()], **settings).fit(X, Y)
    expected = make_net(other, iterator_train__shuffle=False).fit(X, Y)
    assert same_state(state_of(replaced.module_), state_of(expected.module_), atol=1e-12)
    np.testing.assert_allclose(replaced.example_weights_, expected.example_weights_, atol=1e-9)


class Criterion(nn.Module):
    """Cross-entropy at a temperature of its own."""

    reduction = "mean"

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(
            output / self.temperature, target, reduction=self.reduction
        )


def test_criterion_that_is_set_when_training_begins() -> None:
    class Cooler(Callback):
        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            net.set_params(criterion__temperature=0.5)

    net = make_net(criterion=Criterion, callbacks=[Cooler()], predict_nonlinearity=None).fit(X, Y)
    cool = make_net(criterion=Criterion, criterion__temperature=0.5, predict_nonlinearity=None)
    cool.fit(X, Y)
    np.testing.assert_array_equal(net.example_weights_, cool.example_weights_)


# What a module that does not fit is told, after the callbacks


def test_module_that_does_not_fit_is_refused_after_the_callbacks() -> None:
    class Narrower(Callback):
        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            net.set_params(module__n_outputs=5)

    record = Record()
    callbacks = [("record", record), ("narrower", Narrower())]
    with pytest.raises(ValueError, match=r"shape \(\d, 5\), but y has 2 classes"):
        make_net(callbacks=callbacks, clean_set=(X_CLEAN, Y_CLEAN)).fit(X, Y)
    assert record.parameters == []


# Layers that take their sizes from the first batch


class Lazy(nn.Module):
    """Parameters and buffers are made by the first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LazyLinear(6), nn.LazyBatchNorm1d(), nn.ReLU(), nn.Linear(6, 2)
        )

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.layers(X)
        return logits


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_lazy_layers() -> None:
    net = make_net(Lazy).fit(X, Y)
    assert net.module_.layers[1].running_mean.shape == (6,)
    again = make_net(Lazy).initialize().fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    later = make_net(Lazy).partial_fit(X, Y).partial_fit(X, Y)
    assert len(later.history) == 2 * len(net.history)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_lazy_instance() -> None:
    """Torch cannot copy lazy buffers, and the module of a user is not to be altered."""
    module = Lazy()
    with pytest.raises(ValueError, match=r"lazy buffers \['layers.1.running_mean'.*Give the class"):
        make_net(module).fit(X, Y)
    module(torch.as_tensor(X))
    assert make_net(module).fit(X, Y).module_ is not module
