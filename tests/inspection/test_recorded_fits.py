"""When there is a record of weights: switches, refits, failures, copies, unknown iterators."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import Dataset as SkorchDataset
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from sklearn_l2rw import ExampleWeightsDisplay, L2RWClassifier, rank_label_errors
from tests.small import MLP, SETTINGS, Y_NOISY, Weighed, X, Y, blobs, joined, make_net, mean_weights

N = len(X)
ALL, ALL_Y, MASK = joined()
TENSORS = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y_NOISY))
NAMES = ("example_weights_", "epoch_example_weights_")


def watched(rows: Any = X, **settings: Any) -> tuple[Any, Weighed]:
    weighed = Weighed(rows)
    settings = {"module__dtype": torch.float64, **settings}
    return make_net(**settings, callbacks=[("weighed", weighed)]), weighed


def assert_no_record(net: Any) -> None:
    assert not [name for name in NAMES if hasattr(net, name)]


# The switch


def test_off() -> None:
    net, weighed = watched(record_weights=False)
    assert_no_record(net.fit(X, Y_NOISY))
    on, others = watched(record_weights="epochs")
    on.fit(X, Y_NOISY)
    for (rows, weights), (other_rows, other_weights) in zip(
        weighed.steps, others.steps, strict=True
    ):
        np.testing.assert_array_equal(rows, other_rows)
        np.testing.assert_array_equal(weights, other_weights)
    np.testing.assert_array_equal(net.predict_proba(X), on.predict_proba(X))
    assert net.history[:, "clean_loss"] == on.history[:, "clean_loss"]


def test_default() -> None:
    net = make_net().fit(X, Y_NOISY)
    assert net.get_params()["record_weights"] is True
    assert net.example_weights_.shape == (N,)
    assert not hasattr(net, "epoch_example_weights_")


@pytest.mark.parametrize("value", ["epoch", "all", None, 2, -1.0, [True], "True", ""], ids=repr)
@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_bad_values(value: Any, how: str) -> None:
    net = make_net(record_weights=value)  # scikit-learn wants constructors to take anything
    with pytest.raises((ValueError, TypeError), match=r"record_weights=.*'epochs'"):
        getattr(net, how)(X, Y)
    assert not net.initialized_


def test_before_a_fit() -> None:
    net = make_net()
    assert_no_record(net)
    assert_no_record(net.initialize())
    for ask in (
        lambda: rank_label_errors(make_net(), X, Y, method="weight"),
        lambda: ExampleWeightsDisplay.from_estimator(make_net()),
    ):
        with pytest.raises(NotFittedError):
            ask()


def test_set_after_a_fit_counts() -> None:
    net = make_net().fit(X, Y)
    assert_no_record(net.set_params(record_weights=False).fit(X, Y))
    net.set_params(record_weights="epochs").partial_fit(X, Y)
    assert net.epoch_example_weights_.shape == (2, N)


# One fit after another


def test_a_refit_begins_anew() -> None:
    net, weighed = watched(record_weights="epochs")
    net.fit(X, Y_NOISY)
    first = net.example_weights_
    kept = first.copy()
    weighed.clear()
    net.fit(X, Y)
    np.testing.assert_allclose(net.example_weights_, mean_weights(weighed.steps, N), rtol=1e-12)
    np.testing.assert_array_equal(first, kept)
    assert net.epoch_example_weights_.shape == (2, N)
    assert not np.array_equal(first, net.example_weights_)
    rows, labels = blobs(30, seed=8)
    assert net.fit(rows, labels).example_weights_.shape == (30,)
    assert net.epoch_example_weights_.shape == (2, 30)


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_going_on_records_the_rows_of_the_last_call(how: str) -> None:
    net, weighed = watched(record_weights="epochs", warm_start=how == "warm_start")
    fit = net.fit if how == "warm_start" else net.partial_fit
    fit(X, Y_NOISY)
    np.testing.assert_allclose(net.example_weights_, mean_weights(weighed.steps, N), rtol=1e-12)
    for part in (slice(10, None), slice(None, 25), slice(None)):
        weighed.numbers = {value: i for i, value in enumerate(X[part, 0].tolist())}
        weighed.clear()
        fit(X[part], Y_NOISY[part])
        expected = mean_weights(weighed.steps, len(X[part]))
        np.testing.assert_allclose(net.example_weights_, expected, rtol=1e-12)
        assert net.epoch_example_weights_.shape == (2, len(X[part]))


def test_partial_fit_with_masked_rows() -> None:
    net, weighed = watched(ALL, clean_set=None)
    net.partial_fit(ALL, ALL_Y, clean_mask=MASK)
    np.testing.assert_array_equal(np.isnan(net.example_weights_), MASK)
    weighed.clear()
    net.partial_fit(ALL, ALL_Y)  # with the clean set of before; now all rows are trained on
    np.testing.assert_allclose(net.example_weights_, mean_weights(weighed.steps, 50), rtol=1e-12)
    assert not np.isnan(net.example_weights_).any()


# Fits that end early


class Raise(Callback):
    """Raises in the second step of the second epoch."""

    error: type[BaseException] | None = None

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        here = (len(net.history), len(net.history[-1, "batches"]))
        if self.error is not None and here == (2, 2):
            raise self.error("as told")


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
@pytest.mark.parametrize("record", [True, "epochs", False])
def test_a_failed_fit_leaves_the_former_record(how: str, record: Any) -> None:
    stop = Raise()
    net = make_net(record_weights=record, max_epochs=1, callbacks=[("stop", stop)])
    net.fit(X, Y_NOISY)
    before = {name: vars(net)[name] for name in NAMES if name in vars(net)}
    copies = copy.deepcopy(before)
    net.set_params(max_epochs=3)
    stop.error = RuntimeError
    with pytest.raises(RuntimeError, match="as told"):
        getattr(net, how)(X[:30], Y[:30])
    with pytest.raises(ValueError, match="NaN"):
        getattr(net, how)(np.full_like(X, np.nan), Y)
    after = {name: vars(net)[name] for name in NAMES if name in vars(net)}
    assert len(after) == {True: 1, "epochs": 2, False: 0}[record]
    assert after.keys() == before.keys()
    for name, value in after.items():
        assert value is before[name]
        np.testing.assert_array_equal(value, copies[name])


def test_a_failed_first_fit_leaves_none() -> None:
    stop = Raise()
    stop.error = RuntimeError
    net = make_net(callbacks=[("stop", stop)])
    names = set(vars(net))
    with pytest.raises(RuntimeError, match="as told"):
        net.fit(X, Y)
    assert_no_record(net)
    assert set(vars(net)) == names


def test_an_interrupted_fit_has_the_weights_of_its_steps() -> None:
    stop = Raise()
    stop.error = KeyboardInterrupt
    weighed = Weighed(X)
    net = make_net(
        module__dtype=torch.float64, max_epochs=5, record_weights="epochs",
        callbacks=[("weighed", weighed), ("stop", stop)],
    ).fit(X, Y_NOISY)  # fmt: skip
    assert len(weighed.steps) == 4
    np.testing.assert_allclose(net.example_weights_, mean_weights(weighed.steps, N), rtol=1e-12)
    assert net.epoch_example_weights_.shape == (2, N)
    assert np.isnan(net.epoch_example_weights_[1]).sum() == N - 16


def test_early_stopping() -> None:
    stop = EarlyStopping("clean_loss", patience=2, threshold=10, threshold_mode="abs", sink=str)
    net = make_net(callbacks=[stop], max_epochs=20, record_weights="epochs").fit(X, Y)
    assert net.epoch_example_weights_.shape == (len(net.history), N) == (3, N)


def test_no_epoch() -> None:
    net = make_net(max_epochs=0, record_weights="epochs").fit(X, Y)
    assert_no_record(net)


def test_the_record_is_up_to_date_at_the_end_of_an_epoch() -> None:
    seen = []

    class Look(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            seen.append((net.example_weights_.copy(), net.epoch_example_weights_.shape))

    net = make_net(callbacks=[Look()], max_epochs=3, record_weights="epochs").fit(X, Y)
    assert [shape for _, shape in seen] == [(1, N), (2, N), (3, N)]
    np.testing.assert_array_equal(seen[-1][0], net.example_weights_)
    assert not np.array_equal(seen[0][0], seen[1][0])


# Copies


def test_pickle_deepcopy_and_clone() -> None:
    net = make_net(record_weights="epochs").fit(X, Y_NOISY)
    size = len(pickle.dumps(net))
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        for name in NAMES:
            np.testing.assert_array_equal(getattr(other, name), getattr(net, name))
        other.partial_fit(X, Y)
        assert other.epoch_example_weights_.shape == (2, N)
        assert len(pickle.dumps(other)) < 1.5 * size  # of the fit itself, nothing stays
    fresh = clone(net)
    assert fresh.record_weights == "epochs"
    assert_no_record(fresh)
    np.testing.assert_array_equal(fresh.fit(X, Y_NOISY).example_weights_, net.example_weights_)


def test_in_a_search() -> None:
    search = GridSearchCV(make_net(), {"record_weights": [False, "epochs"]}, cv=2).fit(X, Y_NOISY)
    best = search.best_estimator_
    assert hasattr(best, "example_weights_") == bool(search.best_params_["record_weights"])
    on = GridSearchCV(make_net(), {"lr": [0.1]}, cv=2).fit(X, Y_NOISY).best_estimator_
    expected = make_net().fit(X, Y_NOISY)
    np.testing.assert_array_equal(on.example_weights_, expected.example_weights_)


# Where rows cannot be told apart


class Reversed(DataLoader[Any]):
    """An iterator of the user's own."""

    def __iter__(self) -> Any:
        return reversed(list(super().__iter__()))


