"""Whether training is healthy: what its epochs left in the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .axes import BLUE, GREY, VERMILLION, despine, grid_within, whole_ticks
from .display import Display
from .fitted import recorded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

KEYS = ("train_loss", "clean_loss", "effective_sample_size", "zero_weights", "zero_batches")


@dataclass(kw_only=True, eq=False, repr=False)
class TrainingHealthDisplay(Display):
    """Losses, effective sample size and zero weights in each epoch.

    Create it with :meth:`from_estimator` or :meth:`from_history`. Signs of bad health are an
    effective sample size of a few examples out of a batch, zero batches beyond the first epochs,
    and a clean loss near 0 while the training loss is not: then the clean set is fitted, and has
    nothing more to say.

    Parameters
    ----------
    train_loss : ndarray of shape (n_epochs,)
        Loss of the training batches.
    clean_loss : ndarray of shape (n_epochs,)
        Mean loss of the clean batches.
    effective_sample_size : ndarray of shape (n_epochs,)
        How many examples carry a batch, in the mean over batches.
    zero_weights : ndarray of shape (n_epochs,)
        Share of examples with weight 0, in [0, 1].
    zero_batches : ndarray of shape (n_epochs,)
        Number of batches all of whose weights are 0.
    batch_size : int, default=None
        Number of examples in the largest batch. None where it is not known.
    n_batches : int, default=None
        Number of batches in an epoch. None where it is not known.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (2, 2)
        Panels: losses, effective sample size; zero weights, zero batches.
    figure_ : matplotlib Figure
        The figure of the panels.
    lines_ : dict of str to matplotlib Line2D
        The line of each of the five keys of the history.

    See Also
    --------
    WeightHistoryDisplay : Mean weights in each epoch.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_l2rw import TrainingHealthDisplay
    >>> history = [
    ...     {"train_loss": 0.7, "clean_loss": 0.6, "effective_sample_size": 60.0,
    ...      "zero_weights": 0.3, "zero_batches": 0},
    ...     {"train_loss": 0.5, "clean_loss": 0.4, "effective_sample_size": 50.0,
    ...      "zero_weights": 0.4, "zero_batches": 1},
    ... ]
    >>> display = TrainingHealthDisplay.from_history(history)
    >>> display.zero_batches
    array([0., 1.])
    >>> plt.close(display.figure_)

    """

    train_loss: NDArray[np.float64]
    clean_loss: NDArray[np.float64]
    effective_sample_size: NDArray[np.float64]
    zero_weights: NDArray[np.float64]
    zero_batches: NDArray[np.float64]
    batch_size: int | None = None
    n_batches: int | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None) -> TrainingHealthDisplay:
        """Draw the history of an estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted; or a pipeline that ends in one, or a fitted search.
        ax : matplotlib Axes, default=None
            Axes whose place the panels take. None makes a new figure.

        Returns
        -------
        display : TrainingHealthDisplay
            With all numbers that are drawn.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_l2rw import L2RWClassifier, TrainingHealthDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> net = L2RWClassifier(clean_set=15, max_epochs=2, random_state=0, verbose=0).fit(X, y)
        >>> display = TrainingHealthDisplay.from_estimator(net)
        >>> len(display.clean_loss)
        2
        >>> plt.close(display.figure_)

        """
        return cls.from_history(recorded(estimator, "history"), ax=ax)

    @classmethod
    def from_history(
        cls, history: Iterable[Mapping[str, Any]], *, ax: Axes | None = None
    ) -> TrainingHealthDisplay:
        """Draw a history.

        Parameters
        ----------
        history : skorch.history.History, or list of dict
            An entry for each epoch, with the keys ``train_loss``, ``clean_loss``,
            ``effective_sample_size``, ``zero_weights`` and ``zero_batches``. An epoch without one
            of them, like one that was interrupted, leaves a gap.
        ax : matplotlib Axes, default=None
            Axes whose place the panels take. None makes a new figure.

        Returns
        -------
        display : TrainingHealthDisplay
            With all numbers that are drawn.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn_l2rw import TrainingHealthDisplay
        >>> epoch = {"train_loss": 0.9, "clean_loss": 0.7, "effective_sample_size": 30.0}
        >>> epoch |= {"zero_weights": 0.2, "zero_batches": 0}
        >>> display = TrainingHealthDisplay.from_history([epoch, epoch | {"clean_loss": 0.5}])
        >>> display.clean_loss
        array([0.7, 0.5])
        >>> plt.close(display.figure_)

        """
        epochs = list(history)
        _check_epochs(epochs)
        columns = {
            key: np.array([epoch.get(key, np.nan) for epoch in epochs], dtype=np.float64)
            for key in KEYS
        }
        key = "train_batch_size"
        sizes = [[row[key] for row in epoch.get("batches", ()) if key in row] for epoch in epochs]
        return cls(
            **columns,
            batch_size=max((size for epoch in sizes for size in epoch), default=None),
            n_batches=max(map(len, sizes)) or None,
        ).plot(ax)

    def _draw(self, ax: Axes | None) -> None:
        self.figure_, grid = grid_within(ax, (2, 2), (9, 5.5))
        self.axes_ = np.asarray(grid.subplots(sharex=True))
        losses, size, weights, batches = self.axes_.ravel()
        self.lines_: dict[str, Line2D] = {}
        self._draw_line(losses, "train_loss", "loss", label="training loss", linestyle="--")
        self._draw_line(losses, "clean_loss", "loss", label="clean loss", color=VERMILLION)
        self._draw_line(size, "effective_sample_size", "effective sample size,\nexamples")
        self._draw_line(weights, "zero_weights", "weights that are 0, %", scale=100)
        of = "" if self.n_batches is None else f", of {self.n_batches}"
        self._draw_line(batches, "zero_batches", f"batches all of whose\nweights are 0{of}")
        losses.legend(frameon=False, fontsize=9)
        self._mark_batch_size(size)
        for panel in (losses, size, batches):
            if panel.dataLim.y0 >= 0:  # zero is what the numbers are to be compared with
                panel.set_ylim(0, 1.05 * panel.dataLim.y1 or 1)
        weights.set_ylim(0, 100)
        batches.set_ylim(0, max(1, batches.get_ylim()[1]))
        whole_ticks(batches.yaxis)
        weights.set_xlabel("epoch")
        batches.set_xlabel("epoch")

    def _draw_line(
        self, panel: Axes, key: str, ylabel: str, *, scale: float = 1, **style: Any
    ) -> None:
        values = scale * getattr(self, key)
        epochs = np.arange(1, len(values) + 1)
        style = {"color": BLUE, "marker": "o", "markersize": 3, "clip_on": False, **style}
        (self.lines_[key],) = panel.plot(epochs, values, **style)
        despine(panel)
        panel.set_ylabel(ylabel)
        whole_ticks(panel.xaxis)

    def _mark_batch_size(self, panel: Axes) -> None:
        """Draw what the effective sample size would be with uniform weights."""
        if self.batch_size is not None:
            panel.axhline(self.batch_size, color=GREY, linewidth=0.8, linestyle=":")
            style: dict[str, Any] = {"ha": "right", "va": "bottom", "color": GREY, "fontsize": 9}
            text = f"batch size {self.batch_size:,}"
            panel.text(1, self.batch_size, text, transform=panel.get_yaxis_transform(), **style)


def _check_epochs(epochs: list[Any]) -> None:
    if not epochs:
        raise ValueError("Got a history of no epoch, but expected at least one. Fit first.")
    if not all(isinstance(epoch, Mapping) for epoch in epochs):
        kind = type(epochs[0]).__name__
        raise TypeError(
            f"Got a history of {kind}, but expected a dict for each epoch, as in "
            "`estimator.history`."
        )
    lacking = [key for key in KEYS if not any(key in epoch for epoch in epochs)]
    if lacking:
        raise ValueError(
            f"Got a history without {', '.join(lacking)}, but expected that of an L2RW estimator. "
            "Give `estimator.history` after `fit`."
        )
