"""Scores of labels, and how they are judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.experiments import label_errors
from tests.small_benchmarks import TINY, tiny_setting, tiny_task


def test_scores_of_labels() -> None:
    task = tiny_task()
    setting = tiny_setting(task, replace(TINY, n_steps=60, n_steps_ours=60))
    wrong = task.y != task.y_true
    for name in ("unweighted", "cross_validated_3", "l2rw", "l2rw_last"):
        scores = label_errors.ARMS[name](setting)
        assert "probability" in scores
        assert all(len(score) == len(task.y) for score in scores.values())
        assert label_errors.judge(scores, task)["probability"]["auroc"] > 0.6
        assert set(scores) >= ({"weight", "both"} if name.startswith("l2rw") else set())
    perfect = {"oracle": np.where(wrong, 1.0, 0.0)}
    found = label_errors.judge(perfect, task)["oracle"]
    assert found == {"auroc": 1.0, "average_precision": 1.0}
    counts = label_errors.histogram(np.where(wrong, 1.0, 0.1), task)  # weights 0 and 9
    assert counts["wrong"] == [wrong.sum()] + [0] * (label_errors.N_BINS - 1)
    assert counts["right"] == [0] * (label_errors.N_BINS - 1) + [(~wrong).sum()]
