"""Which examples are the clean set: given as they are, or taken out of the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ..nested import map_leaves
from .examples import Examples, as_dataset
from .kinds import refuse_masked

Mask = NDArray[np.bool_]

CLEAN_SET_FORMS = (
    "a pair (Xv, yv) of examples whose labels you trust, a torch Dataset of them, or a number or "
    "share of rows to split off from X"
)


class FitArguments(NamedTuple):
    """Arguments of `fit` beside X and y."""

    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    clean_mask: Any = None


def is_number(clean_set: Any) -> bool:
    """Tell a number or share of rows to split off from examples."""
    return isinstance(clean_set, Real) and not isinstance(clean_set, (bool, np.bool_))


def given_examples(clean_set: Any, arguments: FitArguments) -> Any:
    """Return the clean set where it is given as examples; None where it is to be split off.

    Raises
    ------
    ValueError
        If it is given in two ways, or if one of X_val and y_val is missing.

    """
    ways = {
        "clean_set": clean_set,
        "X_val, y_val": arguments.X_val if arguments.y_val is None else arguments.y_val,
        "clean_mask": arguments.clean_mask,
    }
    used = [name for name, value in ways.items() if value is not None]
    if len(used) > 1:
        raise ValueError(
            f"Got the clean set in {len(used)} ways, {' and '.join(used)}, but expected one of "
            "clean_set in the constructor, X_val and y_val in `fit`, or clean_mask in `fit`. "
            "Leave the others None."
        )
    if (arguments.X_val is None) != (arguments.y_val is None):
        got, lacking = ("X_val", "y_val") if arguments.y_val is None else ("y_val", "X_val")
        raise ValueError(
            f"Got {got} without {lacking}, but expected both, the examples and their labels."
        )
    if arguments.X_val is not None:
        return arguments.X_val, arguments.y_val
    given = clean_set if isinstance(clean_set, (tuple, list)) else as_dataset(clean_set)
    return None if is_number(clean_set) else given


def check_length_known(examples: Examples, arguments: FitArguments) -> None:
    """Check that nothing is given by row where X does not say how many rows it has."""
    by_row = {"sample_weight": arguments.sample_weight, "clean_mask": arguments.clean_mask}
    given = [name for name, value in by_row.items() if value is not None]
    if given and examples.in_dataset and not hasattr(examples.X, "__len__"):
        raise ValueError(
            f"Got {' and '.join(given)} with a {type(examples.X).__name__} that has no length, but "
            "expected a Dataset whose rows are numbered. Weigh the examples of a stream in the "
            "criterion, and give its clean examples as clean_set."
        )


def check_mask(clean_mask: Any, n_rows: int) -> Mask:
    """Check a mask of trusted rows: bool, one entry for each row, some True, some False."""
    refuse_masked(clean_mask, "clean_mask")
    mask = np.asarray(clean_mask)
    if mask.dtype != np.bool_:
        raise TypeError(
            f"Got a clean_mask of dtype {mask.dtype}, but expected bool, True for the rows that "
            "are trusted. From indices: mask = np.zeros(len(X), bool); mask[indices] = True."
        )
    if mask.shape != (n_rows,):
        raise ValueError(
            f"Got a clean_mask of shape {mask.shape}, but expected ({n_rows},), one entry for "
            "each row of X."
        )
    if not mask.any() or mask.all():
        some = "no row" if not mask.any() else "every row"
        raise ValueError(
            f"Got a clean_mask that trusts {some}, but expected some trusted rows, which become "
            "the clean set, and some others to train on."
        )
    return mask


def _number_of_rows(clean_set: Any, n_rows: int) -> int:
    if isinstance(clean_set, Integral):
        if clean_set < 1:
            raise ValueError(
                f"Got clean_set={clean_set}, but expected at least 1 row to split off."
            )
        return int(clean_set)
    if not 0 < clean_set < 1:
        raise ValueError(
            f"Got clean_set={clean_set}, but expected a share of the rows, between 0 and 1, or an "
            "int, their number."
        )
    return max(1, round(float(clean_set) * n_rows))


def check_some_of_each(clean: Mask, left: Mask) -> None:
    """Check that there are rows for the clean set, and rows left to train on."""
    if not clean.any() or not left.any():
        lacking = "trained on" if clean.any() else "trusted"
        raise ValueError(
            f"Got a sample_weight of 0 for all rows that are to be {lacking}, but expected some "
            "trusted rows and some others to count."
        )


def split_off(clean_set: Any, groups: NDArray[Any], seed: int) -> Mask:
    """Choose rows at random for the clean set, the same number (+-1) of each group.

    Parameters
    ----------
    clean_set : int or float
        How many rows, or which share of them.
    groups : ndarray of shape (n_rows,)
        The class of each row; a constant where there are none.
    seed : int
        Fixes the choice.

    """
    random = torch.Generator().manual_seed(seed)
    if len(groups) < 2:
        raise ValueError(
            f"Got clean_set={clean_set} with n_samples={len(groups)} rows to split, but expected "
            "at least one for the clean set and one to train on, and of a Dataset its length."
        )
    number = _number_of_rows(clean_set, len(groups))
    names, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if number < len(names):
        raise ValueError(
            f"Got clean_set={clean_set}, which is {number} of {len(groups)} rows, but there are "
            f"{len(names)} classes, and each should be in the clean set. Expected at least "
            f"{len(names)} rows."
        )
    share = np.full(len(names), number // len(names))
    share[np.argsort(-counts, kind="stable")[: number % len(names)]] += 1
    too_few = counts <= share
    if too_few.any():
        listed = ", ".join(
            f"{name!r} has {count} and would give {n}"
            for name, count, n in zip(
                names[too_few].tolist(), counts[too_few], share[too_few], strict=True
            )
        )
        raise ValueError(
            f"Got clean_set={clean_set}, which takes {number} rows, as many of each class, but "
            f"some classes have too few rows to keep one to train on: {listed}. Lower clean_set "
            f"(below {counts.min() * len(names)} rows), or give the clean examples themselves."
        )
    chosen = np.zeros(len(groups), dtype=bool)
    for code, n in enumerate(share):
        rows = np.flatnonzero(codes == code)
        chosen[rows[torch.randperm(len(rows), generator=random)[:n].numpy()]] = True
    return chosen


def check_clean_form(clean_set: Any) -> None:
    """Check that the clean set is a pair of examples and labels, or a data set with a length."""
    if clean_set is None:
        raise ValueError(
            f"Got clean_set=None, but L2RW learns its weights from a clean set. Set clean_set to "
            f"{CLEAN_SET_FORMS}; or give `fit` X_val and y_val, or clean_mask."
        )
    if isinstance(clean_set, Dataset) and hasattr(clean_set, "__len__"):
        check_clean_length(len(clean_set))
    elif isinstance(clean_set, Sequence) and not isinstance(clean_set, str):
        _check_pair(clean_set)
    else:
        lacks = " without a length" if isinstance(clean_set, Dataset) else ""
        raise TypeError(
            f"Got clean_set of type {type(clean_set).__name__}{lacks}, but expected "
            f"{CLEAN_SET_FORMS}."
        )


def _check_pair(clean_set: Sequence[Any]) -> None:
    if len(clean_set) and all(_is_example(item) for item in clean_set):
        raise TypeError(
            f"Got a clean_set of {len(clean_set)} pairs (x, y), one for each example, but expected "
            f"{CLEAN_SET_FORMS}. Join them: Xv, yv = (np.stack(part) for part in zip(*pairs))."
        )
    plural = "" if len(clean_set) == 1 else "s"
    if len(clean_set) != 2:
        raise ValueError(
            f"Got a clean_set of {len(clean_set)} element{plural}, but expected {CLEAN_SET_FORMS}."
        )
    X, y = clean_set
    if X is None or np.ndim(y) == 0:
        kinds = " and ".join("None" if x is None else type(x).__name__ for x in clean_set)
        raise TypeError(
            f"Got a clean_set of {kinds} for Xv and yv, but expected {CLEAN_SET_FORMS}."
        )


def _is_example(item: Any) -> bool:
    is_pair = isinstance(item, (tuple, list)) and len(item) == 2
    return is_pair and np.ndim(item[0]) > 0 and np.ndim(item[1]) == 0


def check_clean_lengths(n: int, y: Any) -> None:
    """Check that the clean set has some examples, and a label for each."""
    if len(y) != n:
        raise ValueError(
            f"Got a clean_set with {n} rows in Xv and {len(y)} labels in yv, but expected one "
            "label for each row."
        )
    check_clean_length(n)


def check_clean_length(n: int) -> None:
    """Check that the clean set has some examples."""
    if n == 0:
        raise ValueError(
            "Got an empty clean_set, but expected at least one example. A few for each class, "
            "whose labels were checked by hand, are enough to start with."
        )


def check_same_features(X: Any, X_clean: Any) -> None:
    """Check that rows of the clean set have the shapes of those of X."""
    expected, got = _row_shapes(X), _row_shapes(X_clean)
    if got != expected:
        raise ValueError(
            f"Got a clean_set whose rows have shape {got}, but those of X have shape {expected}. "
            "Apply the same preprocessing to both."
        )


def _row_shapes(X: Any) -> Any:
    """Shapes of the rows of X, as nested as X is; of a tokenizer's, which it pads, dimensions."""
    if isinstance(X, Mapping) and "input_ids" in X:
        return map_leaves(np.ndim, X)
    if isinstance(X, (dict, list, tuple)):
        return map_leaves(_row_shapes, X)
    return tuple(np.shape(X)[1:])
