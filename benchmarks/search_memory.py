"""Memory of a search of 20 candidates whose clean set has 200 MB.

scikit-learn clones the estimator for each candidate and fold; clones share the clean set.

Run ``python -m benchmarks.search_memory`` (Linux).
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV

from benchmarks.experiments.measures import measured
from sklearn_l2rw import L2RWClassifier

N_FEATURES, MEGABYTES, BOUND = 1000, 200, 1000


def main() -> None:
    """Print the peak above the data; fail above 1 GB."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X_clean = rng.standard_normal((MEGABYTES * 250_000 // N_FEATURES, N_FEATURES), np.float32)
    y_clean = (X_clean[:, 0] > 0).astype(int)
    X, y = X_clean[:2000].copy(), y_clean[:2000].copy()
    net = L2RWClassifier(
        clean_set=(X_clean, y_clean), max_epochs=1, random_state=0, verbose=0,
        module__hidden_layer_sizes=(16,),
    )  # fmt: skip
    search = GridSearchCV(net, {"lr": np.geomspace(0.01, 1, 20)}, cv=2)
    with measured() as cost:
        search.fit(X, y)
    print(
        f"20 candidates, clean set of {X_clean.nbytes / 1e6:.0f} MB: peak {cost.memory:.0f} MB "
        f"above the data, score {search.best_score_:.2f}"
    )
    if not cost.memory < BOUND:
        raise SystemExit(f"More than {BOUND} MB above the data.")


if __name__ == "__main__":
    main()
