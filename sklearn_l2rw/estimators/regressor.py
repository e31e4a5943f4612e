"""The regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skorch import NeuralNetRegressor
from skorch.utils import to_numpy

from ..targets.numbers import Numbers
from .mixin import L2RWMixin


class L2RWRegressor(L2RWMixin, NeuralNetRegressor):
    r"""Regressor that learns, at every step, how much to trust each training example.

    A skorch ``NeuralNetRegressor`` with the weights of :class:`L2RWClassifier`: with
    :math:`f_i = (z_i - y_i)^2`, or the losses of any other criterion, examples get the weights
    that would most reduce the mean loss of the clean set. For targets some of which are wrong.

    Parameters
    ----------
    module : torch.nn.Module class or instance, default=None
        Returns predictions of shape (n,) or (n, n_targets). None builds an :class:`MLP`.
    lr : float, default=0.03
        Learning rate. Scale targets to a spread of about 1: gradients are clipped.
    max_epochs : int, default=50
        Passes over the training rows.
    **kwargs
        All other parameters of :class:`L2RWClassifier`, but for `class_weight` and `classes`. A
        number as `clean_set` is split off at random. The criterion is MSELoss. Inside of a
        :class:`~sklearn.compose.TransformedTargetRegressor`, which transforms y alone, use a
        number or a clean_mask.

    Attributes
    ----------
    n_outputs_ : int
        Number of targets of an example.

    See Also
    --------
    L2RWClassifier : Documents the parameters, `fit`, and the method.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_l2rw import L2RWRegressor
    >>> X = np.linspace(-2, 2, 200)[:, None]
    >>> y = X[:, 0].copy()
    >>> y[::4] = 3.0  # a quarter of the targets is wrong
    >>> trusted = np.arange(200) % 20 == 1
    >>> net = L2RWRegressor(random_state=0, verbose=0).fit(X, y, clean_mask=trusted)
    >>> bool(np.abs(net.predict(X) - X[:, 0]).mean() < 0.2)
    True

    """

    def __init__(
        self,
        module: Any = None,
        *,
        clean_set: Any = None,
        lr: float = 0.03,
        max_epochs: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, clean_set=clean_set, lr=lr, max_epochs=max_epochs, **kwargs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _make_targets(self) -> Numbers:
        return Numbers(type(self).__name__)

    @property
    def n_outputs_(self) -> int:
        """Number of targets of an example."""
        n_outputs: int | None = getattr(getattr(self, "targets_", None), "n_outputs", None)
        if n_outputs is None:
            raise AttributeError(f"{type(self).__name__} has no n_outputs_ before it is fitted.")
        return n_outputs

    @property
    def predict_proba(self) -> Any:
        """skorch's; a regressor has none in scikit-learn."""
        raise AttributeError(f"{type(self).__name__} has no predict_proba; use predict.")

    def predict(self, X: Any) -> NDArray[Any]:
        """Predicted targets of examples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or what else skorch takes
            The examples.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Shaped as the y that was given to `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_l2rw import L2RWRegressor
        >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
        >>> y = 2 * X[:, 0]
        >>> net = L2RWRegressor(clean_set=(X, y), max_epochs=20, random_state=0, verbose=0)
        >>> net.fit(X, y).predict([[0.5]]).round(1).tolist()
        [1.0]

        """
        outputs = [out[0] if isinstance(out, tuple) else out for out in self.forward_iter(X)]
        nonlinear = self._get_predict_nonlinearity()
        predicted = np.concatenate([to_numpy(nonlinear(out)) for out in outputs])
        if getattr(getattr(self, "targets_", None), "flat", False):
            return predicted.reshape(-1)
        return predicted.astype(np.float64)  # as scikit-learn's multi-output regressors
