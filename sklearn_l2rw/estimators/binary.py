"""The classifier for modules that return one logit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if
from skorch import NeuralNetBinaryClassifier
from skorch.utils import to_numpy
from torch import Tensor, nn

from ..targets.criteria import is_kind
from ..targets.labels import OneLogit
from ..training.calling import Calling
from .labelled import Labelled
from .mixin import L2RWMixin


class L2RWBinaryClassifier(Labelled, L2RWMixin, NeuralNetBinaryClassifier, Calling):
    r"""`L2RWClassifier` for two classes and a module that returns one logit for each example.

    A skorch ``NeuralNetBinaryClassifier`` with learned example weights: with
    :math:`f_i = \mathrm{BCE}(z_i, y_i)` of the logit :math:`z_i`, weights are those of
    :class:`L2RWClassifier`, whose parameters, notes and references apply here.

    Parameters
    ----------
    module : torch.nn.Module class or instance, default=None
        Returns logits of shape (n,) or (n, 1). None builds an :class:`MLP`.
    class_weight : dict, "balanced" or None, default=None
        See :class:`L2RWClassifier`.
    threshold : float, default=0.5
        Probability of the second class above which it is predicted, in [0, 1].
    **kwargs
        All other parameters of :class:`L2RWClassifier`; the criterion is BCEWithLogitsLoss.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The labels, sorted; the logit is that of the second.

    See Also
    --------
    L2RWClassifier : For any number of classes.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_l2rw import L2RWBinaryClassifier
    >>> X, y = make_blobs(200, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> net = L2RWBinaryClassifier(clean_set=10, random_state=0, verbose=0).fit(X, y)
    >>> net.score(X, y) > 0.9
    True

    """

    def __init__(
        self,
        module: Any = None,
        *,
        clean_set: Any = None,
        class_weight: Any = None,
        threshold: float = 0.5,
        lr: float = 0.5,
        max_epochs: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module, clean_set=clean_set, threshold=threshold, lr=lr, max_epochs=max_epochs, **kwargs
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _make_targets(self) -> OneLogit:
        return OneLogit(type(self).__name__, None, self.class_weight)

    def _returns_logits(self) -> bool:
        return is_kind(self.criterion, nn.BCEWithLogitsLoss)

    @available_if(_returns_logits)  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Logits of the second class; there are none where the criterion takes probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or what else skorch takes
            The examples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Above 0 where the second class is the likelier one.

        Examples
        --------
        >>> from sklearn.datasets import make_blobs
        >>> from torch import nn
        >>> from sklearn_l2rw import L2RWBinaryClassifier
        >>> X, y = make_blobs(200, centers=[[-2, 0], [2, 0]], random_state=0)
        >>> net = L2RWBinaryClassifier(nn.Linear(2, 1), clean_set=10, random_state=0, verbose=0)
        >>> (net.fit(X, y).decision_function([[-3, 0], [3, 0]]) > 0).tolist()
        [False, True]

        """
        output = self.forward(X)
        first: Tensor = output[0] if isinstance(output, tuple) else output
        return np.asarray(to_numpy(first).reshape(-1))

    def predict(self, X: Any) -> NDArray[Any]:
        """Class labels of examples, as they were given to `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or what else skorch takes
            The examples.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Labels.

        Examples
        --------
        >>> from sklearn.datasets import make_blobs
        >>> from torch import nn
        >>> from sklearn_l2rw import L2RWBinaryClassifier
        >>> X, y = make_blobs(200, centers=[[-2, 0], [2, 0]], random_state=0)
        >>> net = L2RWBinaryClassifier(nn.Linear(2, 1), clean_set=10, random_state=0, verbose=0)
        >>> net.fit(X, y).predict([[-3, 0], [3, 0]])
        array([0, 1])

        """
        probabilities = self.predict_proba(X)
        if probabilities.ndim != 2 or probabilities.shape[1] != 2:
            raise ValueError(
                f"Got probabilities of shape {probabilities.shape}, but expected a column for each "
                "class. Let predict_nonlinearity return both, of shape (n, 2), or set it to 'auto'."
            )
        return np.asarray(self.classes_[np.asarray(probabilities[:, 1] > self.threshold, int)])
