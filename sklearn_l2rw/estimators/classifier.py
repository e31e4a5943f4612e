"""The classifier: what a scikit-learn user meets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if
from skorch import NeuralNetClassifier
from skorch.utils import to_numpy
from torch import nn

from ..meta_gradient.parameters import MetaParameters
from ..targets.criteria import is_kind
from .labelled import Labelled
from .mixin import L2RWMixin


class L2RWClassifier(Labelled, L2RWMixin, NeuralNetClassifier):
    r"""Classifier that learns, at every step, how much to trust each training example.

    A skorch :class:`~skorch.NeuralNetClassifier` that, in each batch, gives examples the weights
    that would most reduce the loss on a *clean set*, a small set whose labels are right and whose
    classes are balanced [1]_. For training data with wrong labels, with rare classes, or both.

    With per-example losses :math:`f_i` of a batch and the mean loss :math:`L` of a clean batch,

    .. math::

        w_i = \frac{\max(u_i / s_i, 0)}{\sum_j \max(u_j / s_j, 0)}, \qquad
        u_i = \langle \nabla f_i(\theta), \nabla L(\theta) \rangle,

    and the step is taken on :math:`\sum_i w_i f_i + \lambda L`. An example whose gradient points
    against that of the clean set gets weight 0. The net that predicts has the mean of the
    parameters over about the last half of all steps.

    With ``**ALGORITHM_1`` as parameters it is Algorithm 1 of the paper, to the letter: there
    :math:`\lambda = 0`, :math:`s_i = 1`, and nothing is averaged.

    Parameters
    ----------
    module : torch.nn.Module class or instance, default=None
        The network. With the default criterion it returns logits, of shape (n, n_classes), or a
        dict, dataclass or ``ModelOutput`` that has them as ``logits``, which are what criterion,
        predictions and callbacks get; of a tuple they get the first. A given instance is copied,
        not trained; what is frozen in it takes memory once one of the two is written, or at once
        where it lies in a file that weights were loaded from: then give a function that makes the
        module. If the class (or function) has parameters named ``n_features``, ``n_outputs`` or
        ``n_classes`` without a default, they get their values from the data, unless
        ``module__n_features`` and so on are set. None builds an :class:`MLP`, for tables.

    clean_set : (Xv, yv), torch.utils.data.Dataset, int or float, default=None
        Trusted examples: inputs of the same form as X, and one label each, of the same kind as y.
        Every class should be in it. From a Dataset that is not a ``TensorDataset`` or skorch's
        own, items are read anew at each draw, since they may be augmented at random. They go
        through ``iterator_train__collate_fn``, as do rows of X.

        An int is a number of rows, and a float below 1 a share of them, that `fit` splits off
        X and y, as many of each class: for rare classes whose labels are right. With None, `fit`
        is given X_val and y_val, or a clean_mask.

    clean_batch_size : int or None, default=None
        Number of clean examples in a clean batch. None stands for `batch_size`. A clean set that
        is no larger is the clean batch of every step.

    meta_gradient : str, default="auto"
        How :math:`u_i` is computed: ``"auto"``, or one of ``"merged"``, ``"layerwise"``,
        ``"forward"``, ``"dual_numbers"``, ``"double_backward"``, ``"per_example"`` and
        ``"finite_difference"``; see :func:`example_weights`. ``"auto"`` takes the fastest that is
        right for the module, and another where the module computes something else. It does not
        change the weights beyond rounding.

    meta_parameters : None, str, list of str or callable, default=None
        Parameters of the module that the meta-gradient is taken over, None being all of them; see
        :func:`example_weights`. ``"last"``, the last layer alone, makes a step cheaper.

    clean_loss_weight : float, default=0.3
        :math:`\lambda`, what the clean loss counts in the loss that the step is on; at least 0.
        With 0, as in the paper, clean examples weigh the others and are not trained on.

    scale_slopes : bool, default=True
        Whether slopes are divided by :math:`s_i`, the norm of the gradient of :math:`f_i` at the
        module's output (:math:`\lVert p_i - e_{y_i} \rVert` for cross entropy; of probabilities,
        at their logits). Then weights follow the direction of an example's gradient and not its
        length, which is largest where labels are wrong. False is the paper's.

    warm_up : int, default=0
        Number of epochs, from the first one on, in which all rows count alike: what a net learns
        first is not yet the wrong labels, and uses all rows. Worth half of the epochs where a net
        is far from having learned the training data by heart at the end; it costs where it is not,
        and classes are rare.

    average : float or None, default=0.5
        Share of all steps, above 0 and below 1, over whose last ones the parameters are averaged,
        which takes out the noise of steps that few examples carry: a running mean, whose weights
        grow as :math:`t^{2 / a - 2}` with the step t. `module_` has it outside of training epochs,
        so that `predict`, validation and callbacks see it; `partial_fit` goes on from the
        parameters of the last step, unless `module_` was given others meanwhile, by a checkpoint
        or a callback: then from these, with a new mean. A `fit` from scratch on data that can be
        gone through again makes the statistics of batch normalization anew; else they are averaged.
        None predicts with the last step's parameters, as in the paper.

    max_grad_norm : float or None, default=1.0
        Bound on the norm of a step's gradient, which is scaled down to it. None is the paper's
        bare update. A ``GradientNormClipping`` among your callbacks takes its place.

    class_weight : dict, "balanced" or None, default=None
        What a class counts, {label: weight}. Multiplies the loss of the class's examples, of the
        training set and of the clean set. ``"balanced"`` is inversely proportional to the
        frequencies in each of the two.

    random_state : int, RandomState instance or None, default=None
        Seeds the module's initialisation, shuffling, dropout, the clean batches and the rows
        that a number as `clean_set` splits off, and leaves
        torch's global generators as they were. With None they are in charge, so that
        ``torch.manual_seed`` works as it does in skorch.

    record_weights : bool or "epochs", default=True
        Whether `example_weights_` and `example_values_` are kept; with ``"epochs"``,
        `epoch_example_weights_` too, which takes n_epochs times the memory.

    criterion : torch criterion (class or instance), default=torch.nn.CrossEntropyLoss
        Any with a ``reduction``. With NLLLoss the module is to return probabilities, as in skorch.
        Other criteria that take logits need a ``predict_nonlinearity``, for `predict_proba` to
        return probabilities.

    lr : float, default=0.5
        Learning rate. With the default clipping of gradients, no step of SGD is longer than that.

    max_epochs : int, default=50
        Passes over the training rows.

    train_split : callable or None, default=None
        skorch's split into data to train on and data to report a validation score on. None trains
        on all of X: the rare classes are rare enough.

    iterator_train__shuffle : bool, default=True
        Whether the training rows are shuffled in every epoch. Weights compare the examples of one
        batch, which ought to be a fair sample.

    **kwargs
        All other parameters of :class:`skorch.NeuralNetClassifier`: ``batch_size``,
        ``optimizer`` (SGD), ``device``, ``callbacks``, ``classes``, ``module__*``,
        ``optimizer__*`` and so on.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of ``classes``; sorted where that is None.

    n_features_in_ : int
        Number of columns of X, if that is two-dimensional.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns of X, if they are strings.

    clean_set_ : (Xv, yv) or torch.utils.data.Dataset
        The clean set in use, however it was given.

    example_weights_ : ndarray of shape (n_samples,)
        Learned weight of each row that was given to the last call of `fit` or `partial_fit`, in
        its order: the mean over the steps, relative to uniform. 1 is what it would be without the
        method, 0 means that the row was never listened to, and NaN that it was not trained on,
        being trusted, split off, held back by ``train_split``, or of sample weight 0. Missing
        where batches do not say which rows they have, as those of an IterableDataset, or of a
        ``collate_fn`` that changes the order.

    epoch_example_weights_ : ndarray of shape (n_epochs, n_samples)
        The same for each epoch.

    example_values_ : ndarray of shape (n_samples,)
        Value of each of these rows for the clean set, in units of the clean loss: the sum over
        the steps of the learning rate (of the first parameter group), the row's share of the
        batch, and its slope :math:`u_i`. To first order, by how much a step of SGD on the plain
        mean loss would have lowered the clean loss thanks to the row, from where training was:
        first-order In-Run Data Shapley [2]_. Negative for a row that did harm. Values of rows add
        up, and depend on the others and on the course of training; that a row is worth little may
        mean that there are many like it.

    clean_indices_ : ndarray of shape (n_clean,)
        Rows of X that the clean set was taken from, by a clean_mask or a number, in the call that
        took it. With a number, later calls of `partial_fit` keep that clean set and train on all
        their rows.

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
    skorch.NeuralNetClassifier : The parent, which documents all other parameters.
    reweighted_backward : The same step, for a training loop of your own.

    Notes
    -----
    Slopes and weights are exact, however they are computed.

    It trains in several processes as a subclass with skorch's ``AccelerateMixin``, which shares
    the rows out among them: ``class Net(AccelerateMixin, L2RWClassifier)``. Each step is that of
    one process on the batch of all; see docs/several_processes.md.

    References
    ----------
    .. [1] M. Ren, W. Zeng, B. Yang, R. Urtasun. Learning to Reweight Examples for Robust Deep
       Learning. ICML 2018. https://arxiv.org/abs/1803.09050
    .. [2] J. T. Wang, P. Mittal, D. Song, R. Jia. Data Shapley in One Training Run. ICLR 2025.
       https://arxiv.org/abs/2406.11011

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_l2rw import L2RWClassifier
    >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> X_clean, y_clean, X_test, y_test = X[:10], y[:10], X[200:], y[200:]
    >>> X, y = X[10:200], y[10:200].copy()
    >>> y[::3] = 1 - y[::3]  # a third of the labels is wrong
    >>> net = L2RWClassifier(clean_set=(X_clean, y_clean), random_state=0, verbose=0).fit(X, y)
    >>> net.score(X_test, y_test) > 0.9
    True

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
        class_weight: Any = None,
        random_state: Any = None,
        record_weights: bool | str = True,
        criterion: Any = nn.CrossEntropyLoss,
        lr: float = 0.5,
        max_epochs: int = 50,
        train_split: Any = None,
        iterator_train__shuffle: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            clean_set=clean_set,
            clean_batch_size=clean_batch_size,
            meta_gradient=meta_gradient,
            meta_parameters=meta_parameters,
            clean_loss_weight=clean_loss_weight,
            scale_slopes=scale_slopes,
            warm_up=warm_up,
            average=average,
            max_grad_norm=max_grad_norm,
            random_state=random_state,
            record_weights=record_weights,
            criterion=criterion,
            lr=lr,
            max_epochs=max_epochs,
            train_split=train_split,
            iterator_train__shuffle=iterator_train__shuffle,
            **kwargs,
        )
        self.class_weight = class_weight

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

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_l2rw import L2RWClassifier
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> names = y.map({0: "setosa", 1: "versicolor", 2: "virginica"})
        >>> net = L2RWClassifier(clean_set=15, max_epochs=5, random_state=0, verbose=0)
        >>> net.fit(X, names).predict(X[:2])
        array(['setosa', 'setosa'], dtype=object)

        """
        codes = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[codes])

    def _returns_logits(self) -> bool:
        return is_kind(self.criterion, nn.CrossEntropyLoss)

    @available_if(_returns_logits)  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Logits of examples; there are none where the criterion is not CrossEntropyLoss.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or what else skorch takes
            The examples.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            The module's output; with two classes, by how much the second logit exceeds the first.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_l2rw import L2RWClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = L2RWClassifier(clean_set=15, max_epochs=5, random_state=0, verbose=0)
        >>> net.fit(X, y).decision_function(X[:2]).argmax(axis=1)
        array([0, 0])

        """
        output = self.forward(X)
        scores = to_numpy(output[0] if isinstance(output, tuple) else output)
        return np.asarray(scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores)
