"""A fit that fails leaves the estimator as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, LRScheduler
from skorch.exceptions import NotInitializedError
from torch import Tensor, nn

from sklearn_l2rw import L2RWClassifier
from tests.small import MLP, Explode, X, Y, make_net, same_state, state_of

MARK = 77.0
MARKED = X.copy()
MARKED[25, 0] = MARK  # without shuffling, in the second batch of three


class Fragile(MLP):
    """NaN for a marked row."""

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X) + torch.where(X[:, :1] == MARK, torch.nan, 0.0)


def fragile_net(**settings: Any) -> tuple[L2RWClassifier, Explode]:
    explode = Explode()
    callbacks = [("explode", explode), *settings.pop("callbacks", [])]
    net = make_net(
        Fragile, module__batch_norm=True, optimizer=torch.optim.Adam, lr=0.01, callbacks=callbacks,
        iterator_train__shuffle=False, module__dropout=0.2, clean_batch_size=3, **settings,
    )  # fmt: skip
    return net, explode


# Ways to fail: the first three before training, the others in the middle of it.


def no_clean_set(net: Any, explode: Explode, fit: Callable[..., Any]) -> None:
    clean_set, net.clean_set = net.clean_set, ()
    with pytest.raises(ValueError, match="0 elements"):
        fit(X, Y)
    net.clean_set = clean_set


def nan_in_inputs(net: Any, explode: Explode, fit: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="NaN"):
        fit(np.full_like(X, np.nan), Y)


def other_labels(net: Any, explode: Explode, fit: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="classes"):
        fit(X, np.where(Y == 1, "a", "b"))


def nan_loss(net: Any, explode: Explode, fit: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"epoch .* batch 2"):
        fit(MARKED, Y)


def error_at(step: int, error: type[BaseException] = RuntimeError) -> Callable[..., None]:
    def fail(net: Any, explode: Explode, fit: Callable[..., Any]) -> None:
        explode.step, explode.error = step, error
        with pytest.raises(error, match="as told"):
            fit(X, Y)
        explode.step = None

    return fail


FAILURES: dict[str, Any] = {
    "no clean set": no_clean_set,
    "NaN in X": nan_in_inputs,
    "other labels": other_labels,
    "NaN loss": nan_loss,
    "first step": error_at(1),
    "second epoch": error_at(5),
    "exit": error_at(2, SystemExit),
}


def snapshot(net: Any) -> dict[str, Any]:
    return {
        "attributes": {key: id(value) for key, value in vars(net).items()},
        "module": state_of(net.module_),
        "optimizer": copy.deepcopy(net.optimizer_.state_dict()),
        "history": copy.deepcopy(net.history.to_list()),
        "classes": net.classes_.tolist(),
        "probabilities": net.predict_proba(X).tolist(),
        "predictions": net.predict(X).tolist(),
        "generator": torch.get_rng_state().tolist(),
        "training": [p.requires_grad for p in net.module_.parameters()],
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert same_state(before.pop("module"), after.pop("module"))
    optimizers = before.pop("optimizer"), after.pop("optimizer")
    assert optimizers[0]["param_groups"] == optimizers[1]["param_groups"]
    states = [optimizer["state"] for optimizer in optimizers]
    assert states[0].keys() == states[1].keys()
    for key, state in states[0].items():
        assert same_state(state, states[1][key])
    for key, value in before.items():
        assert after[key] == value, key


@pytest.mark.parametrize("how", ["fit", "warm_start", "partial_fit"])
@pytest.mark.parametrize("failure", list(FAILURES))
def test_a_fitted_estimator_is_as_it_was(how: str, failure: str) -> None:
    net, explode = fragile_net(warm_start=how == "warm_start")
    net.fit(X, Y)
    untouched, _ = fragile_net()
    untouched.fit(X, Y)
    before = snapshot(net)
    FAILURES[failure](net, explode, net.partial_fit if how == "partial_fit" else net.fit)
    assert_same(before, snapshot(net))

    # What comes next is what would have come.
    net.partial_fit(X, Y)
    untouched.partial_fit(X, Y)
    same = same_state(state_of(net.module_), state_of(untouched.module_))
    assert same, "training does not go on as it would have"
    assert len(net.history) == 4


@pytest.mark.parametrize("failure", list(FAILURES))
def test_an_estimator_that_was_not_fitted_is_not(failure: str) -> None:
    net, explode = fragile_net(classes=[0, 1])
    names = set(vars(net))
    state = torch.get_rng_state()
    FAILURES[failure](net, explode, net.fit)
    assert set(vars(net)) == names
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(NotInitializedError):
        net.predict(X)
    fresh, _ = fragile_net()
    assert same_state(state_of(net.fit(X, Y).module_), state_of(fresh.fit(X, Y).module_))


def test_learning_rate_after_a_failure() -> None:
    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5)
    net, explode = fragile_net(callbacks=[("schedule", schedule)])
    net.fit(X, Y)
    rate = net.optimizer_.param_groups[0]["lr"]
    FAILURES["second epoch"](net, explode, net.partial_fit)
    assert net.optimizer_.param_groups[0]["lr"] == rate
    assert len(net.history) == 2


def test_settings_after_a_failure() -> None:
    """Failing while fitting with other settings keeps the fitted net, and the settings."""
    net, explode = fragile_net()
    net.fit(X, Y)
    expected = net.predict_proba(X)
    explode.step = 2
    net.lr = 0.5
    with pytest.raises(RuntimeError, match="as told"):
        net.fit(X, Y)
    assert net.lr == 0.5
    np.testing.assert_array_equal(net.predict_proba(X), expected)


def test_the_module_of_the_user_after_a_failure() -> None:
    module = Fragile()
    before = state_of(module)
    net = make_net(module, iterator_train__shuffle=False)
    with pytest.raises(ValueError, match="batch 2"):
        net.fit(MARKED, Y)
    assert same_state(before, state_of(module))


class Alter(Callback):
    """Changes the net's structure, and fails, when it is armed."""

    armed = ""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.armed == "buffer":
            net.module_.register_buffer("mean", torch.ones(1))
        elif self.armed == "group":
            net.optimizer_.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
        elif self.armed == "parameter":
            net.optimizer_.param_groups[0]["params"].append(nn.Parameter(torch.ones(1)))
        if self.armed:
            raise KeyError("as told")


@pytest.mark.parametrize(
    ("armed", "told"), [("buffer", "module"), ("group", None), ("parameter", "optimizer")]
)
def test_failure_after_a_change_of_structure(armed: str, told: str | None) -> None:
    """The error is the callback's; what can be put back is, and a note tells of the rest."""
    alter = Alter()
    net = make_net(callbacks=[alter], optimizer=torch.optim.Adam, lr=0.01).fit(X, Y)
    before, n_epochs = state_of(net.module_), len(net.history)
    alter.armed = armed
    with pytest.raises(KeyError, match="as told") as caught:
        net.partial_fit(X, Y)
    notes = getattr(caught.value, "__notes__", [])
    assert [f"net's {told} could not" in note for note in notes] == ([] if told is None else [True])
    after = state_of(net.module_)
    assert same_state(before, {name: after[name] for name in before})
    assert len(net.history) == n_epochs
    assert len(net.optimizer_.param_groups) == 1
