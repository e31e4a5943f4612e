"""Training health: the panels hold the numbers of the history."""

from __future__ import annotations

import numpy as np
import pytest

from sklearn_l2rw.inspection.training_health_display import TrainingHealthDisplay
from tests.display_cases import history


def test_health_numbers() -> None:
    display = TrainingHealthDisplay.from_history(history())
    assert display.train_loss.tolist() == [3, 2, 1]
    assert display.clean_loss.tolist() == [2, 1, 0]
    assert display.effective_sample_size.tolist() == [4, 3, 2]
    assert display.zero_weights.tolist() == [0, 0.25, 0.5]
    assert display.zero_batches.tolist() == [0, 1, 2]
    assert (display.batch_size, display.n_batches) == (6, 2)
    for key, line in display.lines_.items():
        scale = 100 if key == "zero_weights" else 1
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), scale * getattr(display, key))


def test_health_panels() -> None:
    display = TrainingHealthDisplay.from_history(history())
    assert display.axes_.shape == (2, 2)
    losses, size, weights, batches = display.axes_.ravel()
    drawn = {key: line.axes for key, line in display.lines_.items()}
    assert drawn == {
        "train_loss": losses,
        "clean_loss": losses,
        "effective_sample_size": size,
        "zero_weights": weights,
        "zero_batches": batches,
    }
    assert size.get_ylim()[1] > 6  # the size of a batch is in view
    assert "of 2" in batches.get_ylabel()
    assert all(panel.get_ylabel() for panel in display.axes_.ravel())
    assert all(panel.get_xlabel() == "epoch" for panel in display.axes_[1])


def test_health_of_plain_dicts_without_batches() -> None:
    rows = [{key: row[key] for key in row if key != "batches"} for row in history()]
    display = TrainingHealthDisplay.from_history(rows)
    assert display.batch_size is None
    assert display.n_batches is None
    assert display.clean_loss.tolist() == [2, 1, 0]


def test_health_of_an_interrupted_epoch() -> None:
    rows = history()
    rows.new_epoch()
    display = TrainingHealthDisplay.from_history(rows)
    np.testing.assert_array_equal(display.clean_loss, [2, 1, 0, np.nan])


def test_health_of_negative_losses() -> None:
    rows = [row | {"train_loss": -5.0} for row in history()]
    display = TrainingHealthDisplay.from_history(rows)
    assert display.axes_[0, 0].get_ylim()[0] < -5


def test_wrong_history() -> None:
    with pytest.raises(ValueError, match="history of no epoch"):
        TrainingHealthDisplay.from_history([])
    with pytest.raises(ValueError, match="without clean_loss, effective_sample_size"):
        TrainingHealthDisplay.from_history([{"train_loss": 1.0}])
    with pytest.raises(TypeError, match="history of float, but expected a dict for each epoch"):
        TrainingHealthDisplay.from_history([1.0])  # type: ignore[list-item]
