"""What pickles of estimators hold: their version; the rows of the clean set, until trimmed."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from skorch.callbacks import Callback
from skorch.exceptions import SkorchTrainingImpossibleError
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import TensorDataset

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)
from sklearn_l2rw.estimators import pickles
from tests.small import MLP, SETTINGS, X_CLEAN, Y_CLEAN, Probabilities, X, Y, joined, make_net

# The version


def pickled_by(version: str, net: Any, monkeypatch: pytest.MonkeyPatch) -> bytes:
    with monkeypatch.context() as patch:
        patch.setattr(pickles, "VERSION", version)
        return pickle.dumps(net)


@pytest.mark.parametrize("fitted", [True, False])
def test_warning_of_another_version(fitted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    net = make_net().fit(X, Y) if fitted else make_net()
    data = pickled_by("3.1", net, monkeypatch)
    match = r"L2RWClassifier from version sklearn_l2rw 3\.1"
    with pytest.warns(InconsistentVersionWarning, match=match) as caught:
        other = pickle.loads(data)
    assert len(caught) == 1
    assert f"using version sklearn_l2rw {pickles.VERSION}" in str(caught[0].message)
    if fitted:
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
    pickle.loads(pickle.dumps(other))  # it is one of this version now


def test_no_warning_of_the_same_version() -> None:
    net = make_net().fit(X, Y)
    before = set(vars(net))
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), copy.copy(net)):
        assert set(vars(other)) == before


def test_pickle_without_a_version() -> None:
    net = make_net().fit(X, Y)
    state = net.__getstate__()
    state.pop("_sklearn_l2rw_version")
    with pytest.warns(InconsistentVersionWarning, match="sklearn_l2rw unknown"):
        L2RWClassifier.__new__(L2RWClassifier).__setstate__(state)


# Rows


def rows_in(net: Any, rows: Any) -> int:
    data = pickle.dumps(net)
    return sum(row.tobytes() in data for row in rows)


ROWS, LABELS, MASK = joined(X, Y)


def of_a_pair() -> Any:
    return make_net(), (X, Y), {}


def of_a_number() -> Any:
    return make_net(clean_set=10), (ROWS, LABELS), {}


def of_a_mask() -> Any:
    return make_net(clean_set=None), (ROWS, LABELS), {"clean_mask": MASK}


def of_x_val() -> Any:
    return make_net(clean_set=None), (X, Y), {"X_val": X_CLEAN, "y_val": Y_CLEAN}


class Keeps(Callback):
    """A callback that holds on to rows."""

    def on_batch_end(self, net: Any, batch: Any = None, **kwargs: Any) -> None:
        self.batch = np.asarray(batch[0])


def of_callbacks() -> Any:
    held = predefined_split(TensorDataset(torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN)))
    return make_net(callbacks=[Keeps()], train_split=held), (X, Y), {}


@pytest.mark.parametrize("make", [of_a_pair, of_a_number, of_a_mask, of_x_val, of_callbacks])
def test_no_row_is_left(make: Any) -> None:
    net, data, more = make()
    net.set_params(record_weights="epochs", average=0.5)
    net.fit(*data, sample_weight=np.linspace(1, 2, len(data[0])), **more)
    rows = np.concatenate([X, X_CLEAN])
    assert rows_in(net, rows) >= 8  # the clean set
    weights = net.example_weights_
    probabilities, labels, scores = net.predict_proba(X), net.predict(X), net.decision_function(X)
    net.trim_for_prediction()
    assert rows_in(net, rows) == 0
    found = pickle.dumps(net)
    assert weights.tobytes() not in found
    assert len(found) < 20_000
    for other in (net, pickle.loads(found), copy.deepcopy(net)):
        np.testing.assert_array_equal(other.predict_proba(X), probabilities)
        np.testing.assert_array_equal(other.predict(X), labels)
        np.testing.assert_array_equal(other.decision_function(X), scores)


def test_trimmed_estimators_of_all_kinds() -> None:
    settings = {**SETTINGS, "clean_set": 8}
    cases: list[tuple[Any, Any]] = [
        (L2RWClassifier(**settings), Y),
        (L2RWClassifier(Probabilities, **{**settings, "criterion": nn.NLLLoss}), Y),
        (L2RWBinaryClassifier(**settings), Y),
        (L2RWMultilabelClassifier(**settings), np.stack([Y, 1 - Y, Y], axis=1)),
        (L2RWRegressor(**settings), X[:, 0].astype(np.float64)),
    ]
    for net, y in cases:
        expected = net.fit(X, y).predict(X)
        proba = None if y.dtype == np.float64 else net.predict_proba(X)
        net.trim_for_prediction()
        net.trim_for_prediction()
        np.testing.assert_array_equal(net.predict(X), expected)
        if proba is not None:
            np.testing.assert_array_equal(net.predict_proba(X), proba)
        assert net.score(X, y) is not None


def test_trimming_leaves_what_is_the_users() -> None:
    callbacks = [Keeps()]
    clean_set = X_CLEAN.copy(), Y_CLEAN.copy()
    net = make_net(callbacks=callbacks, clean_set=clean_set).fit(X, Y)
    net.trim_for_prediction()
    assert len(callbacks) == 1
    np.testing.assert_array_equal(clean_set[0], X_CLEAN)
    assert net.callbacks == []


def test_a_trimmed_net_is_not_trained() -> None:
    net = make_net().fit(X, Y)
    net.trim_for_prediction()
    expected = net.predict_proba(X)
    for train in (net.fit, net.partial_fit):
        with pytest.raises(SkorchTrainingImpossibleError, match="trimmed for prediction"):
            train(X, Y)
    np.testing.assert_array_equal(net.predict_proba(X), expected)
    with pytest.raises(NotFittedError):
        make_net().trim_for_prediction()


def test_trimmed_nets_are_saved() -> None:
    pytest.importorskip("safetensors")
    net = make_net().fit(X, Y)
    net.trim_for_prediction()
    file = io.BytesIO()
    net.save_params(f_params=file, use_safetensors=True)
    file.seek(0)
    other = L2RWClassifier(MLP, batch_size=16).load_params(f_params=file, use_safetensors=True)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    other.trim_for_prediction()
    assert rows_in(other, X_CLEAN) == 0


def test_joblib() -> None:
    net = make_net().fit(X, Y)
    net.trim_for_prediction()
    file = io.BytesIO()
    joblib.dump(net, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).predict(X), net.predict(X))
