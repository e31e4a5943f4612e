"""From what the user gives to `fit` to what is trained on: rows, weights, the clean set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skorch.utils import is_dataset

from ..data.arrays import to_numpy
from ..data.checks import (
    check_clean_form,
    check_finite,
    check_length,
    check_not_empty,
    check_same_features,
    in_memory,
    n_rows,
    row_shapes,
)
from ..data.clean_sources import (
    FitArguments,
    Mask,
    check_mask,
    check_some_of_each,
    given_examples,
    is_number,
    split_off,
)
from ..data.features import check_features, check_names, warn_of_unlike
from ..data.inputs import as_inputs, stack_rows
from ..data.rows import take_rows
from ..data.sample_weight import Prior, check_sample_weight, mean_one
from ..data.tracking import Positions
from .checks import check_parameters
from .random import seeded
from .rollback import rollback

WHILE_FITTING = (
    "reweighting_",
    "epoch_log_",
    "fit_data_",
    "loader_",
    "weight_record_",
    "health_check_",
)


class FitData(NamedTuple):
    """What a fit is about, while it lasts.

    ``rows`` are the positions, among the ``n_rows`` that were given, of those that are trained
    on. ``prior`` and ``clean_prior`` are what each of these and each clean example counts, None
    for all the same. ``base`` is the data set of the rows, before it is split. ``targets`` are
    those of the rows, None where a data set keeps them to itself.
    """

    n_rows: int
    rows: Positions
    prior: NDArray[np.float32] | None
    clean_prior: NDArray[np.float32] | None
    base: Any
    targets: Any


class Fitting:
    """`fit` and `partial_fit`: all or nothing, on generators of their own."""

    clean_set: Any
    random_state: Any

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        clean_mask: Any = None,
        **fit_params: Any,
    ) -> Any:
        """Train on X and y, with weights learned from the clean set.

        A failed fit leaves the estimator as it was.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or what else skorch takes
            The examples: arrays, data frames, lists, CSR matrices, tensors of any shape, a dict
            or list of such for modules with several inputs, or a torch Dataset.
        y : array-like of shape (n_samples,), default=None
            Their labels or targets. None where X is a Dataset that has them.
        sample_weight : array-like of shape (n_samples,), default=None
            What each example counts, at least 0. The example's loss is multiplied by it: 2 is the
            same as having it in the batch twice, 0 takes it out. Learned weights multiply it.
        X_val, y_val : array-like, default=None
            The clean set. In a Pipeline with ``transform_input=["X_val"]``, X_val goes through
            the fitted steps before.
        clean_mask : array-like of bool of shape (n_samples,), default=None
            True for the rows that are trusted: these are the clean set, and the others are
            trained on.
        **fit_params : dict
            Passed on to the module's ``forward``, as in skorch.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If the clean set is missing, given in two ways, or does not go with X and y; if data
            are not finite; if lengths differ. All before the first step.

        """
        net: Any = self
        keep = bool(net.warm_start and net.initialized_)
        arguments = FitArguments(sample_weight, X_val, y_val, clean_mask)
        with self._fitting(keep=keep):
            X, y = self._prepare(X, y, arguments, keep=keep, reuse=False)
            return super().fit(X, y, **fit_params)  # type: ignore[misc]

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        clean_mask: Any = None,
        **fit_params: Any,
    ) -> Any:
        """Go on training, for ``max_epochs`` epochs, where the last fit stopped.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, clean_mask, **fit_params
            As in `fit`. Where no clean set is given, or a number of rows, that of the call before
            is used on.
        classes : array-like of shape (n_classes,), default=None
            All labels that y may ever have, in the first call. None takes those of the first y.

        Returns
        -------
        self : object
            The fitted estimator.

        """
        net: Any = self
        if getattr(self, "fitting_", False):  # called by fit
            return super().partial_fit(X, y, classes=classes, **fit_params)  # type: ignore[misc]
        arguments = FitArguments(sample_weight, X_val, y_val, clean_mask)
        keep = bool(net.initialized_)
        with self._fitting(keep=keep):
            X, y = self._prepare(X, y, arguments, keep=keep, reuse=keep, classes=classes)
            return super().partial_fit(X, y, classes=classes, **fit_params)  # type: ignore[misc]

    @contextmanager
    def _fitting(self, *, keep: bool) -> Iterator[None]:
        net: Any = self
        check_parameters(net.meta_gradient, net.clean_batch_size, net.record_weights)
        resume = getattr(net, "generator_states_", None) if keep else None
        with rollback(net):
            with seeded(self.random_state, str(net.device), resume) as states:
                net.fitting_ = True
                for name in ("example_weights_", "epoch_example_weights_"):
                    vars(net).pop(name, None)
                if not keep:
                    vars(net).pop("clean_position_", None)
                    vars(net).pop("integers_are_floats_", None)
                try:
                    yield
                    net.clean_position_ = net.reweighting_.clean_batches.position
                finally:
                    net.fitting_ = False
                    for name in WHILE_FITTING:
                        vars(net).pop(name, None)
            net.generator_states_ = states

    # -- from arguments to rows -------------------------------------------------------------

    def _prepare(
        self,
        X: Any,
        y: Any,
        arguments: FitArguments,
        *,
        keep: bool,
        reuse: bool,
        classes: Any = None,
    ) -> tuple[Any, Any]:
        """Check all that was given, and take the clean set; return X and y to train on."""
        net: Any = self
        given_examples(self.clean_set, arguments)  # in one way, before anything else is looked at
        if not is_dataset(X):
            X = self._as_inputs(X, reset=not (keep and hasattr(net, "n_features_in_")))
        targets = self._check_targets(X, in_memory(X, y)[1], keep=keep, classes=classes)
        if not is_dataset(X):
            y = targets
        elif y is not None:
            y = to_numpy(y)
        length = n_rows(X)
        check_length(targets, length)
        prior = check_sample_weight(arguments.sample_weight, length)
        trained = self._take_clean(X, y, targets, prior, arguments, reuse=reuse)
        rows = np.flatnonzero(trained)
        if len(rows) < length:
            X, y, targets, prior = (
                None if part is None else take_rows(part, rows) for part in (X, y, targets, prior)
            )
        clean_prior = self._check_clean(in_memory(X, None)[0], targets)
        prior = self._prior(prior, targets)
        priors = mean_one(prior), mean_one(clean_prior)
        net.fit_data_ = FitData(length, rows, *priors, None, targets)
        return X, y

    def _take_clean(
        self,
        X: Any,
        y: Any,
        targets: Any,
        prior: Prior | None,
        arguments: FitArguments,
        *,
        reuse: bool,
    ) -> Mask:
        """Set the clean set; return the rows of X that are left to train on."""
        net: Any = self
        counts = np.ones(n_rows(X), dtype=bool) if prior is None else prior > 0
        clean = given_examples(self.clean_set, arguments)
        if clean is not None:
            if net.module is None and isinstance(clean, (tuple, list)) and len(clean) == 2:
                clean = stack_rows(clean[0]), clean[1]  # as in X, a list of arrays is rows
            check_clean_form(clean)
            net.clean_set_, net.clean_sample_weight_ = clean, None
            vars(net).pop("clean_indices_", None)
            return counts
        if arguments.clean_mask is not None:
            mask = check_mask(arguments.clean_mask, len(counts)) & counts
        elif reuse and hasattr(net, "clean_set_"):
            return counts
        elif is_number(self.clean_set):
            mask = counts.copy()  # rows that do not count are not drawn
            mask[counts] = split_off(self.clean_set, self._groups(targets, counts))
        else:
            check_clean_form(None)
        left = counts & ~mask
        check_some_of_each(mask, left)
        chosen = net.clean_indices_ = np.flatnonzero(mask)
        net.clean_set_ = take_rows(X, chosen)
        if not is_dataset(X):
            net.clean_set_ = net.clean_set_, take_rows(y, chosen)
        net.clean_sample_weight_ = None if prior is None else prior[chosen]
        return left

    def _as_inputs(self, X: Any, *, reset: bool) -> Any:
        """Arrays of X, after a look at its features."""
        net: Any = self
        inputs = as_inputs(X, tabular=net.module is None)
        check_features(self, X if hasattr(X, "columns") else inputs, reset=reset)
        return inputs

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Make a data set of X and y; see :meth:`skorch.NeuralNet.get_dataset`."""
        if not is_dataset(X):
            if getattr(self, "fitting_", False):  # it was looked at before
                X = as_inputs(X)
            else:
                X = self._as_inputs(X, reset=False)
                check_not_empty(X)
                check_finite(X, "X")
            y = None if y is None else to_numpy(y)
        return super().get_dataset(X, y)  # type: ignore[misc]

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Split the data set of X and y; see :meth:`skorch.NeuralNet.get_split_datasets`."""
        net: Any = self
        X = net.get_dataset(X, y)
        if "fit_data_" in vars(net):
            net.fit_data_ = net.fit_data_._replace(base=X)
        return super().get_split_datasets(X, y, **fit_params)  # type: ignore[misc]

    def _check_clean(self, inputs: Any, targets: Any) -> Prior | None:
        """Check the clean set against X and y, as far as both are held in memory.

        Returns what each clean example counts.
        """
        net: Any = self
        clean = net.clean_set_
        X, y = (clean, None) if is_dataset(clean) else (as_inputs(clean[0]), clean[1])
        X, y = in_memory(X, y, "X of the clean_set")
        if inputs is not None and X is not None:
            check_same_features(row_shapes(inputs), X)
            if not is_dataset(clean) and hasattr(net, "feature_names_in_"):
                check_names(self, clean[0])
            warn_of_unlike(inputs, X)
        if y is not None:
            y = self._check_clean_targets(y, targets)
        return self._prior(net.clean_sample_weight_, y)

    # -- what differs between classification and regression --------------------------------

    def _check_targets(self, X: Any, targets: Any, *, keep: bool, classes: Any) -> Any:
        """Check and convert y; ``keep`` says that a fit is continued."""
        return None if targets is None else to_numpy(targets)

    def _check_clean_targets(self, y_clean: Any, targets: Any) -> Any:
        """Check the targets of the clean set against those of the training rows."""
        return y_clean

    def _groups(self, targets: Any, counts: NDArray[np.bool_]) -> NDArray[Any]:
        """Rows that a split-off clean set is to be balanced over, as labels of groups."""
        return np.zeros(int(counts.sum()), dtype=int)

    def _prior(self, prior: Prior | None, targets: Any) -> Prior | None:
        """What each example counts, by the user's word."""
        return prior
