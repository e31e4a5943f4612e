"""Tasks drawn from all rows of a data set; those with a test set are in tests of experiments."""

from __future__ import annotations

import numpy as np

from benchmarks.data.draw import draw_from_all
from benchmarks.data.source import Source
from benchmarks.data.task import Task


def numbered(rate: float = 0.2) -> Task:
    """Rows that carry their number."""
    X = np.arange(120, dtype=np.float32)[:, None]
    source = Source(X, np.repeat(np.array([4, 9]), 60), (1,)).recoded({4: 0, 9: 1})
    return draw_from_all(source, (10, 40), 6, seed=1, rate=rate)


def test_sizes_and_rate_are_exact() -> None:
    task = numbered()
    truth = (task.X[:, 0] >= 60).astype(int)
    assert np.bincount(truth).tolist() == [10, 40]
    np.testing.assert_array_equal(task.y_true, truth)
    assert np.sum(task.y != truth) == 10
    assert np.bincount(task.y_clean).tolist() == [6, 6]
    assert np.bincount(task.y_test).tolist() == [14, 14]


def test_parts_share_no_row() -> None:
    task = numbered()
    rows = np.concatenate([task.X[:, 0], task.X_clean[:, 0], task.X_test[:, 0]])
    assert len(set(rows.tolist())) == len(rows) == 50 + 12 + 28
    np.testing.assert_array_equal(
        rows, np.concatenate([task.train_rows, task.clean_rows, task.test_rows])
    )


def test_a_seed_fixes_all_draws() -> None:
    np.testing.assert_array_equal(numbered().X, numbered().X)
    np.testing.assert_array_equal(numbered().y, numbered().y)
    np.testing.assert_array_equal(numbered().y_true, numbered(0.0).y)


def test_classes_without_a_code_are_left_out() -> None:
    source = Source(np.zeros((6, 1)), np.array([0, 1, 2, 0, 1, 2]), (1,), 4)
    recoded = source.recoded({2: 0, 1: 1})
    assert recoded.y.tolist() == [-1, 1, 0, -1, 1, 0]
    assert (recoded.shape, recoded.n_train) == ((1,), 4)
    assert source.y.tolist() == [0, 1, 2, 0, 1, 2]
