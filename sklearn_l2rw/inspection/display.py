"""What displays do alike: made of an estimator or of numbers, they draw on the axes given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .fitted import recorded
from .groups import as_groups, as_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Display(ABC):
    """Numbers that draw themselves."""

    figure_: Figure

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, or whose place several panels take. None makes a new figure.

        Returns
        -------
        display : Display
            The display itself.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn_l2rw import ExampleWeightsDisplay
        >>> figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3), layout="constrained")
        >>> display = ExampleWeightsDisplay.from_predictions([0, 1, 2], ax=left)
        >>> display = display.plot(right)  # the same once more
        >>> plt.close(figure)

        """
        try:
            import matplotlib  # noqa: F401  (which the package does not require)
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__} requires matplotlib. You can install it with "
                "`pip install matplotlib`."
            ) from error
        self._draw(ax)
        return self

    @abstractmethod
    def _draw(self, ax: Axes | None) -> None:
        """Draw, and set `figure_`."""


@dataclass(kw_only=True, eq=False, repr=False)
class GroupedDisplay(Display):
    """Weights of groups of rows: by class, by whether the label is wrong, by both, or of all."""

    names: list[str]
    flipped: list[bool] | None = None

    _attribute: ClassVar[str]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        y: ArrayLike | None = None,
        *,
        flipped: ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the weights that an estimator learned, of each group of rows.

        Parameters
        ----------
        estimator : estimator
            Fitted with ``record_weights`` on, and ``record_weights="epochs"`` for a display of
            epochs; or a pipeline that ends in one, or a fitted search.
        y, flipped, class_names, ax
            As :meth:`from_predictions` takes them, for the rows that `fit` was given, in their
            order.

        Returns
        -------
        display : ExampleWeightsDisplay or WeightHistoryDisplay
            With all numbers that are drawn.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_l2rw import ExampleWeightsDisplay, L2RWClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = L2RWClassifier(clean_set=15, max_epochs=2, random_state=0, verbose=0).fit(X, y)
        >>> display = ExampleWeightsDisplay.from_estimator(net, y)
        >>> display.names
        ['0', '1', '2']
        >>> plt.close(display.figure_)

        """
        weights = recorded(estimator, cls._attribute)
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
    ) -> Self:
        """Draw the weights of each group of rows.

        Parameters
        ----------
        weights : array-like of shape (n_samples,), or (n_epochs, n_samples) for those of epochs
            Weights of at least 0, relative to uniform: 1 is what uniform weighting would give.
            NaN stands for a row that was not weighed (in that epoch), and is left out.
        y : array-like of shape (n_samples,), default=None
            Labels. None puts all classes together.
        flipped : array-like of bool of shape (n_samples,), default=None
            Whether each label is wrong, where that is known.
        class_names : sequence of str of shape (n_classes,), default=None
            Names of the sorted labels. None stands for the labels themselves.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure. Leave room at their right for columns of
            numbers or a long legend, as ``layout="constrained"`` does.

        Returns
        -------
        display : ExampleWeightsDisplay or WeightHistoryDisplay
            With all numbers that are drawn.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn_l2rw import ExampleWeightsDisplay
        >>> display = ExampleWeightsDisplay.from_predictions([0, 1, 2], ["cat", "cat", "dog"])
        >>> display.means_
        array([0.5, 2. ])
        >>> plt.close(display.figure_)

        """
        numbers = as_weights(weights, cls._attribute)
        weighed = np.isfinite(np.atleast_2d(numbers)).any(axis=0)
        groups = as_groups(np.asarray(weighed), y, flipped, class_names)
        return cls._of_groups(
            [numbers[..., group.members] for group in groups],
            names=[group.name for group in groups],
            flipped=None if flipped is None else [bool(group.flipped) for group in groups],
        ).plot(ax)

    @classmethod
    @abstractmethod
    def _of_groups(cls, weights: list[NDArray[np.float64]], **groups: Any) -> Self:
        """Make the display of the weights of each group."""