class Stream(IterableDataset[Any]):
    """Rows without a length."""

    def __iter__(self) -> Any:
        return zip(X, Y_NOISY.tolist(), strict=True)


def every_row(dataset: Any, **kwargs: Any) -> Any:
    """An iterator that is a function."""
    return [(torch.as_tensor(X), torch.as_tensor(Y_NOISY))]


UNKNOWN: dict[str, Any] = {
    "subclass": ((X, Y_NOISY), {"iterator_train": Reversed}),
    "subclass, data set": ((TENSORS, None), {"iterator_train": Reversed}),
    "function": ((X, Y_NOISY), {"iterator_train": every_row}),
    "stream": ((Stream(), None), {"classes": [0, 1], "iterator_train__shuffle": False}),
}


@pytest.mark.parametrize("record", [True, "epochs", False])
@pytest.mark.parametrize("kind", list(UNKNOWN))
def test_no_record_where_rows_cannot_be_told_apart(kind: str, record: Any) -> None:
    data, settings = UNKNOWN[kind]
    net, weighed = watched(record_weights=record, **settings)
    net.fit(*data)
    assert weighed.steps
    assert_no_record(net)
    assert net.predict(X).shape == (N,)
    assert "effective_sample_size" in net.history[-1]
    assert_no_record(net.partial_fit(*data))
    pickle.loads(pickle.dumps(net))


