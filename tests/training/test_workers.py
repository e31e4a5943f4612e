"""Searches on the workers of joblib's backends find what one process finds; some workers die."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.model_selection import GridSearchCV, cross_validate

from tests.small import Y_NOISY, X, make_net, same_state, state_of
from tests.training.dying import Dies

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # of Dask and Ray, which change with versions
]
GRID = {"lr": [0.01, 0.1], "module__dropout": [0.0, 0.5]}


@contextmanager
def dask(n_workers: int, threads: int, *, processes: bool = True) -> Iterator[None]:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=n_workers, threads_per_worker=threads, processes=processes,
        dashboard_address=None,
    )  # fmt: skip
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        yield


@contextmanager
def ray() -> Iterator[None]:
    package: Any = pytest.importorskip("ray")
    importlib.import_module("ray.util.joblib").register_ray()
    package.init(num_cpus=2, include_dashboard=False)
    try:
        with joblib.parallel_config(backend="ray", n_jobs=2):
            yield
    finally:
        package.shutdown()


BACKENDS: dict[str, Any] = {
    "loky": lambda: joblib.parallel_config(backend="loky"),
    "threading": lambda: joblib.parallel_config(backend="threading"),
    "dask": lambda: dask(2, 1),
    "dask, two threads": lambda: dask(1, 2),
    "dask, threads alone": lambda: dask(1, 3, processes=False),
    "ray": ray,
}


def net(**settings: Any) -> Any:
    return make_net(random_state=0, callbacks__print_log=None, clean_batch_size=3, **settings)


def search(n_jobs: int | None, **settings: Any) -> Any:
    grid = GridSearchCV(net(**settings), GRID, cv=2, n_jobs=n_jobs, error_score="raise")
    return grid.fit(X, Y_NOISY)


def folds(n_jobs: int | None, **settings: Any) -> list[Any]:
    found = cross_validate(
        net(**settings), X, Y_NOISY, cv=6, n_jobs=n_jobs, return_estimator=True, error_score="raise"
    )
    return list(found["estimator"])


def check_same(found: Any, expected: Any) -> None:
    assert found.meta_gradient_ == expected.meta_gradient_
    assert same_state(state_of(found.module_), state_of(expected.module_))
    np.testing.assert_array_equal(found.example_weights_, expected.example_weights_)
    np.testing.assert_array_equal(found.history[:, "train_loss"], expected.history[:, "train_loss"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_same_as_in_one_process(backend: str) -> None:
    alone, alone_folds = search(None), folds(None)
    with BACKENDS[backend]():
        found, found_folds = search(2), folds(2)
    assert found.best_params_ == alone.best_params_
    scores = [key for key in alone.cv_results_ if "score" in key and "time" not in key]
    for key in scores:
        np.testing.assert_array_equal(found.cv_results_[key], alone.cv_results_[key])
    check_same(found.best_estimator_, alone.best_estimator_)
    for one, other in zip(found_folds, alone_folds, strict=True):
        check_same(one, other)


@pytest.mark.skipif(sys.platform == "win32", reason="kills")
def test_a_dask_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    alone = search(None)
    with dask(2, 1):
        found = search(2, callbacks=[Dies(os.getpid(), tmp_path / "died")])
    assert (tmp_path / "died").exists()
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    check_same(found.best_estimator_, alone.best_estimator_)


@pytest.mark.skipif(sys.platform == "win32", reason="kills")
def test_workers_that_die_are_an_error_and_a_rerun_works(tmp_path: Path) -> None:
    given = net(callbacks=[Dies(os.getpid(), tmp_path / "died")])
    grid = GridSearchCV(given, GRID, cv=2, n_jobs=2)
    with pytest.raises(TerminatedWorkerError):
        grid.fit(X, Y_NOISY)
    assert not hasattr(grid, "best_estimator_")
    assert not given.initialized_
    grid.fit(X, Y_NOISY)  # the file is there: none dies
    check_same(grid.best_estimator_, search(None).best_estimator_)
