"""The bound of the update belongs to the step: `max_grad_norm`."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNet
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMixin,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)
from tests.small import (
    MLP,
    SETTINGS,
    X_CLEAN,
    Y_CLEAN,
    Record,
    X,
    Y,
    make_net,
    same_state,
    state_of,
)


class Net(L2RWMixin, NeuralNet):
    pass


FAR: dict[str, Any] = {"clean_set": (50 * X_CLEAN, Y_CLEAN)}  # gradients are large
BOTH = np.eye(2, dtype=int)
ESTIMATORS: dict[str, tuple[Callable[..., Any], Any, Any]] = {
    "classifier": (L2RWClassifier, Y, Y_CLEAN),
    "binary": (L2RWBinaryClassifier, Y, Y_CLEAN),
    "multilabel": (L2RWMultilabelClassifier, BOTH[Y], BOTH[Y_CLEAN]),
    "regressor": (L2RWRegressor, 9 * X[:, 0], 9 * X_CLEAN[:, 0]),
    "mixin": (Net, Y, Y_CLEAN),
}


def estimator(kind: str, **settings: Any) -> tuple[Any, Any]:
    make, y, y_clean = ESTIMATORS[kind]
    n_outputs = {"binary": 1, "regressor": 1}.get(kind, 2)
    given = {**SETTINGS, "lr": 1.0, "module__n_outputs": n_outputs, **settings}
    if kind == "mixin":
        given["criterion"] = nn.CrossEntropyLoss
    return make(MLP, **{**given, "clean_set": (50 * X_CLEAN, y_clean)}), y


def trained(**settings: Any) -> Any:
    return make_net(**{**FAR, **settings}).fit(50 * X, Y)


def longest_step(net: Any, y: Any) -> float:
    """Length of the longest step of SGD, over the learning rate."""
    record = Record()
    net.set_params(callbacks=[("record", record)], max_epochs=1).initialize()
    states = [state_of(net.module_)]
    net.partial_fit(50 * X, y)
    states += record.parameters
    flat = [torch.cat([p.reshape(-1) for p in state.values()]) for state in states]
    steps = zip(flat[1:], flat[:-1], strict=True)
    return max(float(torch.linalg.vector_norm(b - a)) for b, a in steps) / float(net.lr)


@pytest.mark.parametrize("kind", list(ESTIMATORS))
def test_no_step_of_sgd_is_longer_than_the_bound_by_default(kind: str) -> None:
    net, y = estimator(kind)
    assert net.get_params()["max_grad_norm"] == 1.0
    assert longest_step(net, y) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("kind", list(ESTIMATORS))
@pytest.mark.parametrize("bound", [0.25, 2])
def test_bound_of_the_users(kind: str, bound: float) -> None:
    net, y = estimator(kind, max_grad_norm=bound)
    assert clone(net).max_grad_norm == bound
    assert longest_step(net, y) == pytest.approx(bound, rel=1e-3)


@pytest.mark.parametrize("kind", list(ESTIMATORS))
def test_without_a_bound_steps_are_those_of_the_paper(kind: str) -> None:
    net, y = estimator(kind, max_grad_norm=None)
    assert longest_step(net, y) > 2


def test_bound_is_set_between_fits() -> None:
    net = make_net(**FAR, lr=1.0).fit(50 * X, Y).set_params(max_grad_norm=0.25)
    assert longest_step(net, Y) == pytest.approx(0.25, rel=1e-3)
    assert longest_step(pickle.loads(pickle.dumps(net)), Y) == pytest.approx(0.25, rel=1e-3)


# Callbacks that are switched off


def test_callbacks_that_are_switched_off_leave_the_bound() -> None:
    net = trained(callbacks="disable")
    assert net.callbacks_ == []
    assert same_state(state_of(net.module_), state_of(trained().module_))
    bare = trained(callbacks="disable", max_grad_norm=None)
    assert not same_state(state_of(net.module_), state_of(bare.module_))
    np.testing.assert_array_equal(net.example_weights_, trained().example_weights_)


def test_bound_that_is_never_reached_is_none() -> None:
    bare = state_of(trained(max_grad_norm=None).module_)
    assert same_state(bare, state_of(trained(max_grad_norm=1e9).module_), atol=1e-6)


def test_no_callback_clips_by_default() -> None:
    net = trained()
    assert "gradient_clipping" not in dict(net.callbacks_)
    assert not any(isinstance(c, GradientNormClipping) for _, c in net.callbacks_)
    assert "callbacks__gradient_clipping" not in net.get_params()


def test_clipping_is_no_callback_to_be_taken_away() -> None:
    with pytest.raises((ValueError, TypeError)):
        trained(callbacks__gradient_clipping=None)


# Clipping of the user's


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("bound", [0.25, 100.0])
def test_clipping_of_the_user_takes_the_place_of_ours(bound: float, named: bool) -> None:
    mine = GradientNormClipping(bound)
    net = trained(callbacks=[("gradient_clipping", mine)] if named else [mine])
    clipping = [c for _, c in net.callbacks_ if isinstance(c, GradientNormClipping)]
    assert [c.gradient_clip_value for c in clipping] == [bound]
    expected = trained(max_grad_norm=bound)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)


def test_clipping_of_the_user_as_a_class() -> None:
    """skorch's own default is not to clip."""
    net = trained(callbacks=[GradientNormClipping])
    bare = trained(max_grad_norm=None)
    assert same_state(state_of(net.module_), state_of(bare.module_), atol=1e-6)


def test_clipping_of_a_subclass_takes_the_place_of_ours() -> None:
    class Own(GradientNormClipping):
        pass

    net = trained(callbacks=[Own(5.0)])
    expected = trained(max_grad_norm=5.0)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)


def test_other_callbacks_leave_the_bound() -> None:
    net = trained(callbacks=[Callback()])
    assert same_state(state_of(net.module_), state_of(trained().module_))


def test_clipping_of_the_user_that_is_set_later() -> None:
    net = make_net(**FAR, lr=1.0).fit(50 * X, Y)
    net.callbacks = [GradientNormClipping(0.5)]
    net.initialize_callbacks()
    before = state_of(net.module_)
    net.set_params(max_epochs=1, batch_size=-1).partial_fit(50 * X, Y)
    moved = [(value - before[name]).square().sum() for name, value in state_of(net.module_).items()]
    assert float(torch.stack(moved).sum().sqrt()) == pytest.approx(0.5, rel=1e-3)


# Bad input


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan"), "one", True, [1.0]])
def test_bound_that_is_none(bound: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"max_grad_norm=.*expected.*None"):
        trained(max_grad_norm=bound)
