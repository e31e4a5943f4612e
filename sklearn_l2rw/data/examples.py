"""The one door through which examples come: X and y, and those of the clean set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import assert_all_finite
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import get_len
from skorch.utils import is_dataset
from torch import Tensor
from torch.utils.data import Dataset

from ..nested import leaves, map_leaves
from .arrays import as_inputs, stack_rows, to_numpy
from .chosen import Chosen, by_parts, chosen, is_mapped
from .held import held_targets
from .items import Listed
from .kinds import check_kind
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
    in_dataset : bool
        Whether X is a data set.
    """

    X: Any
    y: Any
    inputs: Any
    targets: NDArray[Any] | None
    n: int
    in_dataset: bool

    def take(self, rows: NDArray[Any]) -> Examples:
        """Some of the examples; of what is in a file, as a data set that does not copy them."""
        y, targets = (None if part is None else part[rows] for part in (self.y, self.targets))
        if not self.in_dataset and any(map(is_mapped, leaves(self.X))):
            X = take_rows(SkorchDataset(self.X, self.y), rows)
            inputs = map_leaves(lambda x: chosen(x, rows), self.X)
            return Examples(X, y, inputs, targets, len(rows), in_dataset=True)
        X = take_rows(self.X, rows)
        inputs = self.inputs if self.in_dataset else X
        return Examples(X, y, inputs, targets, len(rows), self.in_dataset)


def enter(
    X: Any, y: Any = None, *, tabular: bool = False, of_rows: bool = False, name: str = "X"
) -> Examples:
    """Convert what was given to arrays, once, and check that it is finite and of one length.

    Parameters
    ----------
    X, y : object
        What the user gave, or a data set and None.
    tabular : bool
        Whether X is to be a table: see `as_inputs`.
    of_rows : bool
        Whether a list of arrays is one of rows, and not of several inputs.
    name : str
        Of X, for error messages.
    """
    X = as_dataset(X)
    X = stack_rows(X) if of_rows else X
    y = None if y is None else to_numpy(y)
    in_dataset = bool(is_dataset(X))
    if in_dataset:
        inputs, targets = arrays_of(X) or (None, None)
        for x in () if inputs is None else leaves(inputs):
            check_kind(x, name)
        targets = y if targets is None else to_numpy(targets)
        if targets is None:
            targets = held_targets(X)
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
    return Examples(X, y, inputs, targets, n, in_dataset)


def as_dataset(X: Any) -> Any:
    """Return X, as a data set of torch's where it is one of Hugging Face's."""
    is_hub = hasattr(X, "column_names") and hasattr(X, "set_format") and hasattr(X, "__len__")
    return Listed(X) if is_hub and not isinstance(X, (Dataset, Mapping)) else X


def check_finite(X: Any, name: str) -> None:
    """Check that no floating array of X, which may hold several, has NaN or infinity."""

    def check(x: Any) -> None:
        if isinstance(x, Chosen):
            for part in (slice(None),) if sparse.issparse(x.array) else by_parts(x):
                check(x[part])
        elif isinstance(x, Tensor):
            parts = (x[part] for part in by_parts(x)) if x.ndim else (x,)  # it takes their size
            if x.is_floating_point() and not all(bool(torch.isfinite(p).all()) for p in parts):
                raise ValueError(f"Input {name} contains NaN or infinity.")
        elif sparse.issparse(x) or getattr(getattr(x, "dtype", None), "kind", "") in "fc":
            assert_all_finite(x, input_name=name)

    try:
        for x in leaves(X) if isinstance(X, (dict, list, tuple)) else (X,):
            check(x)
    except ValueError as error:
        raise ValueError(
            f"{error} Expected finite numbers. Impute or drop these rows, for instance with "
            "sklearn.impute.SimpleImputer in a Pipeline."
        ) from None


def n_rows(X: Any) -> int:
    """Count the examples of inputs or of a data set; one without a length has none to count."""
    if isinstance(X, Dataset):
        return len(X) if hasattr(X, "__len__") else 0
    try:
        return int(get_len(X))
    except ValueError:
        lengths = [len(x) for x in leaves(X) if hasattr(x, "__len__")]
        raise ValueError(
            f"Got X of several inputs with lengths {lengths}, but expected as many rows of each. "
            "Flat text with offsets is made by the collate function of a Dataset of texts: "
            "iterator_train__collate_fn, iterator_valid__collate_fn."
        ) from None


def check_length(y: Any, n: int) -> None:
    """Check that there are as many targets as rows, where the targets are known."""
    if y is not None and np.ndim(y) == 0:
        raise ValueError(
            f"Got y without a dimension, {y!r}, but expected one target for each of the rows of X."
        )
    if y is not None and n and len(y) != n:
        raise ValueError(
            f"X and y differ in length: got {n} rows in X and {len(y)} targets in y, but expected "
            "one target for each row."
        )


def check_not_empty(X: Any) -> None:
    """Check that there is something to train on."""
    if get_len(X) == 0:
        raise ValueError(
            "Got X with 0 samples (rows), but expected at least one. Check how it was selected."
        )
