"""Statistics, against scipy's and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from benchmarks.reporting import stats


def test_mean_and_standard_error() -> None:
    mean, error = stats.mean_and_error([1.0, 2.0, 3.0])
    assert mean == 2
    assert error == pytest.approx(1 / np.sqrt(3))
    assert np.isnan(stats.mean_and_error([1.0])[1])


def test_paired_difference_is_students() -> None:
    a = {0: 1.0, 1: 2.5, 2: 3.0, 3: 9.0}
    b = {0: 1.5, 1: 2.0, 2: 4.0}
    found = stats.paired_difference(a, b)
    assert found is not None
    test = ttest_rel([1.0, 2.5, 3.0], [1.5, 2.0, 4.0]).confidence_interval()
    assert found.mean == pytest.approx(-1 / 3)
    assert (found.low, found.high) == pytest.approx((test.low, test.high))
    wider = stats.paired_difference(a, b, test_over_train=0.25)
    assert wider is not None
    assert wider.high - wider.low == pytest.approx(
        (found.high - found.low) * np.sqrt((1 / 3 + 0.25) * 3)
    )
    assert stats.paired_difference({0: 1.0}, {0: 2.0}) is None


def test_ranks_over_data_sets() -> None:
    table = {"one": {"a": 1.0, "b": 2.0, "c": 3.0}, "two": {"a": 5.0, "b": 5.0}}
    assert stats.mean_ranks(table) == {"a": 1.25, "b": 1.75}
    assert stats.mean_ranks(table, less_is_better=False) == {"a": 1.75, "b": 1.25}
    assert stats.mean_ranks({}) == {}
