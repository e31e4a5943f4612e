"""Checks of labels, and of what a module returns for them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from torch import Tensor, nn

from ..data.arrays import to_numpy

_KINDS = "biufUSO"  # of arrays that scikit-learn takes as they are


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)  # NaN
    except TypeError:  # pandas.NA
        return True
    except ValueError:  # an array, which is no label
        return False


def check_labels(y: Any, name: str, *, warn: bool = True) -> NDArray[Any]:
    """Labels as an array of shape (n,), with no label missing; `warn` of a column of them."""
    labels = y if isinstance(y, np.ndarray) else to_numpy(y)
    if labels.dtype.kind == "O":
        n_missing = sum(_is_missing(label) for label in labels.flat)
        if n_missing:
            raise ValueError(
                f"Input contains NaN: got {name} with {n_missing} of {labels.size} labels missing "
                "(NaN or None), but expected a label for each row. Drop these rows."
            )
    if labels.ndim != 1 and not (labels.ndim == 2 and labels.shape[1] == 1):
        raise ValueError(
            f"Got {name} of shape {labels.shape}, but expected one label for each row: y should be "
            "a 1d array. Multilabel and multioutput targets are not supported. "
            "L2RWMultilabelClassifier takes indicator matrices."
        )
    _check_kind(labels, name)
    if labels.ndim == 2 or labels.dtype.kind not in _KINDS:
        labels = np.asarray(column_or_1d(labels, warn=warn))
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name=name)
    return labels


def _check_kind(labels: NDArray[Any], name: str) -> None:
    """Check that labels are such that can be told apart and sorted."""
    if labels.dtype.kind in "cV":
        data = "Complex data not supported: g" if labels.dtype.kind == "c" else "G"
        raise ValueError(
            f"{data}ot {name} of dtype {labels.dtype}, but expected labels: numbers, text or "
            "booleans."
        )
    try:
        if labels.dtype.kind == "O":
            np.unique(labels)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in labels.flat})
        raise TypeError(
            f"Got {name} with labels of type {' and '.join(kinds)}, which cannot be sorted, but "
            "expected labels of one kind. Make text of them: [str(label) for label in y]."
        ) from None


def check_classes(classes: Any) -> None:
    """Check that the classes that the user names are different ones."""
    if classes is None:
        return
    labels = check_labels(classes, "classes")
    names, counts = np.unique(labels, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"Got classes={labels.tolist()} with {names[counts > 1].tolist()} more than once, but "
            "expected each label once. Remove the duplicates."
        )


def warn_of_lacking(y_clean: Any, y: Any, noun: str = "classes") -> None:
    """Warn of classes (or labels) of y that the clean set lacks."""
    lacking = np.setdiff1d(np.asarray(y), np.asarray(y_clean))
    if len(lacking):
        warnings.warn(
            f"The clean_set has no example of the {noun} {lacking.tolist()}: training learns to "
            "ignore them, because no weight on them reduces the clean loss. Add at least one "
            "clean example of each.",
            UserWarning,
            stacklevel=2,
        )


def _are_probabilities(outputs: Sequence[Tensor]) -> bool:
    """Whether rows are so near the parameters too; logits may be by chance, as of a zero layer."""
    return all(
        bool((output >= 0).all())
        and torch.allclose(output.sum(1), torch.ones_like(output[:, 0]), atol=1e-3)
        for output in outputs
    )


def check_n_outputs(output: Any, n_outputs: int | None) -> None:
    """Check that the module returns one number for each target of an example."""
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if n_outputs is not None and (not isinstance(output, Tensor) or output[0].numel() != n_outputs):
        raise ValueError(
            f"The module returns an output of shape {shape}, but y has {n_outputs} "
            f"target{'s' * (n_outputs > 1)} for each example, so expected (n_examples, "
            f"{n_outputs}). Set the size of the module's last layer to that."
        )


def agreed_number(found: Any, known: int | None, of_what: str) -> int | None:
    """Return a number that a file has, None for an unknown one, if it agrees with what is known."""
    if found is not None and (not isinstance(found, int) or found < 1):
        raise ValueError(f"{found!r} is no number of {of_what}")
    if None not in (found, known) and found != known:
        raise ValueError(
            f"Got a file for {found} {of_what}, but expected {known}, as this estimator has. Load "
            "it into a new estimator."
        )
    return known if found is None else found


def check_output(outputs: Sequence[Any], criterion: nn.Module, n_classes: int) -> None:
    """Check that the module's output is what torch's classification criteria expect.

    Parameters
    ----------
    outputs : sequence of torch.Tensor of shape (n, n_outputs) or (n, n_outputs, ...)
        Of the module in evaluation mode, at its parameters and near them.
    criterion : torch.nn.Module
        CrossEntropyLoss and NLLLoss are checked, others pass.
    n_classes : int
        Number of classes in y.

    """
    if not isinstance(criterion, (nn.CrossEntropyLoss, nn.NLLLoss)):
        return
    output = outputs[0]
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if not isinstance(output, Tensor) or output.ndim < 2 or output.shape[1] != n_classes:
        raise ValueError(
            f"The module returns an output of shape {shape}, but y has {n_classes} classes, so "
            f"expected (n_examples, {n_classes}). Set the size of the module's last layer to the "
            "number of classes, or name all classes with `classes`."
        )
    probabilities = _are_probabilities(outputs)
    if isinstance(criterion, nn.NLLLoss) and not probabilities:
        raise ValueError(
            "The module's output is no probabilities (rows in [0, 1] that sum to 1), but with "
            "NLLLoss skorch expects them, and takes their logarithm itself. Use "
            "criterion=torch.nn.CrossEntropyLoss for logits or log-probabilities, or end the "
            "module with a softmax."
        )
    if isinstance(criterion, nn.CrossEntropyLoss) and probabilities and n_classes > 1:
        raise ValueError(
            "The module's output is probabilities, but CrossEntropyLoss expects logits, and would "
            "apply a second softmax. Remove the module's last softmax, or use "
            "criterion=torch.nn.NLLLoss."
        )
