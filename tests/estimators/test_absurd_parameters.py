"""Parameters that make no sense are refused before training, and NumPy's numbers are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.utils.data import Dataset

from sklearn_l2rw import L2RWBinaryClassifier
from tests.estimators.test_bad_input import assert_refused
from tests.small import MLP, SETTINGS, X, Y, make_net, same_state, state_of

HUGE = 10**400  # too large for a float


@pytest.mark.parametrize("size", [0, -2, 1.5, 2.0, True, "16", HUGE - HUGE, np.int64(0)])
@pytest.mark.parametrize(
    "name", ["batch_size", "iterator_train__batch_size", "iterator_valid__batch_size"]
)
def test_batch_size(name: str, size: Any) -> None:
    assert_refused((rf"{name}=", "positive int", "-1 for all"), **{name: size})


def test_batch_size_of_numpy() -> None:
    expected = state_of(make_net(batch_size=16).fit(X, Y).module_)
    for size in (np.int64(16), np.uint8(16)):
        assert same_state(state_of(make_net(batch_size=size).fit(X, Y).module_), expected)
    assert len(make_net(batch_size=np.int64(-1)).fit(X, Y).history[0, "batches"]) == 1


def test_batch_size_of_numpy_with_a_data_set() -> None:
    class Items(Dataset[Any]):
        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, i: int) -> Any:
            return X[i], Y[i]

    net = make_net(iterator_train__batch_size=np.int64(16), classes=[0, 1]).fit(Items(), None)
    assert len(net.history[0, "batches"]) == 3


def test_batch_sizes_of_an_array_are_searched() -> None:
    search = GridSearchCV(make_net(clean_set=8), {"batch_size": np.array([16, 32])}, cv=2)
    search.fit(X, Y)
    assert search.best_params_["batch_size"] in (16, 32)


@pytest.mark.parametrize("epochs", [-1, 1.5, 2.0, np.nan, np.inf, None, True, "2", -HUGE])
def test_max_epochs(epochs: Any) -> None:
    assert_refused(("max_epochs=", "int of at least 0"), max_epochs=epochs)


@pytest.mark.parametrize("lr", [np.nan, np.inf, -0.1, HUGE, "0.1", True, torch.tensor(torch.nan)])
def test_lr(lr: Any) -> None:
    assert_refused(("lr=", "finite and at least 0"), lr=lr)


@pytest.mark.parametrize("lr", [np.float32(0.1), torch.tensor(0.1), 0])
def test_lr_that_is_a_number(lr: Any) -> None:
    assert len(make_net(lr=lr).fit(X, Y).history) == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, HUGE])
def test_parameters_of_an_optimizer_are_finite(value: Any) -> None:
    words = ("optimizer__momentum=", "finite")
    assert_refused(words, optimizer__momentum=value)
    words = ("optimizer__betas=", "finite")
    assert_refused(words, optimizer=torch.optim.Adam, optimizer__betas=(0.9, value))
    groups = [("inner.*", {"lr": value})]
    assert_refused(("optimizer__param_groups=", "finite"), optimizer__param_groups=groups)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, np.nan, np.inf, "half", None, HUGE])
def test_threshold(threshold: Any) -> None:
    net = L2RWBinaryClassifier(MLP, module__n_outputs=1, **{**SETTINGS, "threshold": threshold})
    with pytest.raises((ValueError, TypeError), match=r"threshold=.*between 0 and 1"):
        net.fit(X, Y)
    assert not net.initialized_


@pytest.mark.parametrize("seed", [2**40, -1, "a", np.nan, np.random.default_rng(0)])
def test_random_state(seed: Any) -> None:
    assert_refused(("random_state=", "seed", r"2\*\*32 - 1"), random_state=seed)


@pytest.mark.parametrize("weight", [HUGE, "a", None, 1j, np.nan, [1, 2]])
def test_class_weight(weight: Any) -> None:
    assert_refused(("class_weight=", "finite weights"), class_weight={0: weight})


@pytest.mark.parametrize("name", ["warm_up", "average", "clean_loss_weight", "clean_batch_size"])
@pytest.mark.parametrize("value", [-HUGE, np.nan, "a"])
def test_numbers_of_the_method(name: str, value: Any) -> None:
    assert_refused((f"{name}=", "expected"), **{name: value})


@pytest.mark.parametrize("device", ["nowhere", "meta", 3.5, "mps:7"])
def test_device(device: Any) -> None:
    assert_refused(("device=", "expected"), device=device)


def test_device_of_a_fitted_net() -> None:
    """Refused at once: the next set_params could not take it back."""
    net = make_net().fit(X, Y)
    with pytest.raises(ValueError, match=r"device='nowhere'.*expected 'cpu'"):
        net.set_params(device="nowhere")
    assert net.set_params(lr=0.1).device == "cpu"


@pytest.mark.parametrize("callbacks", [3, "all", {"a": 1}])
def test_callbacks(callbacks: Any) -> None:
    net = make_net().set_params(callbacks=callbacks)
    with pytest.raises(TypeError, match=r"callbacks=.*list of callbacks"):
        net.fit(X, Y)


# Components that cannot be made


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"module__hidden": -1}, ("module, MLP, could not be made", "negative", "module__")),
        ({"module__nope": 1}, ("module, MLP", "nope")),
        ({"optimizer__momentum": "a"}, ("optimizer, SGD", "optimizer__")),
        ({"optimizer": "SGD"}, ("optimizer", "class")),
        ({"criterion": 3}, ("criterion",)),
        ({"criterion__nope": 1}, ("criterion, CrossEntropyLoss", "nope")),
        ({"criterion": int}, ("criterion", "makes a int")),
        ({"dataset": torch.utils.data.TensorDataset}, ("dataset, TensorDataset", "dataset__")),
    ],
)
def test_components_that_cannot_be_made(settings: Any, words: Any) -> None:
    assert_refused(words, **settings)


def test_module_that_is_none_of_torchs() -> None:
    assert_refused((r"module=<class 'int'>", "torch.nn.Module"), module=int)


def test_error_of_a_kind_of_its_own_passes() -> None:
    class OwnError(ValueError):
        pass

    class Raises(nn.Module):
        def __init__(self) -> None:
            raise OwnError("my own")

    with pytest.raises(OwnError, match="my own"):
        make_net(Raises).fit(X, Y)


# Parameters of a fitted net


def test_loader_of_a_fitted_net_is_set() -> None:
    net = make_net().fit(X, Y)
    module = net.module_
    net.set_params(iterator_train__batch_size=6, iterator_valid__batch_size=3, batch_size=8)
    assert net.module_ is module
    net.partial_fit(X, Y)
    assert len(net.history[-1, "batches"]) == 7


def test_optimizer_of_a_fitted_net_is_set() -> None:
    net = make_net().fit(X, Y)
    net.set_params(optimizer=torch.optim.Adam, lr=0.01)
    assert type(net.optimizer_) is torch.optim.Adam
    assert net.optimizer_.param_groups[0]["lr"] == 0.01
    net.partial_fit(X, Y)
    assert len(net.history) == 4


def test_probabilities_of_one_column() -> None:
    net = L2RWBinaryClassifier(
        MLP, module__n_outputs=1, predict_nonlinearity=torch.sigmoid, **SETTINGS
    ).fit(X, Y)
    with pytest.raises(ValueError, match=r"column for each class.*predict_nonlinearity"):
        net.predict(X)
