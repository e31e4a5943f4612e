"""The mean of the parameters: what it is, and that training goes on without a trace of it."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Checkpoint, EarlyStopping
from skorch.dataset import ValidSplit
from torch import Tensor, nn

from sklearn_l2rw.training.averaging import Average
from tests.averages import Epochs, averaged, mean_of, parameters_of
from tests.small import MLP, Y_NOISY, Explode, X, Y, make_net, same_state, state_of

f64 = torch.float64
DROPOUT: dict[str, Any] = {"module__dropout": 0.3, "clean_batch_size": 3}


# The formula


class OneHot(nn.Module):
    """A parameter that is another unit vector after each step."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.zeros(n, dtype=f64))


def weights_of_steps(share: float, n: int) -> Tensor:
    module, average = OneHot(n), Average(share)
    for t in range(n):
        module.p.data = torch.eye(n, dtype=f64)[t]
        average.update({"module": module})
    return average.mean["module.p"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_weights_of_the_steps(share: float) -> None:
    """t (t + 1) ... (t + k - 1) over their sum, which is in proportion to t^k but for the first."""
    n, k = 300, 2 / share - 2
    weights = weights_of_steps(share, n)
    t = torch.arange(1, n + 1, dtype=f64)
    rising = torch.exp(torch.lgamma(t + k) - torch.lgamma(t))
    torch.testing.assert_close(weights, rising / rising.sum(), rtol=1e-8, atol=0)
    power = t**k / (t**k).sum()
    assert (weights - power).abs().sum() < (0.15 if share < 0.5 else 0.01)
    age = float((weights * (n - t)).sum())
    assert age == pytest.approx(share * n / 2, rel=0.05)


@pytest.mark.parametrize("share", [0.1, 0.5, np.float32(0.9)])
def test_module_holds_the_mean_after_every_epoch(share: float) -> None:
    net, record = averaged(average=share)
    net.fit(X, Y_NOISY)
    assert len(record.parameters) == 9
    for epoch, state in enumerate(record.epochs, start=1):
        assert same_state(state, mean_of(record.parameters[: 3 * epoch], share), atol=1e-12)
        assert not same_state(state, record.parameters[3 * epoch - 1], atol=1e-4)
    assert same_state(state_of(net.module_), record.epochs[-1])


@pytest.mark.parametrize("batch_norm", [False, True])
def test_training_goes_on_without_a_trace_of_the_mean(batch_norm: bool) -> None:
    settings = {**DROPOUT, "module__batch_norm": batch_norm}
    net, record = averaged(**settings)
    raw, steps = averaged(average=None, **settings)
    net.fit(X, Y_NOISY), raw.fit(X, Y_NOISY)
    assert len(record.parameters) == len(steps.parameters) == 9
    for ours, theirs in zip(record.parameters, steps.parameters, strict=True):
        assert same_state(ours, theirs)
    assert same_state(state_of(raw.module_), steps.parameters[-1])  # average=None is the raw net
    assert net.history[:, "train_loss"] == raw.history[:, "train_loss"]


def test_scores_of_validation_are_those_of_the_mean() -> None:
    net, record = averaged(train_split=ValidSplit(3, stratified=True))
    net.fit(X, Y_NOISY)
    train, valid = ValidSplit(3, stratified=True)(net.get_dataset(X, Y_NOISY), Y_NOISY)
    assert len(train) == 28
    rows = torch.as_tensor(X[valid.indices]).double()
    y = torch.as_tensor(Y_NOISY[valid.indices])
    for epoch in range(3):
        module = MLP(dtype=f64)
        module.load_state_dict(mean_of(record.parameters[: 2 * epoch + 2]))
        loss = nn.functional.cross_entropy(module(rows), y).item()
        assert net.history[epoch, "valid_loss"] == pytest.approx(loss, abs=1e-6)
        accuracy = (module(rows).argmax(1) == y).double().mean().item()
        assert net.history[epoch, "valid_acc"] == pytest.approx(accuracy)


# What goes on


@pytest.mark.parametrize("how", ["partial_fit", "warm_start", "pickle", "deepcopy"])
def test_two_halves_are_a_whole(how: str) -> None:
    """The mean goes on, and so does training, from the raw parameters."""
    settings = {**DROPOUT, "optimizer__momentum": 0.9, "max_epochs": 2}
    whole, record = averaged(**{**settings, "max_epochs": 4})
    whole.fit(X, Y_NOISY)
    net, _ = averaged(**settings, warm_start=how == "warm_start")
    net.fit(X, Y_NOISY)
    expected = net.predict_proba(X)
    if how in ("pickle", "deepcopy"):
        net = pickle.loads(pickle.dumps(net)) if how == "pickle" else copy.deepcopy(net)
    np.testing.assert_array_equal(net.predict_proba(X), expected)
    (seen,) = (callback for _, callback in net.callbacks_ if isinstance(callback, Epochs))
    (net.fit if how == "warm_start" else net.partial_fit)(X, Y_NOISY)
    for ours, theirs in zip(seen.parameters, record.parameters, strict=True):
        assert same_state(ours, theirs)
    assert same_state(state_of(net.module_), state_of(whole.module_))
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)


def test_a_clone_begins_anew() -> None:
    net = make_net(average=0.75).fit(X, Y_NOISY)
    other = clone(net)
    assert other.average == 0.75
    assert same_state(state_of(other.fit(X, Y_NOISY).module_), state_of(net.module_))


