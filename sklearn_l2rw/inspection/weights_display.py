"""The distribution of example weights, by class and by whether the label is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .axes import (
    BLUE,
    GREY,
    LEGEND_ABOVE,
    PALE,
    VERMILLION,
    WEIGHT_LABEL,
    as_share,
    as_weight,
    axes_or_new,
    figure_of,
    scale_weights,
)
from .display import GroupedDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.text import Text

# Dots drawn of a group: enough to show its shape, few enough to be told apart.
MAX_DOTS = 200

# Quantiles: ends of the line, ends of the box, and the median between.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(kw_only=True, eq=False, repr=False)
class ExampleWeightsDisplay(GroupedDisplay):
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
    boxes_ : list of dict of str to list of matplotlib artists
        What ``Axes.bxp`` drew of each group: "boxes", "whiskers", "medians" and "means".
    dots_ : list of matplotlib PathCollection
        The dots of each group.
    texts_ : list of list of matplotlib Text
        Number, share of zeros and mean of each group.

    See Also
    --------
    ExampleValuesDisplay : What the examples were worth to the clean set.
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

    weights: list[NDArray[np.float64]]
    _attribute = "example_weights_"
    _neutral: ClassVar[float] = 1.0  # where there is a dotted line
    _headers: ClassVar[tuple[str, str, str]] = ("n", "zero", "mean")
    _label: ClassVar[str] = WEIGHT_LABEL

    def __post_init__(self) -> None:
        self.counts_ = np.array([len(group) for group in self.weights])
        self.zero_shares_ = np.array([np.mean(group == 0) for group in self.weights])
        self.means_ = np.array([np.mean(group) for group in self.weights])
        self.quantiles_ = np.array([np.quantile(group, QUANTILES) for group in self.weights])

    @classmethod
    def _of_groups(cls, weights: list[NDArray[np.float64]], **groups: Any) -> Self:
        return cls(weights=weights, **groups)

    def _draw(self, ax: Axes | None) -> None:
        height = 1.1 + 0.36 * len(self.names)
        self.ax_ = axes_or_new(ax, (7.5, max(height, 2.0)))
        self.figure_ = figure_of(self.ax_)
        self.ax_.axvline(self._neutral, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
        places, flipped = self._places(), self.flipped or [False] * len(self.names)
        colors = [VERMILLION if wrong else BLUE for wrong in flipped]
        groups = list(zip(range(len(places)), places, colors, strict=True))
        self.boxes_ = [self._draw_box(*group) for group in groups]
        self.dots_ = [self._draw_dots(*group) for group in groups]
        self._scale()
        self._write_numbers(places)
        self._name_groups(places)
        self._draw_legend()

    def _scale(self) -> None:
        scale_weights(self.ax_, "x", max(weights.max() for weights in self.weights))

    def _numbers(self) -> tuple[Iterable[str], Iterable[str]]:
        """A share, and a mean, of each group."""
        return map(as_share, self.zero_shares_), map(as_weight, self.means_)

    def _places(self) -> NDArray[np.float64]:
        """Heights of the groups: classes are further apart than the groups of one class."""
        new_class = [name != before for before, name in pairwise([self.names[0], *self.names])]
        return np.arange(len(self.names)) + 0.5 * np.cumsum(new_class)

    def _draw_box(self, i: int, place: float, color: str) -> dict[str, list[Any]]:
        names = ("whislo", "q1", "med", "q3", "whishi", "mean")
        numbers = dict(zip(names, [*self.quantiles_[i], self.means_[i]], strict=True))
        whiskers = {"color": color, "linewidth": 1.2, "zorder": 2}
        box = {"facecolor": PALE[color], "edgecolor": color, "linewidth": 1.2, "zorder": 3}
        diamond = {"marker": "D", "markersize": 5, "markerfacecolor": "white", "zorder": 6}
        diamond |= {"markeredgecolor": color, "markeredgewidth": 1.2}
        return self.ax_.bxp(
            [numbers],
            [place],
            orientation="horizontal",
            widths=0.5,
            patch_artist=True,
            showmeans=True,
            showcaps=False,
            showfliers=False,
            manage_ticks=False,
            whiskerprops=whiskers,
            boxprops=box,
            medianprops={"color": color, "linewidth": 3, "zorder": 5},
            meanprops=diamond,
        )

    def _draw_dots(self, i: int, place: float, color: str) -> PathCollection:
        weights = np.sort(self.weights[i])
        steps = np.linspace(0, len(weights) - 1, min(len(weights), MAX_DOTS))
        shown = weights[steps.round().astype(int)]
        # The golden ratio's multiples spread dots evenly, and the same way each time.
        spread = 0.7 * ((np.arange(len(shown)) * 0.618034) % 1 - 0.5)
        style: dict[str, Any] = {"s": 6, "color": color, "alpha": 0.4, "linewidth": 0, "zorder": 4}
        return self.ax_.scatter(shown, place + spread, **style)

    def _write_numbers(self, places: NDArray[np.float64]) -> None:
        counts = [f"{count:,}" for count in self.counts_]
        shares, means = self._numbers()
        # In points, so that the columns do not depend on the size of the axes.
        offsets = np.cumsum([12 + 6 * max(map(len, counts)), 40, 42])
        style: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
        style |= {"ha": "right", "fontsize": 9}

        def write(row: Sequence[str], height: float, of: Any, **more: Any) -> list[Text]:
            return [
                self.ax_.annotate(text, (1, height), (x, 0), xycoords=of, **style, **more)
                for text, x in zip(row, offsets, strict=True)
            ]

        write(self._headers, 1, "axes fraction", va="bottom", color=GREY)
        self.texts_ = [
            write(row, place, ("axes fraction", "data"), va="center")
            for *row, place in zip(counts, shares, means, places, strict=True)
        ]

    def _name_groups(self, places: NDArray[np.float64]) -> None:
        ax, names = self.ax_, list(dict.fromkeys(self.names))
        if self.flipped is not None and len(names) == 1:
            ax.set_yticks(places, ["flipped" if wrong else "right" for wrong in self.flipped])
        else:
            members = [np.array(self.names) == name for name in names]
            ax.set_yticks([places[group].mean() for group in members], names)
        ax.set_ylim(places[-1] + 0.6, places[0] - 0.6)
        ax.set_xlabel(self._label)

    def _draw_legend(self) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        keys: list[Any] = []
        if self.flipped is not None and len(set(self.names)) > 1:
            for name, color in (("right label", BLUE), ("flipped label", VERMILLION)):
                keys.append(Patch(facecolor=PALE[color], edgecolor=color, label=name))
        color = GREY if keys else BLUE
        style: dict[str, Any] = {"linestyle": "none", "color": color}
        diamond: dict[str, Any] = {"marker": "D", "markersize": 5, "markerfacecolor": "white"}
        dash = Line2D([], [], label="median", marker="|", markersize=9, markeredgewidth=3, **style)
        keys += [dash, Line2D([], [], label="mean", **diamond, **style)]
        self.ax_.legend(handles=keys, loc="lower left", **LEGEND_ABOVE)
