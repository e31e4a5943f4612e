"""Any number of labels for each example, as a matrix of 0 and 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import type_of_target
from torch import Tensor

from .checks import agreed_number, check_n_outputs, warn_of_lacking
from .numbers import as_columns
from .targets import Targets


class Indicators(Targets):
    """A column for each label: 1 for the examples that have it."""

    reshapes = True

    def learn(self, y: Any, *, in_dataset: bool, before: Any = None, classes: Any = None) -> Any:
        """Check indicators, and learn how many labels there are."""
        if y is None and in_dataset:
            self.n_outputs = None if before is None else before.n_outputs
            return None
        if y is None:
            raise ValueError(
                f"Got y=None, but expected an indicator matrix: {self.owner} requires y to be "
                "passed, but the target y is None."
            )
        y = _as_indicators(y, "y")
        if before is not None and before.n_outputs not in (None, y.shape[1]):
            raise ValueError(
                f"Got y with {y.shape[1]} labels, but expected the {before.n_outputs} of the "
                "fit that is continued."
            )
        self.n_outputs = y.shape[1]
        return y

    def check_clean(self, y_clean: Any, y: Any) -> Any:
        """Check that the clean set has the same labels; warn of those that no example has."""
        clean = _as_indicators(y_clean, "yv of the clean_set")
        if y is None:
            self.n_outputs = self.n_outputs or clean.shape[1]
            return clean
        if clean.shape[1] != y.shape[1]:
            raise ValueError(
                f"Got a clean_set with {clean.shape[1]} labels, but y has {y.shape[1]}. Expected "
                "the same columns in both."
            )
        present, trusted = (np.flatnonzero((part == 1).any(0)) for part in (y, clean))
        warn_of_lacking(trusted, present, "labels")
        return clean

    def as_json(self) -> dict[str, Any]:
        """How many labels there are."""
        return {"n_outputs": self.n_outputs}

    def recall(self, found: Mapping[str, Any]) -> None:
        """Take in how many labels there are."""
        self.n_outputs = agreed_number(found["n_outputs"], self.n_outputs, "labels")

    def encode(self, y: Any) -> Tensor:
        """Indicators as floats."""
        return as_columns(y)

    def check_output(self, outputs: Sequence[Any], criterion: Any) -> None:
        """Check that the module returns one number for each label."""
        check_n_outputs(outputs[0], self.n_outputs)
        self.n_outputs = outputs[0][0].numel()  # where a Dataset keeps targets to itself


def _as_indicators(y: Any, name: str) -> NDArray[Any]:
    if y is None or np.ndim(y) != 2 or not np.isin(y, (0, 1)).all():
        with np.errstate(invalid="ignore"):  # it casts infinity
            got = "None" if y is None else f"{type_of_target(y)} of shape {np.shape(y)}"
        raise ValueError(
            f"Got {name}={got}, but expected an indicator matrix of shape (n_samples, "
            "n_labels) of 0 and 1, such as sklearn.preprocessing.MultiLabelBinarizer makes. "
            "With one label for each example, use L2RWClassifier."
        )
    return np.asarray(y)
