"""What the last step leaves behind is looked at as what the others leave is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from skorch.exceptions import NotInitializedError

from sklearn_l2rw import L2RWBinaryClassifier, L2RWClassifier, L2RWRegressor
from tests.small import MLP, SETTINGS, X_CLEAN, Y_CLEAN, X, Y, make_net, same_state, state_of

N_STEPS = 6  # of two epochs of three batches
MESSAGE = r"(?i)parameters?.*not finite.*(lr|learning rate)"


class Spoil(Callback):
    """Makes one gradient NaN, or infinite, in one step of a fit, where it is armed."""

    def __init__(self, value: float = np.nan) -> None:
        self.value = value
        self.step: int | None = None

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.n_steps = 0

    def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
        self.n_steps += 1
        if self.n_steps == self.step:
            net.module_.inner.bias.grad[0] = self.value


class Jump(torch.optim.SGD):
    """A step of infinite length, at the end."""

    left: int | None = None

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        if Jump.left is not None:
            Jump.left -= 1
            if Jump.left == 0:
                with torch.no_grad():
                    self.param_groups[0]["params"][0].mul_(torch.inf)
        return loss


def spoiled_net(**settings: Any) -> tuple[L2RWClassifier, Spoil]:
    spoil = Spoil(settings.pop("value", np.nan))
    return make_net(callbacks=[("spoil", spoil)], **settings), spoil


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_first_fit_that_leaves_parameters_that_are_not_finite(method: str, value: float) -> None:
    net, spoil = spoiled_net(value=value)
    spoil.step = N_STEPS
    before = dict(vars(net))
    with pytest.raises(ValueError, match=MESSAGE):
        getattr(net, method)(X, Y)
    assert vars(net) == before
    with pytest.raises(NotInitializedError):
        net.predict(X)
    spoil.step = None
    getattr(net, method)(X, Y)
    expected = make_net().fit(X, Y)
    assert same_state(state_of(net.module_), state_of(expected.module_))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_fitted_estimator_stays_as_it_was(method: str) -> None:
    net, spoil = spoiled_net(module__batch_norm=True, optimizer=torch.optim.Adam, lr=0.01)
    net.fit(X, Y)
    attributes = {name: id(value) for name, value in vars(net).items()}
    module, optimizer = state_of(net.module_), copy.deepcopy(net.optimizer_.state_dict())
    predicted, history = net.predict_proba(X), copy.deepcopy(net.history.to_list())
    spoil.step = N_STEPS
    with pytest.raises(ValueError, match=MESSAGE):
        getattr(net, method)(X, Y)
    assert {name: id(value) for name, value in vars(net).items()} == attributes
    assert same_state(state_of(net.module_), module)
    torch.testing.assert_close(net.optimizer_.state_dict(), optimizer, rtol=0, atol=0)
    assert net.history.to_list() == history
    np.testing.assert_array_equal(net.predict_proba(X), predicted)


def test_partial_fit_goes_on_after_one_that_failed() -> None:
    net, spoil = spoiled_net()
    net.fit(X, Y)
    spoil.step = N_STEPS
    with pytest.raises(ValueError, match=MESSAGE):
        net.partial_fit(X, Y)
    spoil.step = None
    net.partial_fit(X, Y)
    expected = make_net().fit(X, Y).partial_fit(X, Y)
    assert same_state(state_of(net.module_), state_of(expected.module_))
    assert len(net.history) == 4


@pytest.mark.parametrize("settings", [{}, {"batch_size": -1, "max_epochs": 1}])
def test_optimizer_that_jumps_in_the_last_step(settings: dict[str, Any]) -> None:
    net = make_net(optimizer=Jump, **settings)
    Jump.left = 1 if settings else N_STEPS
    try:
        with pytest.raises(ValueError, match=MESSAGE):
            net.fit(X, Y)
    finally:
        Jump.left = None
    assert not hasattr(net, "module_")


SIBLINGS: dict[str, Callable[..., Any]] = {
    "binary": lambda **s: L2RWBinaryClassifier(MLP, clean_set=(X_CLEAN, Y_CLEAN), **s),
    "regressor": lambda **s: L2RWRegressor(MLP, clean_set=(X_CLEAN, X_CLEAN[:, 0]), **s),
}


@pytest.mark.parametrize("kind", list(SIBLINGS))
def test_siblings_look_at_the_last_step_too(kind: str) -> None:
    spoil = Spoil()
    spoil.step = N_STEPS
    settings = {name: value for name, value in SETTINGS.items() if name != "clean_set"}
    net = SIBLINGS[kind](callbacks=[("spoil", spoil)], module__n_outputs=1, **settings)
    with pytest.raises(ValueError, match=MESSAGE):
        net.fit(X, Y if kind == "binary" else X[:, 0])


def test_parameters_that_are_frozen_may_be_what_they_are() -> None:
    """A mask of minus infinity, say, is no failure of training."""

    class Masked(MLP):
        def __init__(self) -> None:
            super().__init__()
            self.mask = torch.nn.Parameter(torch.tensor([-torch.inf]), requires_grad=False)

    net = make_net(Masked).fit(X, Y)
    assert torch.isinf(net.module_.mask).all()


def test_nan_in_the_middle_is_told_by_epoch_and_batch() -> None:
    net, spoil = spoiled_net()
    spoil.step = 2
    with pytest.raises(ValueError, match=r"training loss is not finite in epoch 1, batch 3"):
        net.fit(X, Y)
