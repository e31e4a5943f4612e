"""The distribution of the values of rows, by class and by whether the label is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .axes import as_share
from .weights_display import ExampleWeightsDisplay

_LINEAR = 0.75  # quantile of the values' sizes up to which the axis is linear


@dataclass(kw_only=True, eq=False, repr=False)
class ExampleValuesDisplay(ExampleWeightsDisplay):
    """Distribution of the values of examples, by class and by whether the label is wrong.

    As :class:`ExampleWeightsDisplay`, which documents how groups are drawn, of the attribute
    `example_values_`: by how much each row would have lowered the clean loss. On the right are the
    number of examples, the share of them that did harm, and the mean value.

    Parameters
    ----------
    weights : list of ndarray of shape (n_members,)
        Values of each group, of any sign, none of them NaN. No group is empty.
    names : list of str
        Name of each group's class. Groups of one class are next to each other.
    flipped : list of bool, default=None
        Whether the labels of each group are wrong. None where that is not known.

    Attributes
    ----------
    harmful_shares_ : ndarray of shape (n_groups,)
        Share of each group whose value is below 0, in [0, 1].
    counts_, zero_shares_, means_, quantiles_, ax_, figure_, boxes_, dots_, texts_
        As in :class:`ExampleWeightsDisplay`, of values.

    See Also
    --------
    L2RWClassifier : Says what values are, and what they are not.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_l2rw import ExampleValuesDisplay
    >>> values = np.array([-0.1, 0.2, 0.3, 0.1, 0.4, -0.2])
    >>> y = ["cat", "cat", "cat", "dog", "dog", "dog"]
    >>> display = ExampleValuesDisplay.from_predictions(values, y)
    >>> display.harmful_shares_.round(2)
    array([0.33, 0.33])
    >>> plt.close(display.figure_)

    """

    _attribute = "example_values_"
    _neutral = 0.0
    _headers = ("n", "harmful", "mean")
    _label = "value of a row\n(above 0: it lowers the clean loss)"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.harmful_shares_ = np.array([np.mean(group < 0) for group in self.weights])

    def _scale(self) -> None:
        from matplotlib.ticker import MaxNLocator, ScalarFormatter

        sizes = np.abs(np.concatenate(self.weights))
        linear = float(np.quantile(sizes, _LINEAR)) or float(sizes.max()) or 1.0
        self.ax_.set_xscale("asinh", linear_width=linear)
        self.ax_.xaxis.set_major_locator(MaxNLocator(7))
        self.ax_.xaxis.set_major_formatter(ScalarFormatter())

    def _numbers(self) -> tuple[Iterable[str], Iterable[str]]:
        return map(as_share, self.harmful_shares_), (f"{mean:.2g}" for mean in self.means_)