def test_no_record_of_a_former_fit() -> None:
    net = make_net(classes=[0, 1]).fit(X, Y_NOISY)
    assert hasattr(net, "example_weights_")
    net.iterator_train = Reversed
    assert_no_record(net.fit(X, Y_NOISY))
    net.iterator_train = DataLoader
    net.fit(X, Y_NOISY)
    expected = make_net().fit(X, Y_NOISY)
    np.testing.assert_array_equal(net.example_weights_, expected.example_weights_)
    stream = make_net(classes=[0, 1], iterator_train__shuffle=False).fit(X, Y_NOISY)
    assert_no_record(stream.partial_fit(Stream(), None))


def test_own_iterator_for_validation_does_not_matter() -> None:
    net = make_net(iterator_valid=Reversed).fit(X, Y_NOISY)
    expected = make_net().fit(X, Y_NOISY)
    np.testing.assert_array_equal(net.example_weights_, expected.example_weights_)


def test_a_step_that_knows_nothing_of_weights() -> None:
    class Plain(L2RWClassifier):
        def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
            step = super().train_step_single(batch, **fit_params)
            return {key: step[key] for key in ("loss", "y_pred")}

    net = Plain(MLP, **SETTINGS).fit(SkorchDataset(X, Y_NOISY), None)
    weights = getattr(net, "example_weights_", np.full(N, np.nan))
    assert np.isnan(weights).all()  # what is not known is not made up
