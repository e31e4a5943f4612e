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


# Attributes of a fitted estimator, and what the dimensions of its weights are.
_SHAPES = {
    "example_weights_": "(n_samples,)",
    "example_values_": "(n_samples,)",
    "epoch_example_weights_": "(n_epochs, n_samples)",
}


def as_weights(weights: ArrayLike, attribute: str) -> NDArray[np.float64]:
    """Weights as floats: at least 0, NaN for rows that were never weighed, not all NaN.

    Values of rows may be negative.
    """
    array = to_numpy(weights).astype(np.float64)
    expected = _SHAPES[attribute]
    if array.ndim != expected.count("n_"):
        raise ValueError(
            f"Got weights of shape {array.shape}, but expected {expected}: the attribute "
            f"{attribute} of an estimator."
        )
    signed = attribute == "example_values_"
    if np.isinf(array).any() or (not signed and (array < 0).any()):
        raise ValueError(
            f"Got {'values that are' if signed else 'weights that are negative or'} infinite, but "
            f"expected {'finite numbers' if signed else 'numbers of at least 0'}, or NaN for rows "
            "that were never weighed."
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
) -> tuple[NDArray[np.intp], list[str]] | None:
    """Positions of the rows' labels among the sorted ones, and a name for each; None without y."""
    if y is None:
        if class_names is not None:
            raise ValueError(
                "Got class_names without y, but expected both. Give y, or no class_names."
            )
        return None
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
    """Weighed rows by class, by flipped, by both, or all in one; right labels before flipped ones.

    No group is empty.
    """
    n_samples = len(weighed)
    everything = np.zeros(n_samples, dtype=np.intp), ["all"]
    codes, names = as_classes(y, n_samples, class_names) or everything
    wrong = None if flipped is None else _as_flipped(flipped, n_samples)
    groups = [
        Group(name, state, weighed & (codes == i) & (state is None or wrong == state))
        for i, name in enumerate(names)
        for state in ([None] if wrong is None else [False, True])
    ]
    return [group for group in groups if group.members.any()]
