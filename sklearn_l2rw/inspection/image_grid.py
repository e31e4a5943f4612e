"""The images of least and of greatest weight, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..data.arrays import to_numpy
from .axes import as_weight, grid_within
from .display import Display
from .fitted import recorded
from .groups import as_classes, as_weights, check_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

MAX_COLUMNS = 8
SHAPES = "(n, h, w), (n, 1, h, w), (n, 3, h, w), (n, h, w, 1) or (n, h, w, 3)"


@dataclass(kw_only=True, eq=False, repr=False)
class ExampleGridDisplay(Display):
    """The images that training trusted least and most, with their labels and weights.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    images : ndarray of shape (2, k, h, w) or (2, k, h, w, 3)
        The images of least weight, then those of greatest. Grey ones have any range; colours are
        in [0, 1].
    weights : ndarray of shape (2, k)
        Their weights, relative to uniform.
    labels : list of list of str, default=None
        Name of the label of each image, as nested as the weights. None where there are none.
    indices : ndarray of int of shape (2, k), default=None
        Rows of the images in what was given. From the least weight on, and from the greatest
        on; rows of equal weight are in the order in which they were given.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (2, k)
        The axes of each image.
    images_ : list of matplotlib AxesImage
        The images drawn, first those of least weight.
    figure_ : matplotlib Figure
        The figure of the axes.

    See Also
    --------
    ExampleWeightsDisplay : How the weights are distributed.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_l2rw import ExampleGridDisplay
    >>> digits = load_digits()
    >>> weights = [0.5, 0.0, 2.0, 1.0, 1.5]
    >>> display = ExampleGridDisplay.from_predictions(
    ...     weights, digits.images[:5], digits.target[:5], k=2
    ... )
    >>> display.indices
    array([[1, 0],
           [2, 4]])
    >>> plt.close(display.figure_)

    """

    images: NDArray[Any]
    weights: NDArray[np.float64]
    labels: list[list[str]] | None = None
    indices: NDArray[np.intp] | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        images: ArrayLike,
        y: ArrayLike | None = None,
        *,
        k: int = 8,
        class_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> ExampleGridDisplay:
        """Draw the images that an estimator trusted least and most.

        Parameters
        ----------
        estimator : estimator
            Fitted with ``record_weights`` on; or a pipeline that ends in one, or a fitted search.
        images, y, k, class_names, ax
            As :meth:`from_predictions` takes them: images and labels of the rows that `fit` was
            given, in the same order.

        Returns
        -------
        display : ExampleGridDisplay
            With all images and numbers that are drawn.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_l2rw import ExampleGridDisplay, L2RWClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> net = L2RWClassifier(clean_set=50, max_epochs=2, random_state=0, verbose=0).fit(X, y)
        >>> display = ExampleGridDisplay.from_estimator(net, X.reshape(-1, 8, 8), y, k=4)
        >>> display.indices.shape
        (2, 4)
        >>> plt.close(display.figure_)

        """
        weights = recorded(estimator, "example_weights_")
        return cls.from_predictions(weights, images, y, k=k, class_names=class_names, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        weights: ArrayLike,
        images: ArrayLike,
        y: ArrayLike | None = None,
        *,
        k: int = 8,
        class_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> ExampleGridDisplay:
        """Draw the images with the least and the greatest weights.

        Parameters
        ----------
        weights : array-like of shape (n_samples,)
            Weights of at least 0, relative to uniform: 1 is what uniform weighting would give.
            Rows whose weight is NaN were never weighed, and are left out.
        images : array-like of shape (n_samples, h, w)
            Images. May have a dimension of 1 or 3 colour channels besides, as the second or the
            last. Colours that are neither bytes nor in [0, 1] are scaled to fit, those of all
            images alike.
        y : array-like of shape (n_samples,), default=None
            Their labels, which are written above them.
        k : int, default=8
            Number of images of least weight, and of greatest.
        class_names : sequence of str of shape (n_classes,), default=None
            Names of the sorted labels. None stands for the labels themselves.
        ax : matplotlib Axes, default=None
            Axes whose place the images take. None makes a new figure.

        Returns
        -------
        display : ExampleGridDisplay
            With all images and numbers that are drawn.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_l2rw import ExampleGridDisplay
        >>> display = ExampleGridDisplay.from_predictions([2, 0, 1], load_digits().images[:3], k=1)
        >>> display.indices.tolist()  # the least weight, and the greatest
        [[1], [0]]
        >>> plt.close(display.figure_)

        """
        numbers = as_weights(weights, "example_weights_")
        pixels = to_numpy(images)
        check_rows(pixels, len(numbers), "images")
        indices = _extremes(numbers, k)
        labels, classes = None, as_classes(y, len(numbers), class_names)
        if classes is not None:
            codes, names = classes
            # A bare number above an image would leave open what it is.
            word = "label " if class_names is None and to_numpy(y).dtype.kind in "iuf" else ""
            labels = [[word + names[code] for code in row] for row in codes[indices]]
        chosen = _as_pixels(pixels, indices)
        return cls(images=chosen, weights=numbers[indices], labels=labels, indices=indices).plot(ax)

    def _draw(self, ax: Axes | None) -> None:
        k = self.weights.shape[1]
        columns = min(k, MAX_COLUMNS)
        rows = -(-k // columns)
        size = (0.6 + 1.15 * columns, 2 * rows * (1.25 if self.labels is None else 1.5))
        self.figure_, grid = grid_within(ax, (2 * rows, columns), size)
        panels = grid.subplots(squeeze=False).reshape(2, rows * columns)
        for spare in panels[:, k:].ravel():
            spare.remove()
        self.axes_ = panels[:, :k]
        self._draw_images()
        for first, name in zip(self.axes_[:, 0], ("least weight", "greatest weight"), strict=True):
            first.set_ylabel(name)

    def _draw_images(self) -> None:
        scale = {"cmap": "gray", "vmin": self.images.min(), "vmax": self.images.max()}
        self.images_: list[AxesImage] = []
        for row, i in np.ndindex(self.axes_.shape):
            panel: Any = self.axes_[row, i]
            self.images_.append(panel.imshow(self.images[row, i], **scale))
            panel.set(xticks=[], yticks=[])
            lines = [] if self.labels is None else [self.labels[row][i]]
            lines.append(f"weight {as_weight(float(self.weights[row, i]))}")
            panel.set_title("\n".join(lines), fontsize=9)


def _extremes(weights: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Rows of the k least and the k greatest weights, shape (2, k), without those that are NaN."""
    n_weighed = int((~np.isnan(weights)).sum())
    if not isinstance(k, Integral) or isinstance(k, bool):
        raise TypeError(f"Got k={k!r}, but expected a positive int.")
    if not 0 < 2 * k <= n_weighed:
        raise ValueError(
            f"Got k={k} and {n_weighed} rows with weights, but expected a k from 1 to "
            f"{n_weighed // 2}, so that no image is among both the least and the greatest."
        )
    least, most = (np.argsort(key, kind="stable")[:k] for key in (weights, -weights))
    return np.stack([least, most])


def _as_pixels(images: NDArray[Any], indices: NDArray[np.intp]) -> NDArray[Any]:
    """Chosen images, of shape (2, k, h, w), or (2, k, h, w, 3) with colours in [0, 1]."""
    pixels = images[..., None] if images.ndim == 3 else images
    if pixels.ndim == 4 and pixels.shape[3] not in (1, 3):
        pixels = np.moveaxis(pixels, 1, -1)
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
        raise ValueError(
            f"Got images of shape {images.shape}, but expected {SHAPES}. Reshape flat rows with "
            "X.reshape(-1, height, width)."
        )
    chosen = pixels[indices]
    return chosen[..., 0] if chosen.shape[-1] == 1 else _as_colors(chosen)


def _as_colors(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.dtype == np.uint8:
        return pixels / 255.0
    low, high = min(pixels.min(), 0), max(pixels.max(), 1)
    return np.asarray((pixels - low) / (high - low))
