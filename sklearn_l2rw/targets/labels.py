"""One label for each example: users speak of labels, the loss of the codes 0 .. n_classes - 1.

Data sets hold labels. They become codes between the iterator and the loss, and nowhere else, so
whatever compares with y (scorers, splitters, callbacks) sees labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from ..data.arrays import to_numpy
from ..data.sample_weight import Weight
from .checks import check_classes, check_labels, check_output, warn_of_lacking
from .class_names import classes_as_json, classes_from_json
from .class_weight import with_class_weight
from .targets import Targets


class Encoder:
    """Codes of labels: the position of each in ``classes``, which are unique."""

    def __init__(self, classes: NDArray[Any]) -> None:
        self.classes = classes
        self._order = np.argsort(classes)
        self.identity = bool(
            classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes)))
        )

    def check(self, labels: NDArray[Any], name: str) -> None:
        """Check that labels are among the classes."""
        are_codes = self.identity and labels.dtype.kind in "iu" and labels.size
        if are_codes and labels.min() >= 0 and labels.max() < len(self.classes):
            return
        unknown = np.setdiff1d(labels, self.classes)
        if len(unknown):
            raise ValueError(
                f"Got labels {unknown.tolist()} in {name} that are not among the classes "
                f"{self.classes.tolist()} of y. Correct them, or name all classes with `classes` "
                "(a parameter of L2RWClassifier and of `partial_fit`). "
                "A meta-estimator that encodes y, such as VotingClassifier, does not encode a "
                "clean_set in the constructor: give it a number, or a clean_mask."
            )

    def encode(self, y: Any) -> Tensor:
        """Codes of known labels, int64, in the shape of y."""
        if self.identity and isinstance(y, Tensor):
            return y.to(torch.int64)
        labels = y if isinstance(y, np.ndarray) else to_numpy(y)
        if not self.identity:
            labels = self._order[np.searchsorted(self.classes, labels, sorter=self._order)]
        return torch.as_tensor(labels.astype(np.int64))

    def decode(self, codes: Any) -> NDArray[Any]:
        """Labels of integer codes."""
        return np.asarray(self.classes[to_numpy(codes).astype(np.int64)])


class Labels(Targets):
    """Labels of any kind, their classes and class weights.

    Parameters
    ----------
    owner : str
        Name of the estimator.
    named : array-like or None
        All classes, by the user's word; None to learn them from y.
    class_weight : dict, "balanced" or None
        What a class counts.
    """

    encoder: Encoder

    def __init__(self, owner: str, named: Any = None, class_weight: Any = None) -> None:
        super().__init__(owner)
        self.named = named
        self.class_weight = class_weight
        self.learned: NDArray[Any] | None = None

    @property
    def classes(self) -> NDArray[Any]:
        """Labels in the order of `predict_proba`'s columns."""
        if self.named is not None:
            return np.asarray(self.named)
        if self.learned is None:
            raise ValueError(
                "Got a Dataset whose labels cannot be read, but expected to learn the classes from "
                "them. Name all classes with `classes`, or pass y beside the Dataset."
            )
        return self.learned

    @property
    def n_outputs(self) -> int | None:  # type: ignore[override]
        """One number for each class."""
        return len(self.classes)

    def learn(self, y: Any, *, in_dataset: bool, before: Any = None, classes: Any = None) -> Any:
        """Check labels, and learn the classes."""
        if self.named is not None:
            check_classes(self.named)
        if y is None and not in_dataset:
            raise ValueError(
                f"Got y=None, but expected labels: {self.owner} requires y to be passed, "
                "but the target y is None."
            )
        self.learned = None if before is None else before.learned
        if y is not None:
            y = check_labels(y, "y")
            if self.learned is None:  # else labels have to be among those
                check_classification_targets(y)
        if classes is not None:
            self._learn_named(np.unique(check_labels(classes, "classes")))
        elif y is not None and self.learned is None:
            self.learned = np.unique(y)
        self._encode_classes()
        if y is not None:
            self.encoder.check(y, "y")
        return y

    def _encode_classes(self) -> None:
        self.encoder = Encoder(self.classes)
        self.decodes = not self.encoder.identity

    def _learn_named(self, classes: NDArray[Any]) -> None:
        if self.learned is not None and not np.array_equal(classes, self.classes):
            raise ValueError(
                f"Got classes={classes.tolist()}, but expected those of the first call of "
                f"`partial_fit`, {self.classes.tolist()}. Leave classes out, or call `fit`."
            )
        self.learned = classes

    def check_clean(self, y_clean: Any, y: Any) -> Any:
        """Check that labels of the clean set are among the classes; warn of classes it lacks."""
        y_clean = check_labels(y_clean, "yv of the clean_set", warn=False)
        self.encoder.check(y_clean, "the clean_set")
        warn_of_lacking(y_clean, self.classes if y is None else y)
        return y_clean

    def check_masked(self, y: Any, trained: NDArray[np.bool_]) -> None:
        """Check that each class has a row that is trained on."""
        lost = np.setdiff1d(y, y[trained])
        if len(lost) and self.named is None:
            raise ValueError(
                f"Got labels {lost.tolist()} in rows of the clean_mask that are not among the "
                f"classes {np.unique(y[trained]).tolist()} of the rows to train on. Leave a row "
                "of each class unmasked, or name all classes with `classes`."
            )

    def groups(self, y: Any, counts: NDArray[np.bool_]) -> NDArray[Any]:
        """Labels of the rows that count."""
        if y is None:
            raise ValueError(
                "Got a number as clean_set with a Dataset whose labels cannot be read, but "
                "expected labels in memory to choose as many rows of each class. Pass y beside "
                "the Dataset, a clean_mask, or the clean examples themselves."
            )
        return np.asarray(y[counts])

    def weight(self, sample_weight: Weight | None, y: Any) -> Weight | None:
        """Multiply weights of examples by those of their classes."""
        if self.class_weight is None:
            return sample_weight
        return with_class_weight(sample_weight, self.class_weight, y, self.classes)

    def classes_of(self, y: Any) -> NDArray[Any] | None:
        """Return the labels."""
        return None if y is None else np.asarray(y)

    def as_json(self) -> dict[str, Any]:
        """Return the classes, in their order."""
        return {"classes": classes_as_json(self.classes)}

    def recall(self, found: Mapping[str, Any]) -> None:
        """Take in the classes, in their order, which is that of the module's outputs."""
        classes = classes_from_json(found["classes"])
        if self.named is None and self.learned is None:
            self.learned = classes
        elif not np.array_equal(classes, self.classes):
            raise ValueError(
                f"Got a file for the classes {classes.tolist()}, but expected those of this "
                f"estimator, {self.classes.tolist()}, in this order. Load it into a new estimator, "
                "whose `classes` are those, or None."
            )
        self._encode_classes()

    def encode(self, y: Any) -> Tensor:
        """Codes of labels that are among the classes, of shape (n,) where these are a column."""
        codes = self.encoder.encode(y)
        return codes.squeeze(1) if codes.ndim == 2 and codes.shape[1] == 1 else codes

    def encode_checked(self, y: Any) -> Tensor:
        """Codes of labels, after a look whether they are among the classes."""
        source = "a Dataset (X, the clean_set, a train_split)"
        self.encoder.check(np.atleast_1d(to_numpy(y)), source)
        return self.encode(y)

    def encode_item(self, y: Any) -> Tensor:
        """Code of one label, which may come as an array of one."""
        codes = self.encode_checked(y)
        return codes.reshape(()) if codes.numel() == 1 else codes

    def decode(self, codes: Any) -> Any:
        """Labels of codes."""
        return self.encoder.decode(codes)

    def placeholder(self, y: Any) -> Tensor:
        """Codes, for a loss outside of a fit; of labels that are no classes -1, which has none."""
        labels = to_numpy(y)
        known = np.isin(labels, self.classes) if hasattr(self, "encoder") else np.zeros(())
        if not known.all():
            return torch.full(labels.shape, -1)
        return self.encode(y)

    def check_output(self, outputs: Sequence[Any], criterion: Any) -> None:
        """Check that the module returns what the criterion expects for each class."""
        check_output(outputs, criterion, len(self.classes))


class OneLogit(Labels):
    """Labels of two classes, for a module that returns the logit of the second."""

    reshapes = True

    n_outputs = 1

    def learn(self, y: Any, *, in_dataset: bool, before: Any = None, classes: Any = None) -> Any:
        """Check labels, and that there are two classes."""
        y = super().learn(y, in_dataset=in_dataset, before=before, classes=classes)
        self._check_two()
        return y

    def recall(self, found: Mapping[str, Any]) -> None:
        """Take in the classes, which are two."""
        super().recall(found)
        self._check_two()

    def _check_two(self) -> None:
        n = len(self.classes)
        if n != 2:
            raise ValueError(
                f"Only binary classification is supported: got y with {n} class"
                f"{'es' * (n > 1)}, {self.classes.tolist()[:10]}, but expected 2. Use "
                "L2RWClassifier for more. If the other class comes later, name both with `classes` "
                "of `partial_fit`."
            )

    def check_output(self, outputs: Sequence[Any], criterion: Any) -> None:
        """Nothing: skorch checks the shape of a logit itself."""
