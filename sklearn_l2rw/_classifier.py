"""The classifier: what a scikit-learn user meets."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from skorch import NeuralNetClassifier
from skorch.callbacks import GradientNormClipping
from skorch.dataset import unpack_data
from skorch.utils import data_from_dataset, is_dataset
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from ._checks import (
    check_finite,
    check_known,
    check_labels,
    check_not_empty,
    check_output,
    check_same_features,
    row_shapes,
    warn_of_lacking,
)
from ._inputs import as_inputs
from ._labels import Encoder, as_labels
from ._mixin import L2RWMixin
from ._parameters import MetaParameters
from ._rows import Encoded, arrays_of
from ._state import no_trace
from ._tree import own

_DECODED = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class L2RWClassifier(L2RWMixin, NeuralNetClassifier):
    r"""Classifier that learns, at every step, how much to trust each training example.

    A skorch :class:`~skorch.NeuralNetClassifier` whose training step is Algorithm 1 of [1]_: in
    each batch, examples get the weights that would most reduce the loss on a *clean set*, a small
    set whose labels are right and whose classes are balanced. For training data with wrong
    labels, with rare classes, or both.

    With per-example losses :math:`f_i` of a batch and the mean loss :math:`L` of a clean batch,

    .. math::

        w_i = \frac{\max(u_i, 0)}{\sum_j \max(u_j, 0)}, \qquad
        u_i = \langle \nabla f_i(\theta), \nabla L(\theta) \rangle,

    and the step is taken on :math:`\sum_i w_i f_i`. An example whose gradient points against
    that of the clean set gets weight 0.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        The network. With the default criterion it returns logits, of shape (n, n_classes). A
        given instance is copied, not trained.

    clean_set : (Xv, yv) or torch.utils.data.Dataset
        Trusted examples: inputs of the same form as X, and one label each, of the same kind as y.
        Every class should be in it. From a Dataset that is not a ``TensorDataset`` or skorch's
        own, items are read anew at each draw, since they may be augmented at random.

    clean_batch_size : int or None, default=None
        Number of clean examples in a clean batch. None stands for `batch_size`. A clean set that
        is no larger is the clean batch of every step.

    meta_gradient : {"auto", "forward", "double_backward", "finite_difference"}, default="auto"
        How :math:`u_i` is computed; see :func:`example_weights`. The choice of ``"auto"`` is made
        once a fit and does not change the weights beyond rounding, unless it has to fall back to
        finite differences.

    meta_parameters : None, str, list of str or callable, default=None
        Parameters of the module that the meta-gradient is taken over, None being all of them; see
        :func:`example_weights`. ``"last"``, the last layer alone, makes a step cheaper.

    random_state : int, RandomState instance or None, default=None
        Seeds the module's initialisation, shuffling, dropout and the clean batches, and leaves
        torch's global generators as they were. With None they are in charge, so that
        ``torch.manual_seed`` works as it does in skorch.

    criterion : torch criterion (class or instance), default=torch.nn.CrossEntropyLoss
        Any with a ``reduction``. With NLLLoss the module is to return probabilities, as in skorch.

    train_split : callable or None, default=None
        skorch's split into data to train on and data to report a validation score on. None trains
        on all of X: the rare classes are rare enough.

    iterator_train__shuffle : bool, default=True
        Whether the training rows are shuffled in every epoch. Weights compare the examples of one
        batch, which ought to be a fair sample.

    **kwargs
        All other parameters of :class:`skorch.NeuralNetClassifier`: ``lr``, ``max_epochs``,
        ``batch_size``, ``optimizer``, ``device``, ``callbacks``, ``classes``, ``module__*``,
        ``optimizer__*`` and so on.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    meta_gradient_ : str
        The way that was chosen to compute the meta-gradient.

    history : skorch.history.History
        Beside skorch's keys, each batch and epoch has ``clean_loss``, ``zero_weights`` (share of
        examples with weight 0), ``effective_sample_size`` (:math:`(\sum w)^2 / \sum w^2`, in
        examples) and ``zero_batches`` (batches whose weights are all 0).

    module_, criterion_, optimizer_, callbacks_
        As in skorch.

    See Also
    --------
    example_weights : The weights of one batch, for a training loop of your own.
    skorch.NeuralNetClassifier : The parent, which documents all other parameters.

    Notes
    -----
    The weights are exact. The update is not the paper's in one respect: since few examples may
    carry a batch, its gradient's norm is clipped at 1, by skorch's ``GradientNormClipping`` under
    the name ``gradient_clipping``, which keeps training stable over a wide range of learning
    rates. ``callbacks__gradient_clipping=None`` gives the paper's bare update, and
    ``callbacks__gradient_clipping__gradient_clip_value=C`` another bound.

    References
    ----------
    .. [1] M. Ren, W. Zeng, B. Yang, R. Urtasun. Learning to Reweight Examples for Robust Deep
       Learning. ICML 2018. https://arxiv.org/abs/1803.09050

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_l2rw import L2RWClassifier
    >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> X_clean, y_clean, X_test, y_test = X[:10], y[:10], X[200:], y[200:]
    >>> X, y = X[10:200], y[10:200].copy()
    >>> y[::3] = 1 - y[::3]  # a third of the labels is wrong
    >>> class Linear(torch.nn.Linear):
    ...     def __init__(self):
    ...         super().__init__(2, 2)
    >>> net = L2RWClassifier(
    ...     Linear, clean_set=(X_clean, y_clean), lr=0.1, random_state=0, verbose=0
    ... ).fit(X, y)
    >>> net.score(X_test, y_test) > 0.9
    True

    """

    def __init__(
        self,
        module: Any,
        *,
        clean_set: Any = None,
        clean_batch_size: int | None = None,
        meta_gradient: str = "auto",
        meta_parameters: MetaParameters = None,
        random_state: Any = None,
        criterion: Any = nn.CrossEntropyLoss,
        train_split: Any = None,
        iterator_train__shuffle: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            criterion=criterion,
            train_split=train_split,
            iterator_train__shuffle=iterator_train__shuffle,
            **kwargs,
        )
        self.clean_set = clean_set
        self.clean_batch_size = clean_batch_size
        self.meta_gradient = meta_gradient
        self.meta_parameters = meta_parameters
        self.random_state = random_state

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        *scores, log = super()._default_callbacks
        return [
            *scores,
            ("gradient_clipping", GradientNormClipping(1.0)),
            log,
        ]

    # -- labels -----------------------------------------------------------------------------

    def check_data(self, X: Any, y: Any) -> None:
        """Check that there are targets; the classes are known by now (see `fit`)."""
        if not hasattr(self, "classes_inferred_"):
            super().check_data(X, y)

    def _encode(self, y: Any) -> Tensor:
        if not getattr(self, "fitting_", False):  # y plays no part in prediction
            return torch.zeros(np.shape(y), dtype=torch.int64)
        return self.encoder_.encode(y)

    def _encoded(self, dataset: Any) -> Any:
        if not getattr(self, "fitting_", False) or isinstance(dataset, IterableDataset):
            return dataset
        return Encoded(dataset, self._encode_known)

    def _encode_known(self, y: Any) -> Tensor:
        check_known(np.atleast_1d(as_labels(y)), self.encoder_, "a Dataset (X or the clean_set)")
        return self.encoder_.encode(y)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a callback method; callbacks see labels where the loss sees codes."""
        if method_name in _DECODED and not self.encoder_.identity:
            X, codes = unpack_data(cb_kwargs["batch"])
            cb_kwargs["batch"] = X, self.encoder_.decode(codes)
        super().notify(method_name, **cb_kwargs)

    def predict(self, X: Any) -> NDArray[Any]:
        """Class labels of examples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or what else skorch takes
            The examples.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Labels, as they were given to `fit`.

        """
        codes = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[codes])

    # -- checks -----------------------------------------------------------------------------

    def _check_fit(self, X: Any, y: Any, *, keep: bool) -> tuple[Any, Any]:
        if not is_dataset(X):
            X = as_inputs(X)
            if y is None:
                raise ValueError("Got y=None, but expected labels: requires y to be passed.")
        inputs, labels = _inputs_and_labels(X, y)
        if labels is not None:
            labels = check_labels(labels, "y")
            check_classification_targets(labels)
            if not (keep and hasattr(self, "classes_inferred_")):
                self.classes_inferred_ = np.unique(labels)
        self.encoder_ = Encoder(self.classes_)
        if labels is not None:
            check_known(labels, self.encoder_, "y")
        self._check_clean(inputs, self.classes_ if labels is None else labels)
        return X, y if is_dataset(X) else labels

    def _check_clean(self, inputs: Any, labels: NDArray[Any]) -> None:
        """Check the clean set against X and y, as far as both are held in memory."""
        if is_dataset(self.clean_set):
            X_clean, y_clean = _inputs_and_labels(self.clean_set, None, "X of the clean_set")
        else:
            X_clean, y_clean = _inputs_and_labels(
                as_inputs(self.clean_set[0]), self.clean_set[1], "X of the clean_set"
            )
        if inputs is not None and X_clean is not None:
            check_same_features(row_shapes(inputs), X_clean)
        if y_clean is not None:
            y_clean = check_labels(y_clean, "yv of the clean_set")
            check_known(y_clean, self.encoder_, "the clean_set")
            warn_of_lacking(y_clean, labels)

    def _check_clean_batch(self, batch: Any) -> None:
        X, _ = batch
        self._set_training(False)
        with torch.no_grad(), no_trace(self.module_):
            output = self.infer(own(X))
        first = output[0] if isinstance(output, tuple) else output
        check_output(first, self.criterion_, len(self.classes_))

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Make a data set of X and y; see :meth:`skorch.NeuralNet.get_dataset`."""
        if is_dataset(X):
            return super().get_dataset(X, y)
        return super().get_dataset(as_inputs(X), None if y is None else as_labels(y))


def _inputs_and_labels(X: Any, y: Any, name: str = "X") -> tuple[Any, Any]:
    """Inputs and labels where they are held in memory, else None; inputs are checked."""
    inputs, labels = (arrays_of(X) or (None, None)) if is_dataset(X) else (X, y)
    labels = y if labels is None else labels
    if labels is None:
        with suppress(AttributeError):
            labels = data_from_dataset(X)[1]
    if inputs is not None:
        check_not_empty(inputs)
        check_finite(inputs, name)
    return inputs, None if labels is None else as_labels(labels)
