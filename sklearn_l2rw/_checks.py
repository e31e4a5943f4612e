"""Checks of what the user gives, before training: what was got, what was expected, what to do."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import assert_all_finite, column_or_1d
from skorch.dataset import get_len
from skorch.utils import data_from_dataset, is_dataset
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.data import Dataset

from ._inputs import as_inputs
from ._labels import Encoder, as_labels
from ._plan import META_GRADIENTS
from ._rows import arrays_of
from ._tree import map_leaves

CLEAN_SET_FORMS = (
    "a pair (Xv, yv) of examples whose labels you trust, a torch Dataset of them, or a number or "
    "share of rows to split off from X"
)


def check_parameters(meta_gradient: Any, clean_batch_size: Any, record_weights: Any) -> None:
    """Check values of the constructor's parameters."""
    if not isinstance(record_weights, bool) and record_weights != "epochs":
        raise ValueError(
            f"Got record_weights={record_weights!r}, but expected True, False, or 'epochs'."
        )
    if meta_gradient not in META_GRADIENTS:
        raise ValueError(
            f"Got meta_gradient={meta_gradient!r}, but expected one of {list(META_GRADIENTS)}."
        )
    is_int = isinstance(clean_batch_size, Integral) and not isinstance(clean_batch_size, bool)
    if clean_batch_size is not None and not (is_int and clean_batch_size > 0):
        error = ValueError if is_int else TypeError
        raise error(
            f"Got clean_batch_size={clean_batch_size!r}, but expected a positive int, or None for "
            "the whole clean set up to batch_size."
        )


def check_copyable(module: nn.Module) -> None:
    """Check that torch can copy an instance of a module."""
    names = [name for name, buffer in module.named_buffers() if is_lazy(buffer)]
    if names:
        raise ValueError(
            f"Got a module instance of {type(module).__name__} with lazy buffers {names}, which "
            "torch cannot copy, but expected one that can be, since a module of yours is not "
            "altered. Give the class, module=MyNet, or pass one batch through the instance before."
        )


def check_finite(X: Any, name: str) -> None:
    """Check that no floating array of X, which may hold several, has NaN or infinity."""

    def check(x: Any) -> None:
        if isinstance(x, Tensor):
            if x.is_floating_point() and not bool(torch.isfinite(x).all()):
                raise ValueError(f"Input {name} contains NaN or infinity.")
        elif sparse.issparse(x) or getattr(getattr(x, "dtype", None), "kind", "") in "fc":
            assert_all_finite(x, input_name=name)

    try:
        map_leaves(check, X)
    except ValueError as error:
        raise ValueError(
            f"{error} Expected finite numbers. Impute or drop these rows, for instance with "
            "sklearn.impute.SimpleImputer in a Pipeline."
        ) from None


def _is_example(item: Any) -> bool:
    is_pair = isinstance(item, (tuple, list)) and len(item) == 2
    return is_pair and np.ndim(item[0]) > 0 and np.ndim(item[1]) == 0


def _pair_length(clean_set: Sequence[Any]) -> int:
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
    if X is None or np.ndim(as_labels(y)) == 0:
        kinds = " and ".join("None" if x is None else type(x).__name__ for x in clean_set)
        raise TypeError(
            f"Got a clean_set of {kinds} for Xv and yv, but expected {CLEAN_SET_FORMS}."
        )
    n, n_labels = int(get_len(as_inputs(X))), len(as_labels(y))
    if n != n_labels:
        raise ValueError(
            f"Got a clean_set with {n} rows in Xv and {n_labels} labels in yv, but expected one "
            "label for each row."
        )
    return n


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)  # NaN
    except TypeError:  # pandas.NA
        return True
    except ValueError:  # an array, which is no label
        return False


def check_labels(y: Any, name: str) -> NDArray[Any]:
    """Labels as an array of shape (n,), with no label missing."""
    labels = as_labels(y)
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
    labels = np.asarray(column_or_1d(labels, warn=True))
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name=name)
    return labels


def n_rows(X: Any) -> int:
    """Count the examples of inputs or of a data set; one without a length has none to count."""
    if isinstance(X, Dataset):
        return len(X) if hasattr(X, "__len__") else 0
    return int(get_len(X))


def in_memory(X: Any, y: Any, name: str = "X") -> tuple[Any, Any]:
    """Inputs and targets where they are held in memory, else None; inputs are checked."""
    inputs, targets = (arrays_of(X) or (None, None)) if is_dataset(X) else (X, y)
    targets = y if targets is None else targets
    if targets is None:
        with suppress(AttributeError):
            targets = data_from_dataset(X)[1]
    if inputs is not None:
        check_not_empty(inputs)
        check_finite(inputs, name)
    return inputs, None if targets is None else as_labels(targets)


