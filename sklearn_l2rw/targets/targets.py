"""What y means to an estimator, and what its loss gets: here, y as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, as_tensor

from ..data.arrays import to_numpy
from ..data.sample_weight import Weight


class Targets:
    """What a fit has learned of y, and every use that an estimator makes of it.

    Here targets go to the loss as they are, for nets of any kind. Others override what they know
    more of.

    Parameters
    ----------
    owner : str
        Name of the estimator, for error messages.
    """

    #: Numbers that the module is to return for an example; None while unknown.
    n_outputs: int | None = None

    def __init__(self, owner: str) -> None:
        self.owner = owner

    def learn(self, y: Any, *, in_dataset: bool, before: Any = None, classes: Any = None) -> Any:
        """Check the targets of a fit, and learn from them.

        Parameters
        ----------
        y : object
            Targets, as an array; None where a Dataset keeps them to itself.
        in_dataset : bool
            Whether X is a Dataset, which may have them.
        before : Targets or None
            What was learned by the fit that is continued.
        classes : array-like or None
            All labels there are, as `partial_fit` is told.

        Returns
        -------
        y : ndarray or None
            Checked.
        """
        return None if y is None else to_numpy(y)

    def check_clean(self, y_clean: Any, y: Any) -> Any:
        """Check the targets of the clean set against those of the training rows."""
        return y_clean

    def check_masked(self, y: Any, trained: NDArray[np.bool_]) -> None:
        """Check the targets of rows that a mask takes away, given those that are trained on."""

    def groups(self, y: Any, counts: NDArray[np.bool_]) -> NDArray[Any]:
        """Groups that a split-off clean set is to be balanced over: one for each row."""
        return np.zeros(int(counts.sum()), dtype=int)

    def weight(self, sample_weight: Weight | None, y: Any) -> Weight | None:
        """What each example counts, by the user's word."""
        return sample_weight

    def classes_of(self, y: Any) -> NDArray[Any] | None:
        """Class of each row; None where there are none."""
        return None

    # -- what a file holds --------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """What predictions need of it, as JSON has it."""
        return {}

    def recall(self, found: Mapping[str, Any]) -> None:
        """Take in what `as_json` made, which has to agree with what is known."""

    # -- what the loss gets -----------------------------------------------------------------

    def encode(self, y: Any) -> Tensor:
        """Targets as the loss expects them."""
        return as_tensor(y)

    def encode_checked(self, y: Any) -> Tensor:
        """Encode targets that were not checked before, as those of a Dataset."""
        return self.encode(y)

    def encode_item(self, y: Any) -> Tensor:
        """Encode the target of one example of a Dataset that is asked item by item."""
        return self.encode_checked(y)

    #: Whether `decode` changes anything.
    decodes = False

    def decode(self, codes: Any) -> Any:
        """Targets as the user has them."""
        return codes

    def placeholder(self, y: Any) -> Tensor:
        """Stand for y where it plays no part, as in prediction."""
        return self.encode(y)

    #: Whether the loss is to get targets `like_output`.
    reshapes = False

    def like_output(self, y_true: Tensor, output: Tensor) -> Tensor:
        """Targets in the shape and precision of the output.

        Without it a loss would broadcast targets (n, 1) and outputs (n,) to (n, n).
        """
        if y_true.numel() == output.numel():
            y_true = y_true.reshape(output.shape)
        return y_true.to(output.dtype)

    def check_output(self, outputs: Sequence[Any], criterion: Any) -> None:
        """Check what the module returns for a batch, at its parameters and near them."""
