"""The distribution of example weights, by class and by whether the label is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .display_axes import (
    BLUE,
    GREY,
    LEGEND_ABOVE,
    PALE,
    VERMILLION,
    WEIGHT_LABEL,
    as_share,
    as_weight,
    axes_or_new,
    check_matplotlib,
    figure_of,
    scale_weights,
)
from .display_inputs import as_groups, as_weights
from .recorded import recorded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection, PathCollection
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# Dots drawn of a group: enough to show its shape, few enough to be told apart.
MAX_DOTS = 200

# Quantiles: ends of the line, ends of the box, and the median between.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class ExampleWeightsDisplay:
    """Distribution of example weights, by class and by whether the label is wrong.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`. Each group of examples has
    a line of its own, so that a class of ten is as easy to read as one of ten thousand: the box
    holds the middle half of the group's weights, the thin line its middle 90%, the dash in the
    box is the median, and the diamond the mean. Dots are single examples, at most 200 a group,
    evenly spread over its sorted weights. On the right are the number of examples, the share of
    them whose weight is exactly 0, and the mean weight.

    Parameters
    ----------
    weights : list of ndarray of shape (n_members,)
        Weights of each group, at least 0, none of them NaN. No group is empty.

    names : list of str
        Name of each group's class. Groups of one class are next to each other.

    flipped : list of bool, default=None
        Whether the labels of each group are wrong. None where that is not known.

    Attributes
    ----------
    counts_ : ndarray of int of shape (n_groups,)
        Number of examples in each group.

    zero_shares_ : ndarray of shape (n_groups,)
        Share of each group whose weight is exactly 0, in [0, 1].

    means_ : ndarray of shape (n_groups,)
        Mean weight of each group.

    quantiles_ : ndarray of shape (n_groups, 5)
        Weights that 5, 25, 50, 75 and 95% of each group do not exceed.

    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure of the axes.

    boxes_ : matplotlib BarContainer
        The boxes, one for each group.

    lines_ : matplotlib LineCollection
        The thin lines, one for each group.

    dots_ : list of matplotlib PathCollection
        The dots of each group.

    texts_ : list of list of matplotlib Text
        Number, share of zeros and mean of each group.

    See Also
    --------
    WeightHistoryDisplay : Mean weights over the epochs.
    ExampleGridDisplay : The images with the least and the greatest weights.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_l2rw import ExampleWeightsDisplay
    >>> weights = np.array([0, 0, 1.5, 2, 0, 0.5, 1, 3])
    >>> y = ["cat", "cat", "cat", "cat", "dog", "dog", "dog", "dog"]
    >>> display = ExampleWeightsDisplay.from_predictions(weights, y)
    >>> display.names
    ['cat', 'dog']
    >>> display.zero_shares_
    array([0.5 , 0.25])
    >>> plt.close(display.figure_)

    """

    ax_: Axes
    figure_: Figure
    boxes_: BarContainer
    lines_: LineCollection
    dots_: list[PathCollection]
    texts_: list[list[Text]]

    def __init__(
        self,
        *,
        weights: list[NDArray[np.float64]],
        names: list[str],
        flipped: list[bool] | None = None,
    ) -> None:
        self.weights = weights
        self.names = names
        self.flipped = flipped
        self.counts_ = np.array([len(group) for group in weights])
        self.zero_shares_ = np.array([np.mean(group == 0) for group in weights])
        self.means_ = np.array([np.mean(group) for group in weights])
        self.quantiles_ = np.array([np.quantile(group, QUANTILES) for group in weights])

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        y: ArrayLike | None = None,
        *,
        flipped: ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> ExampleWeightsDisplay:
        """Draw the weights that an estimator learned.

        Parameters
        ----------
        estimator : estimator
            Fitted with ``record_weights`` on; or a pipeline that ends in one, or a fitted search.

        y : array-like of shape (n_samples,), default=None
            Labels that `fit` was given, in the same order. None puts all rows into one group.

        flipped : array-like of bool of shape (n_samples,), default=None
            Whether each label is wrong, where that is known.

        class_names : sequence of str of shape (n_classes,), default=None
            Names of the sorted labels. None stands for the labels themselves.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure. Leave room for three columns of numbers at
            their right, as ``layout="constrained"`` does.

        Returns
        -------
        display : ExampleWeightsDisplay
            With all numbers that are drawn.

        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        weights = recorded(estimator, "example_weights_", "set record_weights=True")
        return cls.from_predictions(weights, y, flipped=flipped, class_names=class_names, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        weights: ArrayLike,
        y: ArrayLike | None = None,
        *,
        flipped: ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> ExampleWeightsDisplay:
        """Draw weights.

        Parameters
        ----------
        weights : array-like of shape (n_samples,)
            Weights of at least 0, relative to uniform: 1 is what uniform weighting would give.
            Rows whose weight is NaN were never weighed, and are left out.

        y : array-like of shape (n_samples,), default=None
            Labels. None puts all rows into one group.

        flipped : array-like of bool of shape (n_samples,), default=None
            Whether each label is wrong, where that is known.

        class_names : sequence of str of shape (n_classes,), default=None
            Names of the sorted labels. None stands for the labels themselves.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure. Leave room for three columns of numbers at
            their right, as ``layout="constrained"`` does.

        Returns
        -------
        display : ExampleWeightsDisplay
            With all numbers that are drawn.

        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        numbers = as_weights(weights, ndim=1)
        groups = as_groups(~np.isnan(numbers), y, flipped, class_names)
        return cls(
            weights=[numbers[group.members] for group in groups],
            names=[group.name for group in groups],
            flipped=None if flipped is None else [bool(group.flipped) for group in groups],
        ).plot(ax)

    def plot(self, ax: Axes | None = None) -> ExampleWeightsDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : ExampleWeightsDisplay
            The display itself.

        """
        height = 1.1 + 0.36 * len(self.names)
        self.ax_ = axes_or_new(ax, (7.5, max(height, 2.0)), f"{type(self).__name__}.plot")
        self.figure_ = figure_of(self.ax_)
        places = self._places()
        self._draw_boxes(places)
        self._draw_dots(places)
        self._write_numbers(places)
        self._name_groups(places)
        self._draw_legend()
        return self

    def _places(self) -> NDArray[np.float64]:
        """Heights of the groups: classes are further apart than the groups of one class."""
        new_class = [name != before for before, name in pairwise([self.names[0], *self.names])]
        return np.arange(len(self.names)) + 0.5 * np.cumsum(new_class)

    def _colors(self) -> list[str]:
        flipped = self.flipped or [False] * len(self.names)
        return [VERMILLION if wrong else BLUE for wrong in flipped]

    def _draw_boxes(self, places: NDArray[np.float64]) -> None:
        low, left, median, right, high = self.quantiles_.T
        colors = self._colors()
        ax = self.ax_
        ax.axvline(1, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
        self.lines_ = ax.hlines(places, low, high, colors=colors, linewidth=1.2, zorder=2)
        self.boxes_ = ax.barh(places, right - left, left=left, height=0.5, linewidth=1.2, zorder=3)
        for box, color in zip(self.boxes_, colors, strict=True):
            box.set(facecolor=PALE[color], edgecolor=color)
        ax.vlines(median, places - 0.25, places + 0.25, colors=colors, linewidth=3, zorder=5)
        diamond: dict[str, Any] = {"marker": "D", "s": 26, "facecolors": "white", "linewidths": 1.2}
        ax.scatter(self.means_, places, edgecolors=colors, zorder=6, **diamond)

    def _draw_dots(self, places: NDArray[np.float64]) -> None:
        self.dots_ = []
        for weights, place, color in zip(self.weights, places, self._colors(), strict=True):
            steps = np.linspace(0, len(weights) - 1, min(len(weights), MAX_DOTS))
            shown = np.sort(weights)[steps.round().astype(int)]
            # The golden ratio's multiples spread dots evenly, and the same way each time.
            spread = 0.7 * ((np.arange(len(shown)) * 0.618034) % 1 - 0.5)
            dots = self.ax_.scatter(
                shown, place + spread, s=6, color=color, alpha=0.4, linewidth=0, zorder=4
            )
            self.dots_.append(dots)
        scale_weights(self.ax_, "x", max(weights.max() for weights in self.weights))

    def _write_numbers(self, places: NDArray[np.float64]) -> None:
        counts = [f"{count:,}" for count in self.counts_]
        # In points, so that the columns do not depend on the size of the axes.
        offsets = np.cumsum([12 + 6 * max(map(len, counts)), 40, 42])

        def write(row: tuple[str, ...], height: float, of: Any, **style: Any) -> list[Text]:
            style |= {"ha": "right", "fontsize": 9, "annotation_clip": False}
            style |= {"xycoords": of, "textcoords": "offset points"}
            return [
                self.ax_.annotate(text, (1, height), xytext=(offset, 0), **style)
                for text, offset in zip(row, offsets, strict=True)
            ]

        shares, means = map(as_share, self.zero_shares_), map(as_weight, self.means_)
        rows = zip(counts, shares, means, strict=True)
        of = ("axes fraction", "data")
        self.texts_ = [
            write(row, place, of, va="center") for row, place in zip(rows, places, strict=True)
        ]
        write(("n", "zero", "mean"), 1, "axes fraction", va="bottom", color=GREY)

    def _name_groups(self, places: NDArray[np.float64]) -> None:
        ax, names = self.ax_, list(dict.fromkeys(self.names))
        if self.flipped is not None and len(names) == 1:
            ax.set_yticks(places, ["flipped" if wrong else "right" for wrong in self.flipped])
        else:
            members = [np.array(self.names) == name for name in names]
            ax.set_yticks([places[group].mean() for group in members], names)
        ax.set_ylim(places[-1] + 0.6, places[0] - 0.6)
        ax.set_xlabel(WEIGHT_LABEL)

    def _draw_legend(self) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        keys: list[Any] = []
        if self.flipped is not None and len(set(self.names)) > 1:
            for name, color in (("right label", BLUE), ("flipped label", VERMILLION)):
                keys.append(Patch(facecolor=PALE[color], edgecolor=color, label=name))
        color = GREY if keys else BLUE
        style: dict[str, Any] = {"linestyle": "none", "color": color}
        dash: dict[str, Any] = {"marker": "|", "markersize": 9, "markeredgewidth": 3}
        diamond: dict[str, Any] = {"marker": "D", "markersize": 5, "markerfacecolor": "white"}
        keys.append(Line2D([], [], label="median", **dash, **style))
        keys.append(Line2D([], [], label="mean", **diamond, **style))
        self.ax_.legend(handles=keys, loc="lower left", **LEGEND_ABOVE)
