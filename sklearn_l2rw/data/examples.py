"""The one door through which examples come: X and y, and those of the clean set."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from numpy.typing import NDArray
from skorch.utils import data_from_dataset, is_dataset

from .arrays import to_numpy
from .checks import check_finite, check_length, check_not_empty, n_rows
from .inputs import as_inputs
from .rows import arrays_of, take_rows


class Examples(NamedTuple):
    """Examples that have come in.

    Attributes
    ----------
    X : object
        Arrays that torch can take, or a data set.
    y : ndarray or None
        What was given as y beside it.
    inputs : object
        Arrays of X; None where a data set keeps them to itself.
    targets : ndarray or None
        Targets, where they are held in memory.
    n : int
        How many; 0 where a data set has no length.
    """

    X: Any
    y: Any
    inputs: Any
    targets: NDArray[Any] | None
    n: int

    @property
    def in_dataset(self) -> bool:
        """Whether X is a data set."""
        return bool(is_dataset(self.X))

    def take(self, rows: NDArray[Any]) -> Examples:
        """Some of the examples; all of them are these themselves."""
        if len(rows) == self.n:
            return self
        X, y, inputs, targets = (
            None if part is None else take_rows(part, rows) for part in self[:4]
        )
        return Examples(X, y, X if not self.in_dataset else inputs, targets, len(rows))


def enter(X: Any, y: Any = None, *, tabular: bool = False, name: str = "X") -> Examples:
    """Convert what was given to arrays, once, and check that it is finite and of one length.

    Parameters
    ----------
    X, y : object
        What the user gave, or a data set and None.
    tabular : bool
        Whether X is to be a table: see `as_inputs`.
    name : str
        Of X, for error messages.
    """
    y = None if y is None else to_numpy(y)
    if is_dataset(X):
        inputs, targets = arrays_of(X) or (None, None)
        targets = y if targets is None else to_numpy(targets)
        if targets is None:
            with suppress(AttributeError):
                targets = data_from_dataset(X)[1]
                targets = None if targets is None else to_numpy(targets)
    else:
        X = inputs = as_inputs(X, tabular=tabular)
        targets = y
    n = n_rows(X)
    if inputs is not None:
        if name == "X":
            check_not_empty(inputs)
        check_finite(inputs, name)
    if name == "X":
        check_length(targets, n)
    return Examples(X, y, inputs, targets, n)
