"""Mean example weights over the epochs of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .axes import (
    GREY,
    WEIGHT_LABEL,
    axes_or_new,
    figure_of,
    line_style,
    scale_weights,
    whole_ticks,
)
from .display import GroupedDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(kw_only=True, eq=False, repr=False)
class WeightHistoryDisplay(GroupedDisplay):
    """Mean weight of groups of examples in each epoch.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`. Each line is a class, or
    the examples whose labels are right or flipped. A dashed line is a class's flipped examples
    where lines are both. Lines that part say when the weights began to tell the groups apart.

    Parameters
    ----------
    mean_weights : ndarray of shape (n_groups, n_epochs)
        Mean weights, at least 0; NaN where none of the group was weighed.
    names : list of str
        Name of each group's class.
    flipped : list of bool, default=None
        Whether the labels of each group are wrong. None where that is not known.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure of the axes.
    lines_ : list of matplotlib Line2D
        The line of each group.

    See Also
    --------
    ExampleWeightsDisplay : How the weights of a fit are distributed.
    TrainingHealthDisplay : Losses and effective sample size in each epoch.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_l2rw import WeightHistoryDisplay
    >>> weights = np.array([[1, 1, 1, 1], [1.5, 1.5, 1, 0], [2, 2, 0, 0]])  # of 3 epochs
    >>> flipped = [False, False, True, True]
    >>> display = WeightHistoryDisplay.from_predictions(weights, flipped=flipped)
    >>> display.mean_weights
    array([[1. , 1.5, 2. ],
           [1. , 0.5, 0. ]])
    >>> plt.close(display.figure_)

    """

    mean_weights: NDArray[np.float64]
    _attribute = "epoch_example_weights_"

    @classmethod
    def _of_groups(cls, weights: list[NDArray[np.float64]], **groups: Any) -> Self:
        return cls(mean_weights=np.array([_means(group) for group in weights]), **groups)

    def _draw(self, ax: Axes | None) -> None:
        self.ax_ = ax = axes_or_new(ax, (7.5, 4.5))
        self.figure_ = figure_of(ax)
        ax.axhline(1, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
        epochs = np.arange(1, self.mean_weights.shape[1] + 1)
        self.lines_ = [
            ax.plot(epochs, means, **style)[0]
            for means, style in zip(self.mean_weights, self._styles(), strict=True)
        ]
        scale_weights(ax, "y", float(np.nanmax(self.mean_weights)))
        whole_ticks(ax.xaxis)
        ax.set(xlabel="epoch", ylabel=f"mean {WEIGHT_LABEL}")
        self._draw_legend()

    def _styles(self) -> list[dict[str, Any]]:
        """Label, colour, dashes and marker of each line."""
        classes = list(dict.fromkeys(self.names))
        unknown: list[bool | None] = [None] * len(self.names)
        styles = []
        for name, wrong in zip(self.names, self.flipped or unknown, strict=True):
            words = [] if wrong is None else ["flipped" if wrong else "right"]
            if len(classes) > 1 or wrong is None:
                style = line_style(classes.index(name)) | {"linestyle": "--" if wrong else "-"}
                words.insert(0, name)
            else:
                style = line_style(int(wrong))
            if self.mean_weights.shape[1] == 1:  # no line can be seen
                style["marker"] = style["marker"] or "o"
            styles.append(style | {"label": ", ".join(words)})
        return styles

    def _draw_legend(self) -> None:
        """Name the lines in the order in which they end."""
        order = np.argsort(-np.nan_to_num(self.mean_weights[:, -1]), kind="stable")
        lines = [self.lines_[i] for i in order]
        if len(lines) > 4:
            outside: dict[str, Any] = {"bbox_to_anchor": (1, 1), "ncols": 1 + (len(lines) > 20)}
            self.ax_.legend(handles=lines, loc="upper left", frameon=False, fontsize=9, **outside)
        elif self.flipped is not None or len(lines) > 1:
            self.ax_.legend(handles=lines, frameon=False)


def _means(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each epoch over the rows weighed in it, NaN where there is none."""
    counts = (~np.isnan(weights)).sum(axis=1)
    sums = np.nansum(weights, axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
