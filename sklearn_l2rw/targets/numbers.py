"""Targets that are numbers: of regression, one or several for each example."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_array
from torch import Tensor

from ..data.arrays import to_numpy
from ..data.likeness import difference
from .checks import agreed_number, check_n_outputs
from .targets import Targets

_RIGHT = 0.25  # share of y, at least, that is right: the rest may be wrong by any amount


class Numbers(Targets):
    """Targets of a regression."""

    reshapes = True

    #: Whether y has one dimension, as predictions then have.
    flat = False

    def learn(self, y: Any, *, in_dataset: bool, before: Any = None, classes: Any = None) -> Any:
        """Check targets, and learn how many an example has."""
        if y is None and not in_dataset:
            raise ValueError(
                f"Got y=None, but expected targets: {self.owner} requires y to be "
                "passed, but the target y is None."
            )
        if before is not None:
            self.n_outputs, self.flat = before.n_outputs, before.flat
        if y is None:
            return None
        y = _as_numbers(y, "y")
        n_outputs = _n_targets(y)
        if self.n_outputs not in (None, n_outputs):
            raise ValueError(
                f"Got y with {n_outputs} targets, but expected the {self.n_outputs} of the fit "
                "that is continued."
            )
        self.n_outputs, self.flat = n_outputs, y.ndim == 1
        return y

    def check_clean(self, y_clean: Any, y: Any) -> Any:
        """Check that the clean set has as many targets; warn where they are plainly not alike."""
        clean = _as_numbers(y_clean, "yv of the clean_set")
        n_targets = _n_targets(clean)
        if self.n_outputs not in (None, n_targets):
            raise ValueError(
                f"Got a clean_set with {n_targets} targets for each example, but y has "
                f"{self.n_outputs}. Expected the same for both."
            )
        if y is not None:
            warn_of_unlike_targets(y, clean)
        return clean

    def as_json(self) -> dict[str, Any]:
        """How many targets an example has, and whether y is flat."""
        return {"n_outputs": self.n_outputs, "flat": self.flat}

    def recall(self, found: Mapping[str, Any]) -> None:
        """Take in how many targets an example has."""
        known = self.n_outputs
        self.n_outputs = agreed_number(found["n_outputs"], known, "targets for each example")
        if known is None:
            self.flat = bool(found["flat"])

    def encode(self, y: Any) -> Tensor:
        """Targets as floats, of shape (n, n_targets)."""
        return as_columns(y)

    def check_output(self, outputs: Sequence[Any], criterion: Any) -> None:
        """Check that the module returns one number for each target."""
        check_n_outputs(outputs[0], self.n_outputs)
        self.n_outputs = outputs[0][0].numel()  # where a Dataset keeps targets to itself


def _n_targets(y: NDArray[Any]) -> int:
    return 1 if y.ndim == 1 else y.shape[1]


def _as_numbers(y: Any, name: str) -> NDArray[Any]:
    if y.dtype.kind in "OSUcmMV":
        try:
            y = np.asarray([] if y.dtype.kind in "cmMV" else y, dtype=np.float64).reshape(y.shape)
        except (ValueError, TypeError, OverflowError):
            raise ValueError(
                f"Got {name} of dtype {y.dtype}, not all of which are real numbers, but expected "
                "numbers. With labels of classes, use L2RWClassifier."
            ) from None
    return np.asarray(
        check_array(y, ensure_2d=False, dtype="numeric", input_name=name, ensure_min_samples=1)
    )


def as_columns(y: Any) -> Tensor:
    """Targets as floats of shape (n, n_targets); those of one example as (n_targets,)."""
    if not isinstance(y, Tensor):
        array = np.array(to_numpy(y))  # a copy: torch warns of arrays that cannot be written to
        y = array.astype(np.float64) if array.dtype.kind == "O" else array
    targets = torch.as_tensor(y)
    if not targets.is_floating_point():
        targets = targets.to(torch.get_default_dtype())
    return targets.unsqueeze(-1) if targets.ndim < 2 else targets


def warn_of_unlike_targets(y: NDArray[Any], y_clean: NDArray[Any]) -> None:
    """Warn where real targets of the clean set plainly do not look like those of y."""
    columns = (part.reshape(len(part), -1).T[..., None] for part in (y, y_clean))
    for column, clean in zip(*columns, strict=True):
        how = difference(column, clean, ("the values of y", "those in the clean set"), _RIGHT)
        if how is not None:
            warnings.warn(
                f"The targets of the clean set do not look like those of y: {how}. Was one of "
                "them scaled and the other not? Scale both alike. A TransformedTargetRegressor "
                "scales y alone: inside of it, give a number as clean_set, or a clean_mask.",
                UserWarning,
                stacklevel=2,
            )
            return
