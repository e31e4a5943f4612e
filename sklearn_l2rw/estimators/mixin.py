"""The method as a mixin, for any skorch net."""

from __future__ import annotations

from typing import Any

from ..meta_gradient.parameters import MetaParameters
from ..training.fit import Fitting
from ..training.iterate import Iterating
from ..training.resuming import Resuming
from ..training.step import Stepping
from .files import Saving
from .pickles import Pickled
from .scikit_learn import ScikitLearnAPI


class L2RWMixin(ScikitLearnAPI, Saving, Pickled, Resuming, Fitting, Iterating, Stepping):
    """Gives any skorch NeuralNet subclass the training step of L2RW.

    To be placed before the NeuralNet class. A criterion with a ``reduction``, or one that returns
    a loss for each example, is needed; targets are passed to it as they are.

    Parameters
    ----------
    module, clean_set, clean_batch_size, meta_gradient, meta_parameters, clean_loss_weight, \
scale_slopes, warm_up, average, max_grad_norm, random_state, record_weights, train_split, \
iterator_train__shuffle
        As in :class:`L2RWClassifier`.
    **kwargs
        All other parameters of the NeuralNet class.

    See Also
    --------
    L2RWClassifier : Documents parameters, attributes and method.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skorch import NeuralNet
    >>> from sklearn_l2rw import L2RWMixin
    >>> class Net(L2RWMixin, NeuralNet):
    ...     pass
    >>> X = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    >>> net = Net(
    ...     torch.nn.Linear, module__in_features=2, module__out_features=2,
    ...     criterion=torch.nn.MSELoss, clean_set=(X[:10], X[:10]), verbose=0,
    ... )
    >>> net.fit(X[10:], X[10:]).predict(X).shape
    (60, 2)

    """

    def __init__(
        self,
        module: Any = None,
        *,
        clean_set: Any = None,
        clean_batch_size: int | None = None,
        meta_gradient: str = "auto",
        meta_parameters: MetaParameters = None,
        clean_loss_weight: float = 0.3,
        scale_slopes: bool = True,
        warm_up: int = 0,
        average: float | None = 0.5,
        max_grad_norm: float | None = 1.0,
        random_state: Any = None,
        record_weights: bool | str = True,
        train_split: Any = None,
        iterator_train__shuffle: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            train_split=train_split,
            iterator_train__shuffle=iterator_train__shuffle,
            **kwargs,
        )
        self.clean_set = clean_set
        self.clean_batch_size = clean_batch_size
        self.meta_gradient = meta_gradient
        self.meta_parameters = meta_parameters
        self.clean_loss_weight = clean_loss_weight
        self.scale_slopes = scale_slopes
        self.warm_up = warm_up
        self.average = average
        self.max_grad_norm = max_grad_norm
        self.random_state = random_state
        self.record_weights = record_weights