def test_a_second_fit_begins_anew() -> None:
    net, record = averaged()
    first = state_of(net.fit(X, Y_NOISY).module_)
    record.clear()
    assert same_state(state_of(net.fit(X, Y_NOISY).module_), first)
    assert same_state(first, mean_of(record.parameters), atol=1e-12)


def test_averaging_that_is_switched_off_and_on() -> None:
    net, record = averaged(max_epochs=1)
    net.fit(X, Y_NOISY)
    net.set_params(average=None).partial_fit(X, Y_NOISY)
    raw, steps = averaged(average=None, max_epochs=2)
    raw.fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), state_of(raw.module_))
    net.set_params(average=0.5).partial_fit(X, Y_NOISY)
    assert len(steps.parameters) == 6
    assert same_state(state_of(net.module_), mean_of(record.parameters[6:]), atol=1e-12)


def test_share_that_is_set_in_between_counts() -> None:
    net, record = averaged(max_epochs=1)
    net.fit(X, Y_NOISY)
    mean = state_of(net.module_)
    net.set_params(average=0.25).partial_fit(X, Y_NOISY)
    for t, state in enumerate(record.parameters[3:], start=4):
        mean = {name: m + 7 / (t + 6) * (state[name] - m) for name, m in mean.items()}
    assert same_state(state_of(net.module_), mean, atol=1e-12)


def alter_all(module: nn.Module) -> None:
    module.load_state_dict(MLP(dtype=f64).state_dict())


def alter_one(module: Any) -> None:
    module.outer.bias.data[0] += 1e-9


@pytest.mark.parametrize("alter", [alter_all, alter_one])
def test_parameters_that_the_user_sets_are_gone_on_from(alter: Any) -> None:
    net, record = averaged()
    net.fit(X, Y_NOISY)
    alter(net.module_)
    given = state_of(net.module_)
    record.clear()
    net.set_params(lr=1e-9).partial_fit(X, Y_NOISY)
    assert same_state(record.parameters[0], given, atol=1e-8)
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)


# What stops


@pytest.mark.parametrize("step", [1, 3, 5])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_fit_that_fails_leaves_no_trace(batch_norm: bool, step: int) -> None:
    settings = {**DROPOUT, "module__batch_norm": batch_norm, "optimizer__momentum": 0.9}
    stop = Explode()
    net, record = averaged(callbacks=[("stop", stop)], **settings)
    untouched, expected = averaged(callbacks=[("stop", Explode())], **settings)
    net.fit(X, Y_NOISY), untouched.fit(X, Y_NOISY)
    before, predicted = state_of(net.module_), net.predict_proba(X)
    stop.step = step
    with pytest.raises(RuntimeError, match="as told"):
        net.partial_fit(X, Y_NOISY)
    stop.step = None
    assert same_state(state_of(net.module_), before)
    np.testing.assert_array_equal(net.predict_proba(X), predicted)
    del record.parameters[9:]
    net.partial_fit(X, Y_NOISY), untouched.partial_fit(X, Y_NOISY)
    for ours, theirs in zip(record.parameters, expected.parameters, strict=True):
        assert same_state(ours, theirs)
    assert same_state(state_of(net.module_), state_of(untouched.module_))


def test_an_interrupted_epoch() -> None:
    """Its steps are in the mean, and training goes on behind them."""
    stop = Explode()
    stop.step, stop.error = 5, KeyboardInterrupt
    net, record = averaged(callbacks=[("stop", stop)])
    net.fit(X, Y_NOISY)
    assert len(record.parameters) == 5
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)
    last = record.parameters[-1]
    stop.step = None
    net.set_params(lr=1e-9).partial_fit(X, Y_NOISY)
    assert same_state(record.parameters[5], last, atol=1e-8)
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("way", ["stopping", "checkpoint"])
def test_the_best_epoch_is_what_validation_measured(
    way: str, batch_norm: bool, tmp_path: Path
) -> None:
    callback = (
        EarlyStopping(patience=20, load_best=True)
        if way == "stopping"
        else Checkpoint(dirname=str(tmp_path), monitor="valid_loss_best", load_best=True)
    )
    split = ValidSplit(3, stratified=True)
    net, record = averaged(
        callbacks=[("best", callback)], train_split=split, max_epochs=12, lr=1.5,
        optimizer__momentum=0.95, module__batch_norm=batch_norm,
    )  # fmt: skip
    net.fit(X, Y_NOISY)
    losses = net.history[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert best < 11
    assert same_state(state_of(net.module_), record.epochs[best])
    kept = parameters_of(net)
    _, valid = split(net.get_dataset(X, Y_NOISY), Y_NOISY)
    probabilities = net.predict_proba(X[valid.indices])
    likelihood = probabilities[np.arange(14), Y_NOISY[valid.indices]]
    assert -np.log(likelihood).mean() == pytest.approx(losses[best], abs=1e-6)
    record.clear()
    net.set_params(lr=1e-9, optimizer__momentum=0, max_epochs=1).partial_fit(X, Y_NOISY)
    first = record.parameters[0]  # training goes on from there
    assert max(float((p - first[key]).abs().max()) for key, p in kept.items()) < 1e-7


# Bad values


@pytest.mark.parametrize("average", [0, 1, 1.5, -1, float("nan"), "a", True])
def test_bad_values(average: Any) -> None:
    net = make_net(average=average)
    error = TypeError if isinstance(average, (str, bool)) else ValueError
    with pytest.raises(error, match=rf"Got average={average!r}, but expected a share of the steps"):
        net.fit(X, Y)
    assert not net.initialized_