def check_length(y: Any, n: int) -> None:
    """Check that there are as many targets as rows, where the targets are known."""
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


def check_clean_form(clean_set: Any) -> None:
    """Check that the clean set is a pair or a data set, is not empty, and its lengths agree."""
    if clean_set is None:
        raise ValueError(
            f"Got clean_set=None, but L2RW learns its weights from a clean set. Set clean_set to "
            f"{CLEAN_SET_FORMS}; or give `fit` X_val and y_val, or clean_mask."
        )
    if isinstance(clean_set, Dataset) and hasattr(clean_set, "__len__"):
        length = len(clean_set)
    elif isinstance(clean_set, Sequence) and not isinstance(clean_set, str):
        length = _pair_length(clean_set)
    else:
        lacks = " without a length" if isinstance(clean_set, Dataset) else ""
        raise TypeError(
            f"Got clean_set of type {type(clean_set).__name__}{lacks}, but expected "
            f"{CLEAN_SET_FORMS}."
        )
    if length == 0:
        raise ValueError(
            "Got an empty clean_set, but expected at least one example. A few for each class, "
            "whose labels were checked by hand, are enough to start with."
        )


def row_shapes(X: Any) -> Any:
    """Shapes of the rows of X, as nested as X is."""
    return map_leaves(lambda x: tuple(np.shape(x)[1:]), X)


def check_same_features(expected: Any, X_clean: Any) -> None:
    """Check that rows of the clean set have the shapes of those of X."""
    got = row_shapes(X_clean)
    if got != expected:
        raise ValueError(
            f"Got a clean_set whose rows have shape {got}, but those of X have shape {expected}. "
            "Apply the same preprocessing to both."
        )


def check_order_not_needed(fit_data: Any, training: bool) -> None:
    """Check that no weights of the user are to be applied where rows cannot be told apart."""
    if training and fit_data is not None and fit_data.prior is not None:
        raise ValueError(
            "Got sample_weight or class_weight with an iterator_train, an IterableDataset or a "
            "train_split that does not say which rows a batch has, but expected torch's DataLoader "
            "over a Dataset with a length, or a Subset of it. Weigh the examples in the criterion "
            "instead."
        )


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


def check_known(labels: Any, encoder: Encoder, name: str) -> None:
    """Check that labels are among the classes."""
    unknown = encoder.unknown(labels)
    if len(unknown):
        raise ValueError(
            f"Got labels {unknown.tolist()} in {name} that are not among the classes "
            f"{encoder.classes.tolist()} of y. Correct them, or name all classes with `classes` "
            "(a parameter of L2RWClassifier and of `partial_fit`). "
            "A meta-estimator that encodes y, such as VotingClassifier, does not encode a "
            "clean_set in the constructor: give it a number, or a clean_mask."
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


def _are_probabilities(output: Tensor) -> bool:
    if bool((output < 0).any()):
        return False
    return torch.allclose(output.sum(1), torch.ones_like(output[:, 0]), atol=1e-3)


def check_n_outputs(output: Any, n_outputs: int | None) -> None:
    """Check that the module returns one number for each target of an example."""
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if n_outputs is not None and (not isinstance(output, Tensor) or output[0].numel() != n_outputs):
        raise ValueError(
            f"The module returns an output of shape {shape}, but y has {n_outputs} "
            f"target{'s' * (n_outputs > 1)} for each example, so expected (n_examples, "
            f"{n_outputs}). Set the size of the module's last layer to that."
        )


def check_output(output: Any, criterion: nn.Module, n_classes: int) -> None:
    """Check that the module's output is what torch's classification criteria expect.

    Parameters
    ----------
    output : torch.Tensor of shape (n, n_outputs) or (n, n_outputs, ...)
        Of the module in evaluation mode.
    criterion : torch.nn.Module
        CrossEntropyLoss and NLLLoss are checked, others pass.
    n_classes : int
        Number of classes in y.

    """
    if not isinstance(criterion, (nn.CrossEntropyLoss, nn.NLLLoss)):
        return
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if not isinstance(output, Tensor) or output.ndim < 2 or output.shape[1] != n_classes:
        raise ValueError(
            f"The module returns an output of shape {shape}, but y has {n_classes} classes, so "
            f"expected (n_examples, {n_classes}). Set the size of the module's last layer to the "
            "number of classes, or name all classes with `classes`."
        )
    probabilities = _are_probabilities(output)
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
