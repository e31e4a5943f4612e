"""What users do in training that an estimator may trip over without a word."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, Freezer, GradientNormClipping, Unfreezer
from skorch.dataset import Dataset as SkorchDataset
from torch import Tensor, nn
from torch.utils.data import default_collate

from sklearn_l2rw import L2RWClassifier, L2RWMixin, example_weights
from tests.small import MLP, Y_NOISY, Weighed, X, Y, make_net

N = len(X)
ORDER = np.random.default_rng(1).permutation(N)


# Layers that are thawed in the middle


class Mixed(nn.Module):
    """Examples of a batch interact, by an operation without parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 6, dtype=torch.float64)
        self.head = nn.Linear(6, 2, dtype=torch.float64)

    def forward(self, X: Tensor) -> Tensor:
        h = self.body(X.double())
        logits: Tensor = self.head(torch.relu((h - h.mean(0)) / (h.std(0) + 0.1)))
        return logits


class Normed(MLP):
    """With BatchNorm, by which examples of a batch interact."""

    def __init__(self) -> None:
        super().__init__(batch_norm=True, dtype=torch.float64)

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X.double())


@pytest.mark.parametrize(("module", "frozen"), [(Mixed, "body*"), (Normed, ["inner*", "norm*"])])
def test_weights_are_exact_after_layers_are_thawed(module: Any, frozen: Any) -> None:
    seen = {}
    for way in ("auto", "double_backward"):
        weighed = Weighed(X)
        callbacks = [Freezer(frozen), Unfreezer(frozen, at=3), ("weighed", weighed)]
        make_net(module, callbacks=callbacks, max_epochs=4, meta_gradient=way).fit(X, Y_NOISY)
        seen[way] = [weights for _, weights, *_ in weighed.steps]
    assert len(seen["auto"]) == len(seen["double_backward"]) > 4
    for ours, exact in zip(*seen.values(), strict=True):
        np.testing.assert_allclose(ours, exact, atol=1e-9)


def test_thawed_layers_in_a_loop_of_the_user() -> None:
    net, loss = Normed(), nn.CrossEntropyLoss(reduction="none")
    batch = torch.as_tensor(X[:20]), torch.as_tensor(Y[:20])
    clean_batch = torch.as_tensor(X[20:]), torch.as_tensor(Y[20:])
    net.inner.requires_grad_(False), net.norm.requires_grad_(False)

    def weights(way: str = "auto") -> Tensor:
        given = {"meta_gradient": way, "meta_parameters": "last"}
        return example_weights(net, loss, batch, clean_batch, **given)

    weights()
    net.inner.requires_grad_(True), net.norm.requires_grad_(True)
    torch.testing.assert_close(weights(), weights("double_backward"))


# Batches whose rows are in another order


def by_first_feature(items: list[Any]) -> Any:
    """A batch that is sorted, as sequences are by their lengths."""
    return default_collate(sorted(items, key=lambda item: float(item[0][0])))


def all_but_one(items: list[Any]) -> Any:
    return default_collate(items[1:])


def keeping_order(items: list[Any]) -> Any:
    return default_collate(items)


class Rows(torch.utils.data.Dataset[Any]):
    """Rows that are asked for one by one."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> Any:
        return X[index], int(Y_NOISY[index])


@pytest.mark.parametrize("collate", [by_first_feature, all_but_one])
def test_batches_that_are_not_in_order(collate: Any) -> None:
    """No weights are better than weights of other rows."""
    net = make_net(iterator_train__collate_fn=collate).fit(Rows(), Y_NOISY)
    assert not hasattr(net, "example_weights_")
    assert net.predict(X).shape == (N,)
    with pytest.raises(ValueError, match="does not say which rows a batch has"):
        net.fit(Rows(), Y_NOISY, sample_weight=np.linspace(1, 2, N))


def test_batches_that_are_in_order() -> None:
    net = make_net(iterator_train__collate_fn=keeping_order).fit(Rows(), Y_NOISY)
    expected = make_net().fit(Rows(), Y_NOISY)
    np.testing.assert_array_equal(net.example_weights_, expected.example_weights_)


def test_split_that_reorders() -> None:
    def split(dataset: Any, y: Any = None, **kwargs: Any) -> Any:
        return SkorchDataset(dataset.X[ORDER], dataset.y[ORDER]), None

    net = make_net(train_split=split).fit(X, Y_NOISY)
    assert not hasattr(net, "example_weights_")
    with pytest.raises(ValueError, match="train_split"):
        net.fit(X, Y_NOISY, sample_weight=np.linspace(1, 2, N))


def test_no_batch_at_all() -> None:
    net = make_net(iterator_train__drop_last=True, batch_size=N + 1)
    with pytest.raises(ValueError, match="no batch in epoch 1"):
        net.fit(X, Y)


# What callbacks see and users show


class Reader(Callback):
    """Reads the numbers of a step, as loggers do."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def on_batch_end(self, net: Any, training: bool = False, loss: Any = None, **kw: Any) -> None:
        if training:
            row = net.history[-1]["batches"][-1]
            assert f"{loss:.3f}" == f"{row['train_loss']:.3f}"
            self.rows.append(json.loads(json.dumps(row)))


def test_numbers_of_a_step_are_there_at_its_end() -> None:
    net = make_net(callbacks=[Reader()]).fit(X, Y_NOISY)
    (reader,) = (callback for _, callback in net.callbacks_ if isinstance(callback, Reader))
    written = [row for epoch in net.history for row in epoch["batches"]]
    assert reader.rows == written
    assert {"clean_loss", "zero_weights", "effective_sample_size", "zero_batches"} <= set(
        written[0]
    )


def test_repr_of_a_subclass_with_a_required_argument() -> None:
    class Net(L2RWMixin, NeuralNet):
        pass

    class Own(L2RWClassifier):
        def __init__(self, hidden: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.hidden = hidden

    net = Net(nn.Linear, criterion=nn.MSELoss, clean_set=3, lr=0.1)
    assert repr(net) == "Net(clean_set=3, criterion=MSELoss, lr=0.1, module=Linear)"
    assert "Net(" in net._repr_html_()
    assert "hidden=3" in repr(Own(3))


@pytest.mark.parametrize("named", [False, True])
def test_clipping_of_the_user_takes_the_place_of_ours(named: bool) -> None:
    mine = GradientNormClipping(100.0)
    callbacks = [("gradient_clipping", mine)] if named else [mine]
    net = make_net(callbacks=callbacks).fit(X, Y)
    clipping = [c for _, c in net.callbacks_ if isinstance(c, GradientNormClipping)]
    assert [c.gradient_clip_value for c in clipping] == [100.0]


def test_modules_of_a_subclass_may_be_called_encoder() -> None:
    class Net(L2RWClassifier):
        def initialize_module(self, *args: Any, **kwargs: Any) -> Any:
            super().initialize_module(*args, **kwargs)
            self.encoder_ = nn.Identity()
            return self

    net = Net(MLP, clean_set=10, random_state=0, verbose=0).fit(X, Y)
    assert isinstance(net.encoder_, nn.Identity)
    assert set(net.predict(X)) <= set(Y)


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
