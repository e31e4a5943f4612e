"""Measures of predictions and of cost, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments.measures import held_out_score, measured, score


def test_held_out_score_counts_classes_alike() -> None:
    y = np.array([0] * 8 + [1] * 2)
    proba = np.tile([0.9, 0.1], (10, 1))
    error, loss = held_out_score(y, proba, np.zeros(10, np.int64))
    assert error == 50
    assert loss == pytest.approx(-(np.log(0.9) + np.log(0.1)) / 2)


def test_scores_by_hand() -> None:
    y = np.array([0, 0, 0, 1])
    p = np.array([0.1, 0.2, 0.6, 0.7])
    found = score(y, np.c_[1 - p, p], (p > 0.5).astype(np.int64))
    assert found["error"] == 25
    assert found["balanced_error"] == pytest.approx(100 / 6)
    assert found["auc"] == found["average_precision"] == 1
    assert found["brier"] == pytest.approx(np.mean([0.01, 0.04, 0.36, 0.09]))
    assert found["f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    three = score(np.array([0, 1, 2]), np.eye(3), np.array([0, 1, 2]))
    assert (three["brier"], three["auc"]) == (0, 1)


def test_cost_is_measured() -> None:
    with measured() as cost:
        block = np.ones(30_000_000)
    assert 0 < cost.cpu_seconds <= 1.5 * cost.seconds + 1
    if Path("/proc/self/statm").exists():
        assert 200 < cost.memory < 400
    assert block.sum() > 0
