"""Values of rows, ranked and displayed."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_l2rw import ExampleValuesDisplay, L2RWClassifier, rank_label_errors
from tests.small import blobs

X, Y = blobs(60)
X_CLEAN, Y_CLEAN = blobs(10, seed=1)
WRONG = np.arange(60) % 7 == 0
Y_NOISY = np.where(WRONG, 1 - Y, Y)


@pytest.fixture(scope="module", name="net")
def _net() -> Any:
    return L2RWClassifier(
        clean_set=(X_CLEAN, Y_CLEAN), max_epochs=20, random_state=0, verbose=0
    ).fit(X, Y_NOISY)


def test_rows_that_did_harm_come_first(net: Any) -> None:
    ranking = rank_label_errors(net, X, Y_NOISY, method="value")
    order = np.argsort(net.example_values_, kind="stable")
    np.testing.assert_array_equal(ranking.indices, order)
    assert ((ranking.scores > 0.5) == (net.example_values_ < 0)).all()
    assert ranking.scores.min() >= 0
    assert ranking.scores.max() <= 1
    assert WRONG[ranking.indices[:5]].mean() > 2 * WRONG.mean()


def test_rows_that_were_not_trained_on_come_last() -> None:
    net = L2RWClassifier(clean_set=10, max_epochs=2, random_state=0, verbose=0).fit(X, Y)
    ranking = rank_label_errors(net, X, Y, method="value")
    assert (ranking.scores[net.clean_indices_] == 0).all()
    assert ranking.scores.max() > 0


def test_values_of_other_rows_are_refused(net: Any) -> None:
    with pytest.raises(ValueError, match=r"59 rows.*example_values_ of 60"):
        rank_label_errors(net, X[1:], Y_NOISY[1:], method="value")


def test_display_has_the_values_of_each_group(net: Any) -> None:
    display = ExampleValuesDisplay.from_estimator(net, Y_NOISY, flipped=WRONG)
    assert display.names == ["0", "0", "1", "1"]
    for i, (label, wrong) in enumerate((c, w) for c in (0, 1) for w in (False, True)):
        members = net.example_values_[(label == Y_NOISY) & (wrong == WRONG)]
        np.testing.assert_array_equal(display.weights[i], members)
        assert display.harmful_shares_[i] == np.mean(members < 0)
        texts = [text.get_text() for text in display.texts_[i]]
        assert texts[0] == str(len(members))
        assert texts[2] == f"{members.mean():.2g}"
    assert "value of a row" in display.ax_.get_xlabel()
    plt.close(display.figure_)


def test_values_may_be_negative_and_weights_not() -> None:
    display = ExampleValuesDisplay.from_predictions(np.array([-1.0, 0.0, 2.0, np.nan]))
    assert display.counts_.tolist() == [3]
    plt.close(display.figure_)
    with pytest.raises(ValueError, match="values that are infinite"):
        ExampleValuesDisplay.from_predictions(np.array([-np.inf, 0.0]))
    zeros = ExampleValuesDisplay.from_predictions(np.zeros(3))
    plt.close(zeros.figure_)
