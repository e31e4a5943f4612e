"""What a display is given, checked: recorded weights, labels, and the groups that they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.multiclass import type_of_target

from ..data.arrays import to_numpy
from ..targets.checks import check_labels


class Group(NamedTuple):
    """Examples that are shown together.

    ``name`` is that of their class, and ``flipped`` says whether their labels are wrong, or is
    None where that is not known.
    """

    name: str
    flipped: bool | None
    members: NDArray[np.bool_]


def as_weights(weights: ArrayLike, ndim: int) -> NDArray[np.float64]:
    """Weights as floats: at least 0, NaN for rows that were never weighed, not all NaN."""
    array = to_numpy(weights).astype(np.float64)
    if array.ndim != ndim:
        expected = "(n_samples,)" if ndim == 1 else "(n_epochs, n_samples)"
        raise ValueError(
            f"Got weights of shape {array.shape}, but expected {expected}: the attribute "
            f"{'example_weights_' if ndim == 1 else 'epoch_example_weights_'} of an estimator."
        )
    if np.isinf(array).any() or (array < 0).any():
        raise ValueError(
            "Got weights that are negative or infinite, but expected numbers of at least 0, or "
            "NaN for rows that were never weighed."
        )
    if np.isnan(array).all():
        raise ValueError(
            f"Got {array.size} weights that are all NaN, but expected some rows to have been "
            "weighed. Fit for at least one epoch."
        )
    return array


def check_rows(given: Any, n_samples: int, name: str) -> None:
    """Check that there is one entry for each weight."""
    if len(given) != n_samples:
        raise ValueError(
            f"Got {len(given)} rows in {name} and {n_samples} weights, but expected one each. "
            f"Give {name} of the rows that `fit` was given, in their order."
        )


def as_classes(
    y: Any, n_samples: int, class_names: Sequence[str] | None
) -> tuple[NDArray[np.intp], list[str]]:
    """Positions of the rows' labels among the sorted ones, and a name for each of these."""
    labels = check_labels(y, "y")
    check_rows(labels, n_samples, "y")
    if labels.dtype.kind == "f" and type_of_target(labels).startswith("continuous"):
        raise ValueError(
            "Got continuous numbers for y, but expected class labels. Group the rows, for "
            "instance with numpy.digitize, or give no y."
        )
    classes, codes = np.unique(labels, return_inverse=True)
    if class_names is None:
        return codes, [str(name) for name in classes]
    if isinstance(class_names, str) or len(class_names) != len(classes):
        got = repr(class_names) if isinstance(class_names, str) else f"{len(class_names)} names"
        raise ValueError(
            f"Got {got} for class_names, but y has {len(classes)} classes, so expected a list of "
            f"{len(classes)} names, in the order of the sorted labels {classes[:20].tolist()}."
        )
    names = [str(name) for name in class_names]
    if len(set(names)) < len(names):
        raise ValueError(f"Got class_names {names}, but expected each name to be there once.")
    return codes, names


def _as_flipped(flipped: Any, n_samples: int) -> NDArray[np.bool_]:
    array = to_numpy(flipped)
    if array.dtype.kind != "b" or array.ndim != 1:
        raise TypeError(
            f"Got flipped of dtype {array.dtype} and shape {array.shape}, but expected one bool "
            "for each row, True where the label is wrong: y != y_true."
        )
    check_rows(array, n_samples, "flipped")
    return array


def as_groups(
    weighed: NDArray[np.bool_], y: Any, flipped: Any, class_names: Sequence[str] | None
) -> list[Group]:
    """Groups of rows: by class, by flipped, by both, or all rows in one.

    Parameters
    ----------
    weighed : ndarray of bool of shape (n_samples,)
        Rows that have weights; the others are in no group.
    y : array-like of shape (n_samples,) or None
        Labels given to `fit`.
    flipped : array-like of bool of shape (n_samples,) or None
        Whether each label is wrong.
    class_names : sequence of str or None
        Names of the sorted labels.

    Returns
    -------
    groups : list of Group
        Sorted by class, and right labels before flipped ones. None is empty.

    """
    if y is None and class_names is not None:
        raise ValueError("Got class_names without y, but expected both. Give y, or no class_names.")
    codes, names = np.zeros(len(weighed), dtype=np.intp), ["all"]
    if y is not None:
        codes, names = as_classes(y, len(weighed), class_names)
    groups = [Group(name, None, weighed & (codes == i)) for i, name in enumerate(names)]
    if flipped is not None:
        wrong = _as_flipped(flipped, len(weighed))
        groups = [
            Group(name, state, members & (wrong == state))
            for name, _, members in groups
            for state in (False, True)
        ]
    return [group for group in groups if group.members.any()]
