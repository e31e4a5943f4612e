"""The estimator's defaults beside scikit-learn's `MLPClassifier`, on data with nothing wrong.

Behind a StandardScaler, with nothing set but the clean set: a tenth of each training fold, split
off inside `fit`. Accuracy in %, mean over repeated stratified 5-fold cross-validation.

Run ``python -m benchmarks.defaults``.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_l2rw import L2RWClassifier

DATA = {"breast cancer": load_breast_cancer, "wine": load_wine, "digits": load_digits}
CLEAN_SET = 0.1
TOLERANCE = 2.0


def accuracy(estimator: Any, X: Any, y: Any, n_repeats: int) -> float:
    """Mean accuracy over folds, in %."""
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=n_repeats, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # MLPClassifier's 200 epochs
        scores = cross_val_score(make_pipeline(StandardScaler(), estimator), X, y, cv=folds)
    return float(100 * scores.mean())


def main() -> None:
    """Print the table; fail where the defaults are more than two points worse."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| data | MLPClassifier | L2RWClassifier | difference | seconds |\n|---|---|---|---|---|")
    worst = 0.0
    for name, load in DATA.items():
        X, y = load(return_X_y=True)
        net = L2RWClassifier(clean_set=CLEAN_SET, random_state=0, verbose=0)
        reference = accuracy(MLPClassifier(random_state=0), X, y, args.repeats)
        start = time.perf_counter()
        ours = accuracy(net, X, y, args.repeats)
        seconds = time.perf_counter() - start
        worst = max(worst, reference - ours)
        print(
            f"| {name} | {reference:.1f} | {ours:.1f} | {ours - reference:+.1f} | {seconds:.0f} |"
        )
    if worst > TOLERANCE:
        raise SystemExit(f"More than {TOLERANCE} points below MLPClassifier: {worst:.1f}.")


if __name__ == "__main__":
    main()
