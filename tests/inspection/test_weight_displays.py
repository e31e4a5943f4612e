"""Distribution of weights, and their means over the epochs: what is drawn are the right numbers."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from sklearn_l2rw.inspection.axes import BLUE, VERMILLION, as_share, as_weight
from sklearn_l2rw.inspection.weight_history_display import WeightHistoryDisplay
from sklearn_l2rw.inspection.weights_display import MAX_DOTS, ExampleWeightsDisplay
from tests.display_cases import EPOCHS, FLIPPED, WEIGHTS, Y, color

# Distribution of weights


def test_weights_by_class() -> None:
    display = ExampleWeightsDisplay.from_predictions(WEIGHTS, Y, class_names=["cat", "dog"])
    assert display.names == ["cat", "dog"]
    assert display.counts_.tolist() == [4, 3]  # the row that was never weighed is left out
    assert display.zero_shares_.tolist() == pytest.approx([1 / 2, 1 / 3])
    assert display.means_.tolist() == pytest.approx([1, 4 / 3])
    assert display.quantiles_[:, 1:4].tolist() == [[0, 0.5, 1.5], [1, 2, 2]]
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["cat", "dog"]
    rows = [[text.get_text() for text in row] for row in display.texts_]
    assert rows == [["4", "50%", "1.0"], ["3", "33%", "1.3"]]


def test_weights_are_drawn() -> None:
    display = ExampleWeightsDisplay.from_predictions(WEIGHTS, Y)
    drawn = {"boxes": 1, "whiskers": 2, "medians": 1, "means": 1, "caps": 0, "fliers": 0}
    for box, quantiles in zip(display.boxes_, display.quantiles_, strict=True):
        assert {part: len(artists) for part, artists in box.items()} == drawn
        ends = [artist.get_xdata().tolist() for artist in box["whiskers"] + box["medians"]]
        low, left, median, right, high = quantiles
        assert ends == [[left, low], [right, high], [median, median]]
        middle = box["boxes"][0].get_path().get_extents()
        assert (middle.x0, middle.x1) == (left, right)
    means = [box["means"][0].get_xdata()[0] for box in display.boxes_]
    assert means == display.means_.tolist()
    dots = [np.sort(np.asarray(dots.get_offsets())[:, 0]).tolist() for dots in display.dots_]
    assert dots == [[0, 0, 1, 3], [0, 2, 2]]
    top, bottom = (np.asarray(dots.get_offsets())[:, 1].mean() for dots in display.dots_)
    low, high = display.ax_.get_ylim()
    assert high < top < bottom < low  # the first class is at the top
    assert display.ax_.get_xlabel().startswith("example weight")


def test_weights_by_flipped() -> None:
    display = ExampleWeightsDisplay.from_predictions(WEIGHTS, flipped=FLIPPED)
    assert display.flipped == [False, True]
    assert display.counts_.tolist() == [4, 3]
    assert display.zero_shares_.tolist() == [0, 1]
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["right", "flipped"]
    assert [color(box["boxes"][0]) for box in display.boxes_] == [BLUE, VERMILLION]


def test_weights_by_class_and_flipped() -> None:
    display = ExampleWeightsDisplay.from_predictions(WEIGHTS, Y, flipped=FLIPPED)
    assert display.names == ["a", "a", "b", "b"]
    assert display.flipped == [False, True, False, True]
    assert display.means_.tolist() == [2, 0, 2, 0]
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["a", "b"]
    legend = display.ax_.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["right label", "flipped label", "median", "mean"]


def test_class_without_flipped_labels_has_one_group() -> None:
    display = ExampleWeightsDisplay.from_predictions(WEIGHTS, Y, flipped=FLIPPED & (Y == "a"))
    assert list(zip(display.names, display.flipped or [], strict=True)) == [
        ("a", False), ("a", True), ("b", False),
    ]  # fmt: skip


def test_weights_of_all() -> None:
    display = ExampleWeightsDisplay.from_predictions(torch.tensor([0.0, 1.0, 2.0]))
    assert display.names == ["all"]
    assert display.means_.tolist() == [1]


def test_weights_all_zero(tmp_path: Path) -> None:
    display = ExampleWeightsDisplay.from_predictions(np.zeros(5))
    display.figure_.savefig(tmp_path / "zero.png", dpi=50)
    assert display.zero_shares_.tolist() == [1]
    assert display.ax_.get_xlim()[1] > 1  # the line of uniform weights is in view


def test_rare_class_and_heavy_tail_are_in_view() -> None:
    weights = np.concatenate([np.full(1990, 0.5), np.linspace(10, 500, 10)])
    display = ExampleWeightsDisplay.from_predictions(weights, np.arange(2000) >= 1990)
    common, rare = (np.asarray(dots.get_offsets()) for dots in display.dots_)
    assert len(common) == MAX_DOTS
    assert np.sort(rare[:, 0]).tolist() == weights[1990:].tolist()
    transform = display.ax_.transData.transform
    middles = [transform((x, 0))[0] for x in (0, 0.5, 10, 500)]
    assert np.all(np.diff(middles) > 0.1 * display.ax_.bbox.width)


def test_dots_hold_the_extremes_of_a_large_group() -> None:
    weights = np.random.RandomState(0).gamma(0.3, 2, 5000)
    (dots,) = ExampleWeightsDisplay.from_predictions(weights).dots_
    shown = np.asarray(dots.get_offsets())[:, 0]
    assert len(shown) == MAX_DOTS
    assert (shown.min(), shown.max()) == (weights.min(), weights.max())


def test_labels_of_any_kind() -> None:
    for y in (Y == "b", torch.tensor(Y == "b"), (Y == "b").astype(float), Y.tolist()):
        display = ExampleWeightsDisplay.from_predictions(WEIGHTS, y)
        assert display.counts_.tolist() == [4, 3]
        plt.close(display.figure_)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0%"), (1, "100%"), (0.5, "50%"), (0.0001, "0.1%"), (0.9999, "99.9%"), (0.007, "0.7%")],
)
def test_as_share(value: float, text: str) -> None:
    assert as_share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1, "1.0"), (0.996, "1.0"), (9.96, "10"), (1234.5, "1,234"), (0.0381, "0.038")],
)
def test_as_weight(value: float, text: str) -> None:
    assert as_weight(value) == text


# Weights over the epochs


def test_history_by_class() -> None:
    display = WeightHistoryDisplay.from_predictions(EPOCHS, Y)
    assert display.mean_weights.ravel().tolist() == pytest.approx([1, 1, 1, 4 / 3])
    for line, means in zip(display.lines_, display.mean_weights, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2])
        np.testing.assert_array_equal(line.get_ydata(), means)
    legend = display.ax_.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["b", "a"]  # as the lines end
    assert display.ax_.get_xlabel() == "epoch"


def test_history_by_flipped() -> None:
    display = WeightHistoryDisplay.from_predictions(EPOCHS, flipped=FLIPPED)
    np.testing.assert_allclose(display.mean_weights, [[1, 2], [1, 0]])
    assert [line.get_label() for line in display.lines_] == ["right", "flipped"]
    assert [color(line) for line in display.lines_] == [BLUE, VERMILLION]


def test_history_by_class_and_flipped() -> None:
    display = WeightHistoryDisplay.from_predictions(EPOCHS, Y, flipped=FLIPPED)
    labels = [line.get_label() for line in display.lines_]
    assert labels == ["a, right", "a, flipped", "b, right", "b, flipped"]
    assert [line.get_linestyle() for line in display.lines_] == ["-", "--", "-", "--"]


def test_history_has_a_gap_where_no_row_was_weighed() -> None:
    epochs = np.array([[1, np.nan], [1, 1], [1, np.nan]])
    display = WeightHistoryDisplay.from_predictions(epochs, [0, 1])
    np.testing.assert_array_equal(display.mean_weights, [[1, 1, 1], [np.nan, 1, np.nan]])


def test_history_of_many_classes_tells_lines_apart() -> None:
    display = WeightHistoryDisplay.from_predictions(np.ones((2, 20)), np.arange(20))
    assert len({(color(line), line.get_marker()) for line in display.lines_}) == 20


def test_history_of_one_epoch_is_visible() -> None:
    display = WeightHistoryDisplay.from_predictions(EPOCHS[:1], Y)
    assert [line.get_marker() for line in display.lines_] == ["o", "o"]


def test_history_of_weights_of_one_dimension() -> None:
    with pytest.raises(ValueError, match=r"expected \(n_epochs, n_samples\): the attribute epoch_"):
        WeightHistoryDisplay.from_predictions(WEIGHTS, Y)
