"""Arms of other packages: around the net, or without one."""

from __future__ import annotations

import importlib
from typing import Any

from imblearn.ensemble import BalancedRandomForestClassifier
from sklearn.ensemble import AdaBoostClassifier
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.methods.setting import Setting

N_FOLDS = 3  # of the arms that cross-validate; they take one fit more


class MissingPackageError(Exception):
    """A package that an arm needs is not installed."""


def threshold_tuned(setting: Setting) -> Any:
    """Make scikit-learn's TunedThresholdClassifierCV around the net, for balanced accuracy."""
    return TunedThresholdClassifierCV(setting.net(), scoring="balanced_accuracy", cv=N_FOLDS)


def adaboost(setting: Setting) -> Any:
    """Make scikit-learn's AdaBoostClassifier of 100 stumps: no net."""
    return AdaBoostClassifier(n_estimators=100, random_state=setting.seed)


def balanced_random_forest(setting: Setting) -> Any:
    """Make imbalanced-learn's BalancedRandomForestClassifier of 100 trees: no net."""
    return BalancedRandomForestClassifier(
        100, sampling_strategy="all", replacement=True, bootstrap=False, random_state=setting.seed
    )


def import_cleanlab(module: str) -> Any:
    """Import a module of cleanlab, which is not among our requirements.

    Raises
    ------
    MissingPackageError
        If it is not installed.

    """
    try:
        return importlib.import_module(f"cleanlab.{module}")
    except ImportError as error:
        raise MissingPackageError(
            f"This needs cleanlab ({error}). Run `pip install cleanlab`, or name other arms with "
            "--arms."
        ) from error


def cleanlab(setting: Setting) -> Any:
    """Make cleanlab's CleanLearning around the net: drops what it finds wrong, trains again."""
    clean_learning = import_cleanlab("classification").CleanLearning
    net = setting.net()
    # a Pipeline cannot tell whether a CleanLearning in it is fitted
    scaled = make_pipeline(StandardScaler(), net) if setting.training.scale else net
    return clean_learning(
        scaled,
        seed=setting.seed,
        cv_n_folds=N_FOLDS,
        find_label_issues_kwargs={"n_jobs": 1},  # its pool fails in a process of joblib's
    )
