"""Copies of an estimator, its parameters, and searches over them."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_l2rw import L2RWClassifier
from tests.small import (
    MLP,
    SETTINGS,
    X_CLEAN,
    Y_CLEAN,
    Y_NOISY,
    CountSteps,
    Watched,
    X,
    Y,
    clean_rows_by_step,
    make_net,
    same_state,
    state_of,
)


def test_pickle_joblib_and_deepcopy(tmp_path: Path) -> None:
    net = make_net(clean_batch_size=3, optimizer__momentum=0.9).fit(X, Y_NOISY)
    joblib.dump(net, tmp_path / "net.joblib")
    copies = [
        pickle.loads(pickle.dumps(net)),
        joblib.load(tmp_path / "net.joblib"),
        copy.deepcopy(net),
    ]
    expected = net.predict_proba(X)
    for other in copies:
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
        assert len(other.history) == 2
    continued = [state_of(other.partial_fit(X, Y_NOISY).module_) for other in copies]
    np.testing.assert_array_equal(net.predict_proba(X), expected)
    original = state_of(net.partial_fit(X, Y_NOISY).module_)
    same = [same_state(state, original) for state in continued]
    assert same == [True] * 3, "training does not go on as it would have"


def test_unfitted_copies() -> None:
    net = make_net()
    for other in (clone(net), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert same_state(state_of(other.fit(X, Y).module_), state_of(make_net().fit(X, Y).module_))


def test_clone_is_unfitted_and_fits_the_same() -> None:
    net = make_net(clean_batch_size=3, max_grad_norm=None).fit(X, Y)
    other = clone(net)
    assert not other.initialized_
    assert other.get_params()["clean_batch_size"] == 3
    assert same_state(state_of(other.fit(X, Y).module_), state_of(net.module_))


def test_save_and_load_parameters() -> None:
    net = make_net(classes=[0, 1], optimizer__momentum=0.9).fit(X, Y)
    files = {f"f_{name}": io.BytesIO() for name in ("params", "optimizer", "criterion")}
    net.save_params(**files)
    for file in files.values():
        file.seek(0)
    other = make_net(classes=[0, 1], optimizer__momentum=0.9, random_state=9).initialize()
    other.load_params(**files)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    other.partial_fit(X, Y)
    assert len(other.history) == 2


def test_prediction_needs_no_clean_set() -> None:
    net = make_net().fit(X, Y)
    expected = net.predict(X)
    net.clean_set = None
    np.testing.assert_array_equal(net.predict(X), expected)


# Parameters


def test_set_and_get_params() -> None:
    net = make_net()
    net.set_params(lr=0.3, clean_batch_size=4, meta_gradient="double_backward", module__hidden=3)
    params = net.get_params()
    assert (params["lr"], params["clean_batch_size"], params["module__hidden"]) == (0.3, 4, 3)
    net.fit(X, Y)
    assert net.meta_gradient_ == "double_backward"
    assert net.module_.inner.out_features == 3
    assert net.optimizer_.param_groups[0]["lr"] == 0.3


def test_clean_set_set_after_a_fit_counts() -> None:
    net = make_net(Watched, callbacks=[("count", CountSteps())]).fit(X, Y)
    assert {len(rows) for rows in clean_rows_by_step()} == {8}
    net.set_params(clean_set=(X_CLEAN[:4], Y_CLEAN[:4])).partial_fit(X, Y)
    assert {len(rows) for rows in clean_rows_by_step()} == {4}


def test_clean_batch_size_set_after_a_fit_counts() -> None:
    net = make_net(Watched, callbacks=[("count", CountSteps())], clean_batch_size=4).fit(X, Y)
    assert {len(rows) for rows in clean_rows_by_step()} == {4}
    net.set_params(clean_batch_size=2).partial_fit(X, Y)
    assert {len(rows) for rows in clean_rows_by_step()} == {2}


def test_clean_set_altered_after_a_fit_counts() -> None:
    """It is read at every fit, as X is."""
    clean = X_CLEAN[:, :].copy(), Y_CLEAN.copy()
    changed = make_net(clean_set=clean).fit(X, Y)
    clean[1][:] = 1 - clean[1]
    changed.partial_fit(X, Y)
    replaced = make_net().fit(X, Y)
    replaced.set_params(clean_set=(X_CLEAN, 1 - Y_CLEAN)).partial_fit(X, Y)
    assert same_state(state_of(changed.module_), state_of(replaced.module_))


def test_misspelt_parameter() -> None:
    net = L2RWClassifier(MLP, clean_set=SETTINGS["clean_set"], clean_batch_sizes=3)
    with pytest.raises((TypeError, ValueError), match="clean_batch_sizes"):
        net.fit(X, Y)


# Two processes have to import torch first.
@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_grid_search(n_jobs: int | None) -> None:
    grid = {"lr": [1e-6, 0.3], "module__hidden": [2, 5]}
    net = make_net(max_epochs=5)
    search = GridSearchCV(net, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(X, Y)
    assert search.best_params_["lr"] == 0.3
    best = make_net(max_epochs=5, **search.best_params_).fit(X, Y)
    assert same_state(state_of(search.best_estimator_.module_), state_of(best.module_))
