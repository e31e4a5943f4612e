"""Mean example weights over the epochs of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .display_axes import (
    GREY,
    WEIGHT_LABEL,
    axes_or_new,
    check_matplotlib,
    figure_of,
    line_style,
    scale_weights,
    whole_ticks,
)
from .display_inputs import as_groups, as_weights
from .recorded import recorded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


class WeightHistoryDisplay:
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

    ax_: Axes
    figure_: Figure
    lines_: list[Line2D]

    def __init__(
        self,
        *,
        mean_weights: NDArray[np.float64],
        names: list[str],
        flipped: list[bool] | None = None,
    ) -> None:
        self.mean_weights = mean_weights
        self.names = names
        self.flipped = flipped

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        y: ArrayLike | None = None,
        *,
        flipped: ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> WeightHistoryDisplay:
        """Draw the mean weights that an estimator learned in each epoch.

        Parameters
        ----------
        estimator : estimator
            Fitted with ``record_weights="epochs"``; or a pipeline that ends in one, or a fitted
            search.

        y : array-like of shape (n_samples,), default=None
            Labels that `fit` was given, in the same order. None puts all classes together.

        flipped : array-like of bool of shape (n_samples,), default=None
            Whether each label is wrong, where that is known.

        class_names : sequence of str of shape (n_classes,), default=None
            Names of the sorted labels. None stands for the labels themselves.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure. The legend is at their right where there are
            more than four groups.

        Returns
        -------
        display : WeightHistoryDisplay
            With all numbers that are drawn.

        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        weights = recorded(estimator, "epoch_example_weights_", 'set record_weights="epochs"')
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
    ) -> WeightHistoryDisplay:
        """Draw the mean weights of each epoch.

        Parameters
        ----------
        weights : array-like of shape (n_epochs, n_samples)
            Weights of at least 0, relative to uniform: 1 is what uniform weighting would give.
            NaN stands for a row that was not weighed in an epoch, and is left out of its mean.

        y : array-like of shape (n_samples,), default=None
            Labels. None puts all classes together.

        flipped : array-like of bool of shape (n_samples,), default=None
            Whether each label is wrong, where that is known.

        class_names : sequence of str of shape (n_classes,), default=None
            Names of the sorted labels. None stands for the labels themselves.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure. The legend is at their right where there are
            more than four groups.

        Returns
        -------
        display : WeightHistoryDisplay
            With all numbers that are drawn.

        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        numbers = as_weights(weights, ndim=2)
        weighed = np.asarray((~np.isnan(numbers)).any(axis=0))
        groups = as_groups(weighed, y, flipped, class_names)
        return cls(
            mean_weights=np.array([_means(numbers[:, group.members]) for group in groups]),
            names=[group.name for group in groups],
            flipped=None if flipped is None else [bool(group.flipped) for group in groups],
        ).plot(ax)

    def plot(self, ax: Axes | None = None) -> WeightHistoryDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : WeightHistoryDisplay
            The display itself.

        """
        self.ax_ = ax = axes_or_new(ax, (7.5, 4.5), f"{type(self).__name__}.plot")
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
        return self

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
