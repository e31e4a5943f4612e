"""
====================================
A search on the workers of a cluster
====================================

``GridSearchCV`` hands its fits to joblib, and joblib to Dask or Ray, here with two workers of this
machine. With a ``random_state`` and as many threads of torch everywhere, what comes back is what
one process finds, to the bit: scores, parameters, weights of rows.

``python examples/search_on_workers.py`` (or ``... ray``) needs ``pip install '.[cluster]'``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import joblib
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_l2rw import L2RWClassifier


@contextmanager
def dask_workers() -> Iterator[None]:
    """Two workers of Dask's; of a cluster: ``Client("scheduler:8786")``."""
    from dask.distributed import Client

    client = Client(n_workers=2, threads_per_worker=2, dashboard_address=None)
    with client, joblib.parallel_config(backend="dask"):
        yield


@contextmanager
def ray_workers() -> Iterator[None]:
    """Two workers of Ray's; of a cluster: ``ray.init(address="auto")``."""
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False)
    register_ray()
    try:
        with joblib.parallel_config(backend="ray", n_jobs=2):
            yield
    finally:
        ray.shutdown()


WORKERS = {"dask": dask_workers, "ray": ray_workers}


def main(backend: str = "dask") -> tuple[GridSearchCV, GridSearchCV]:
    """Search in one process, and on the workers."""
    torch.set_num_threads(1)  # as workers have: sums in another order end in other last bits
    X, y = load_digits(return_X_y=True)
    X, y = (X[:600] / 16).astype(np.float32), y[:600]
    X, X_clean, y, y_clean = train_test_split(X, y, test_size=50, stratify=y, random_state=0)
    net = L2RWClassifier(
        clean_set=(X_clean, y_clean), max_epochs=3, random_state=0,
        callbacks__print_log=None,
    )  # fmt: skip
    search = GridSearchCV(net, {"lr": [0.1, 0.5]}, cv=3, error_score="raise")
    alone = GridSearchCV(net, {"lr": [0.1, 0.5]}, cv=3, error_score="raise").fit(X, y)
    with WORKERS[backend]():
        search.set_params(n_jobs=2).fit(X, y)
    for which in (alone, search):
        print(which.best_params_, which.cv_results_["mean_test_score"])
    return alone, search


if __name__ == "__main__":  # workers may import this file
    main(*sys.argv[1:])
