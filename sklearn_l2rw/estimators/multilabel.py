"""The classifier for examples that have any number of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import type_of_target
from skorch import NeuralNet
from skorch.utils import is_dataset
from torch import Tensor, nn

from ..targets.checks import check_n_outputs, warn_of_lacking
from ..targets.criteria import LOGITS_OF_LABELS, is_kind
from ..targets.numbers import as_columns, like_output
from .mixin import L2RWMixin


class L2RWMultilabelClassifier(L2RWMixin, ClassifierMixin, NeuralNet):
    r"""`L2RWClassifier` for examples that have any number of labels at once.

    The loss of an example is the mean over its labels of the binary cross entropy, and one weight
    is learned for each example; see :class:`L2RWClassifier` for parameters, `fit` and method.

    Parameters
    ----------
    module : torch.nn.Module class or instance, default=None
        Returns logits of shape (n, n_labels). None builds an :class:`MLP`.
    criterion : torch criterion, default=torch.nn.BCEWithLogitsLoss
        Of logits and targets, both of shape (n, n_labels), or of probabilities, such as
        BCELoss. One of your own on logits needs ``predict_nonlinearity=torch.sigmoid``.
    **kwargs
        All other parameters of :class:`L2RWClassifier`, but for `class_weight` and `classes`. A
        number as `clean_set` is split off at random.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        Numbers of the columns of y.

    See Also
    --------
    L2RWClassifier : For examples of one class.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn_l2rw import L2RWMultilabelClassifier
    >>> X, y = make_multilabel_classification(200, n_classes=3, random_state=0)
    >>> net = L2RWMultilabelClassifier(clean_set=20, random_state=0, verbose=0).fit(X, y)
    >>> net.predict(X[:5]).shape
    (5, 3)

    """

    classes_: NDArray[np.int64]

    def __init__(
        self,
        module: Any = None,
        *,
        clean_set: Any = None,
        criterion: Any = nn.BCEWithLogitsLoss,
        lr: float = 0.3,
        max_epochs: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module, clean_set=clean_set, criterion=criterion, lr=lr, max_epochs=max_epochs, **kwargs
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        tags.target_tags.single_output = False
        tags.target_tags.multi_output = True
        return tags

    def _check_targets(self, X: Any, targets: Any, *, keep: bool, classes: Any) -> Any:
        if targets is None and is_dataset(X):
            return None
        y = self._as_indicators(targets, "y")
        if keep and hasattr(self, "classes_") and len(self.classes_) != y.shape[1]:
            raise ValueError(
                f"Got y with {y.shape[1]} labels, but expected the {len(self.classes_)} of the "
                "fit that is continued."
            )
        self.classes_ = np.arange(y.shape[1])
        return y

    def _as_indicators(self, y: Any, name: str) -> NDArray[Any]:
        if y is None or np.ndim(y) != 2 or not np.isin(y, (0, 1)).all():
            got = "None" if y is None else f"{type_of_target(y)} of shape {np.shape(y)}"
            raise ValueError(
                f"Got {name}={got}, but expected an indicator matrix of shape (n_samples, "
                "n_labels) of 0 and 1, such as sklearn.preprocessing.MultiLabelBinarizer makes. "
                "With one label for each example, use L2RWClassifier."
            )
        return np.asarray(y)

    def _check_clean_targets(self, y_clean: Any, targets: Any) -> Any:
        y = self._as_indicators(y_clean, "yv of the clean_set")
        if targets is not None and y.shape[1] != targets.shape[1]:
            raise ValueError(
                f"Got a clean_set with {y.shape[1]} labels, but y has {targets.shape[1]}. Expected "
                "the same columns in both."
            )
        if targets is not None:
            present, clean = (np.flatnonzero((part == 1).any(0)) for part in (targets, y))
            warn_of_lacking(clean, present, "labels")
        return y

    def _n_outputs(self) -> int | None:
        return len(self.classes_) if hasattr(self, "classes_") else None

    def _encode(self, y: Any) -> Tensor:
        return as_columns(y)

    def _check_output(self, output: Any) -> None:
        check_n_outputs(output, self._n_outputs())

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        """Loss of logits; see :meth:`skorch.NeuralNet.get_loss`."""
        return super().get_loss(y_pred, like_output(y_true, y_pred), X=X, training=training)

    def _get_predict_nonlinearity(self) -> Any:
        if self.predict_nonlinearity == "auto":  # skorch's is for one logit
            takes_logits = is_kind(self.criterion_, LOGITS_OF_LABELS)
            return torch.sigmoid if takes_logits else self._probabilities
        return super()._get_predict_nonlinearity()

    def _probabilities(self, output: Tensor) -> Tensor:
        if bool(((output < 0) | (output > 1)).any()):
            raise ValueError(
                "The module's output is no probabilities (numbers in [0, 1]), but they are "
                f"expected with criterion {type(self.criterion_).__name__}. For logits, "
                "set_params(predict_nonlinearity=torch.sigmoid)."
            )
        return output

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels of examples: those whose probability is above one half.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or what else skorch takes
            The examples.

        Returns
        -------
        y_pred : ndarray of shape (n_samples, n_labels)
            1 for the labels that an example has, 0 for the others.

        """
        return np.asarray(self.predict_proba(X) > 0.5, dtype=np.int64)
