"""The classifier for examples that have any number of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from skorch import NeuralNet
from torch import Tensor, nn

from ..targets.criteria import LOGITS_OF_LABELS, is_kind
from ..targets.indicators import Indicators
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

    def __init__(
        self,
        module: Any = None,
        *,
        clean_set: Any = None,
        criterion: Any = nn.BCEWithLogitsLoss,
        lr: float = 0.5,
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

    def _make_targets(self) -> Indicators:
        return Indicators(type(self).__name__)

    @property
    def classes_(self) -> NDArray[np.int64]:
        """Numbers of the columns of y."""
        if getattr(self, "targets_", None) is None or self.targets_.n_outputs is None:
            raise AttributeError(f"{type(self).__name__} has no classes_ before it is fitted.")
        return np.arange(self.targets_.n_outputs)

    def _get_predict_nonlinearity(self) -> Any:
        if self.predict_nonlinearity == "auto":  # skorch's is for one logit
            criterion = getattr(self, "criterion_", self.criterion)  # asked for before any fit
            takes_logits = is_kind(criterion, LOGITS_OF_LABELS)
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

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_l2rw import L2RWMultilabelClassifier
        >>> X = np.random.default_rng(0).normal(size=(300, 2))
        >>> Y = (X > 0).astype(int)
        >>> net = L2RWMultilabelClassifier(clean_set=(X[:50], Y[:50]), random_state=0, verbose=0)
        >>> net.fit(X[50:], Y[50:]).predict([[2, -2], [2, 2]])
        array([[1, 0],
               [1, 1]])

        """
        return np.asarray(self.predict_proba(X) > 0.5, dtype=np.int64)
