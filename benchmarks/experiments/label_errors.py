"""Which labels are wrong? Scores of this package beside cleanlab's, and the time of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import cross_val_predict

from benchmarks.data.task import Task
from benchmarks.experiments.images import noisy_task
from benchmarks.experiments.measures import measured
from benchmarks.experiments.preset import Job, Preset, Row
from benchmarks.experiments.training_run import FAILURES, quiet
from benchmarks.methods import fit
from benchmarks.methods.others import import_cleanlab
from benchmarks.methods.setting import Setting
from sklearn_l2rw import rank_label_errors

Scores = dict[str, NDArray[Any]]  # by name; the larger, the more suspicious
N_FOLDS = 5  # cleanlab's default
FEW_FOLDS = 3
N_BINS = 30
LARGEST = 3.0  # of the histogram of weights


def ours(setting: Setting, arm: str) -> Scores:
    """All rankings of one fit of L2RW: the default one is by probability."""
    net = fit(arm, setting)
    X, y, _ = setting.task.with_clean()
    n = len(setting.task.y)
    return {
        method: rank_label_errors(net, X, y, method=method).scores[:n]
        for method in ("probability", "weight", "both", "value")
    }


def improbability(proba: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """One less the probability of the given label, (n,)."""
    return np.asarray(1 - proba[np.arange(len(y)), y])


def by_probability(setting: Setting, arm: str) -> Scores:
    """By a net that was trained on the labels as an arm of the other experiments is."""
    net, task = fit(arm, setting), setting.task
    return {"probability": improbability(net.predict_proba(task.X), task.y)}


def cross_validated(setting: Setting, n_folds: int) -> Scores:
    """By nets that were not trained on the label in question."""
    proba = _out_of_sample(setting, n_folds)
    return {"probability": improbability(proba, setting.task.y)}


def cleanlab(setting: Setting) -> Scores:
    """By cleanlab's label quality, of out-of-sample probabilities, in three of its ways."""
    quality = import_cleanlab("rank").get_label_quality_scores
    y, proba = setting.task.y, _out_of_sample(setting, N_FOLDS)
    return {
        "self_confidence": 1 - quality(y, proba),
        "normalized_margin": 1 - quality(y, proba, method="normalized_margin"),
        "adjusted": 1 - quality(y, proba, adjust_pred_probs=True),
    }


def _out_of_sample(setting: Setting, n_folds: int) -> NDArray[Any]:
    """Probabilities of the training rows; clean rows are trained on in each fold."""
    X, y, _ = setting.task.with_clean()
    proba = cross_val_predict(setting.net(), X, y, cv=n_folds, method="predict_proba")
    return np.asarray(proba[: len(setting.task.y)])


ARMS: dict[str, Callable[[Setting], Scores]] = {
    **{
        arm: partial(by_probability, arm=arm)
        for arm in ("unweighted", "fine_tuned", "fine_tuned_slowly")
    },
    "cross_validated": partial(cross_validated, n_folds=N_FOLDS),
    "cross_validated_3": partial(cross_validated, n_folds=FEW_FOLDS),
    "cleanlab": cleanlab,
    **{arm: partial(ours, arm=arm) for arm in ("l2rw", "l2rw_last", "l2rw_default")},
}
LIKE = dict.fromkeys(("cross_validated", "cross_validated_3", "cleanlab"), "unweighted")
"""Arms that take the learning rate of another one."""


def judge(scores: Scores, task: Task) -> dict[str, dict[str, float]]:
    """How well each score finds the wrong labels."""
    wrong = task.y != task.y_true
    return {
        name: {
            "auroc": float(roc_auc_score(wrong, score)),
            "average_precision": float(average_precision_score(wrong, score)),
        }
        for name, score in scores.items()
    }


def histogram(scores: NDArray[Any], task: Task) -> dict[str, list[int]]:
    """Counts of the weights of right and wrong labels, in `N_BINS` bins from 0 to `LARGEST`.

    Weights w, 1 being uniform, are those of scores ``1 / (1 + w)``.
    """
    wrong = task.y != task.y_true
    weights = 1 / scores - 1
    clipped = np.clip(weights, 0, LARGEST)
    return {
        name: np.histogram(clipped[part], bins=N_BINS, range=(0, LARGEST))[0].tolist()
        for name, part in (("right", ~wrong), ("wrong", wrong))
    }


def run(preset: Preset, job: Job) -> Row:
    """Score the training rows in one arm's ways."""
    task = noisy_task(preset, job.point, job.seed, job.data_home)
    lr = preset.training.lrs[0] if job.lr is None else job.lr
    setting = Setting(task, preset.training, lr, job.seed, job.device)
    try:
        with quiet(), measured(job.device) as cost:
            scores = ARMS[job.arm](setting)
    except FAILURES as error:
        return {"lr": job.lr, "failed": f"{type(error).__name__}: {error}"[:300]}
    row: Row = {
        "lr": job.lr,
        "scores": {
            name: {**found, **cost.measures()} for name, found in judge(scores, task).items()
        },
    }
    if "weight" in scores:
        row["histogram"] = histogram(scores["weight"], task)
    return row
