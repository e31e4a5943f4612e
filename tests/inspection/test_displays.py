"""What displays have in common: they draw where they are told to, and refuse what is wrong."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_l2rw.inspection.image_grid import ExampleGridDisplay
from sklearn_l2rw.inspection.training_health_display import TrainingHealthDisplay
from sklearn_l2rw.inspection.weight_history_display import WeightHistoryDisplay
from sklearn_l2rw.inspection.weights_display import ExampleWeightsDisplay
from tests.display_cases import EPOCHS, FLIPPED, IMAGES, WEIGHTS, Fitted, Y, history

Draw = Callable[..., Any]
DRAW: dict[str, Draw] = {
    "weights": lambda **kw: ExampleWeightsDisplay.from_predictions(WEIGHTS, Y, **kw),
    "history": lambda **kw: WeightHistoryDisplay.from_predictions(EPOCHS, Y, **kw),
    "health": lambda **kw: TrainingHealthDisplay.from_history(history(), **kw),
    "grid": lambda **kw: ExampleGridDisplay.from_predictions(WEIGHTS, IMAGES, Y, k=2, **kw),
}
each_display = pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)


@each_display
def test_renders_to_a_file(draw: Draw, tmp_path: Path) -> None:
    display = draw()
    display.figure_.savefig(tmp_path / "display.png", dpi=50)
    image = plt.imread(tmp_path / "display.png")
    assert image[..., :3].std() > 0.01


@each_display
def test_new_figure_is_the_only_one(draw: Draw) -> None:
    display = draw()
    assert [plt.figure(number) for number in plt.get_fignums()] == [display.figure_]


@each_display
def test_given_axes_are_used(draw: Draw) -> None:
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    display = draw(ax=right)
    figure.draw_without_rendering()
    assert display.figure_ is figure
    assert plt.get_fignums() == [1]
    assert not left.has_data()
    drawn = [display.ax_] if hasattr(display, "ax_") else display.axes_.ravel().tolist()
    assert all(ax in figure.axes and ax.has_data() for ax in drawn)
    assert all(ax.get_position().x0 > left.get_position().x1 for ax in drawn)


@each_display
def test_axes_without_a_grid(draw: Draw) -> None:
    figure = plt.figure()
    display = draw(ax=figure.add_axes((0.5, 0.5, 0.4, 0.4)))
    drawn = [display.ax_] if hasattr(display, "ax_") else display.axes_.ravel().tolist()
    figure.draw_without_rendering()
    assert all(ax.get_position().x0 >= 0.499 for ax in drawn)


@each_display
def test_part_of_a_figure(draw: Draw) -> None:
    figure = plt.figure(layout="constrained")
    part: Any = np.asarray(figure.subfigures(1, 2))[0]
    assert draw(ax=part.subplots()).figure_ is part
    figure.draw_without_rendering()


@each_display
def test_plot_again(draw: Draw) -> None:
    display = draw()
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first


@each_display
def test_wrong_axes(draw: Draw) -> None:
    _, axes = plt.subplots(1, 2)
    with pytest.raises(TypeError, match="ax of type ndarray, but expected a matplotlib Axes"):
        draw(ax=axes)


@each_display
def test_matplotlib_is_missing(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"requires matplotlib.*pip install matplotlib"):
        draw()


MODULES = [
    "axes",
    "display",
    "fitted",
    "groups",
    "image_grid",
    "training_health_display",
    "weight_history_display",
    "weights_display",
]


@pytest.mark.parametrize("name", MODULES)
def test_import_needs_no_matplotlib(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    loaded = importlib.import_module(f"sklearn_l2rw.inspection.{name}")
    package = "sklearn_l2rw.inspection"
    runpy.run_path(str(loaded.__file__), {"__package__": package}, f"{package}.{name}")


FROM_ESTIMATOR: dict[str, Draw] = {
    "weights": lambda net: ExampleWeightsDisplay.from_estimator(net, Y),
    "history": lambda net: WeightHistoryDisplay.from_estimator(net, Y),
    "health": TrainingHealthDisplay.from_estimator,
    "grid": lambda net: ExampleGridDisplay.from_estimator(net, IMAGES, Y, k=2),
}
NUMBERS = {
    "weights": "means_",
    "history": "mean_weights",
    "health": "clean_loss",
    "grid": "weights",
}


@pytest.mark.parametrize("name", DRAW)
def test_from_estimator(name: str) -> None:
    from_arrays = getattr(DRAW[name](), NUMBERS[name])
    net = Fitted().fit()
    for estimator in (net, make_pipeline(StandardScaler(), net)):
        display = FROM_ESTIMATOR[name](estimator)
        np.testing.assert_array_equal(getattr(display, NUMBERS[name]), from_arrays)


@pytest.mark.parametrize("name", DRAW)
def test_not_fitted(name: str) -> None:
    with pytest.raises(NotFittedError):
        FROM_ESTIMATOR[name](Fitted())


@pytest.mark.parametrize("name", ["weights", "grid"])
def test_weights_not_recorded(name: str) -> None:
    net = Fitted(record_weights=False).fit()
    with pytest.raises(ValueError, match=r"without example_weights_.*record_weights=True and fit"):
        FROM_ESTIMATOR[name](net)


@pytest.mark.parametrize("record_weights", [False, True])
def test_epochs_not_recorded(record_weights: bool) -> None:
    net = Fitted(record_weights).fit()
    with pytest.raises(ValueError, match='set record_weights="epochs" and fit again'):
        WeightHistoryDisplay.from_estimator(net, Y)


def test_search_without_refit() -> None:
    search = GridSearchCV(Fitted(), {}, cv=2, scoring=lambda *_: 0.0, refit=False).fit(IMAGES, Y)
    with pytest.raises(ValueError, match=r"fitted GridSearchCV without.*set refit=True"):
        ExampleWeightsDisplay.from_estimator(search)


def test_estimator_without_history() -> None:
    scaler = StandardScaler().fit([[0.0], [1.0]])
    with pytest.raises(ValueError, match="fitted StandardScaler without history"):
        TrainingHealthDisplay.from_estimator(scaler)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (WEIGHTS[:, None], r"weights of shape \(8, 1\), but expected \(n_samples,\)"),
        (-WEIGHTS, "negative or infinite"),
        (WEIGHTS + np.inf, "negative or infinite"),
        (WEIGHTS * np.nan, "8 weights that are all NaN"),
    ],
)
def test_wrong_weights(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExampleWeightsDisplay.from_predictions(weights, Y)
    with pytest.raises(ValueError, match=message):
        ExampleGridDisplay.from_predictions(weights, IMAGES, k=2)


GROUPED: list[Draw] = [
    lambda **kw: ExampleWeightsDisplay.from_predictions(WEIGHTS, **kw),
    lambda **kw: WeightHistoryDisplay.from_predictions(EPOCHS, **kw),
    lambda **kw: ExampleGridDisplay.from_predictions(WEIGHTS, IMAGES, k=2, **kw),
]


@pytest.mark.parametrize("draw", GROUPED)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": Y[:5]}, "Got 5 rows in y and 8 weights, but expected one each"),
        ({"y": np.eye(8)}, r"y of shape \(8, 8\)"),
        ({"y": WEIGHTS}, "y contains NaN"),
        ({"y": np.arange(8) / 3}, "continuous numbers for y, but expected class labels"),
        ({"y": Y, "class_names": ["a"]}, "Got 1 names for class_names, but y has 2 classes"),
        ({"y": Y, "class_names": "ab"}, "Got 'ab' for class_names, but y has 2 classes"),
        ({"y": Y, "class_names": ["a", "a"]}, "expected each name to be there once"),
        ({"class_names": ["a", "b"]}, "Got class_names without y"),
    ],
)
def test_wrong_labels(draw: Draw, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(**given)
    assert not plt.get_fignums()


@pytest.mark.parametrize("draw", GROUPED[:2])
def test_wrong_flipped(draw: Draw) -> None:
    with pytest.raises(TypeError, match=r"flipped of dtype int64.*one bool for each row"):
        draw(flipped=np.array([0, 1, 5]))
    with pytest.raises(ValueError, match="Got 3 rows in flipped and 8 weights"):
        draw(flipped=FLIPPED[:3])
