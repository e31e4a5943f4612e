"""`fit` and `partial_fit`: from what the user gives to what is trained on, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.utils import is_dataset
from torch.utils.data import IterableDataset

from ..data.clean_set import (
    FitArguments,
    Mask,
    check_clean_form,
    check_clean_lengths,
    check_length_known,
    check_mask,
    check_same_features,
    check_some_of_each,
    given_examples,
    is_number,
    split_off,
)
from ..data.examples import Examples, enter
from ..data.features import check_features, check_names
from ..data.likeness import warn_of_unlike
from ..data.rows import params_of_rows, take_rows
from ..data.sample_weight import Weight, check_sample_weight
from ..targets.targets import Targets
from .accelerated import device_of
from .checks import check_parameters
from .components import Components
from .epoch_log import check_trained
from .fit_state import Fit
from .making import making
from .recording import RECORDED, RowRecord
from .rollback import rollback
from .seeding import draw_seed, seeded


class Fitting(Components):
    """skorch's seams around a fit: arguments, data, components, callbacks."""

    _fit: Fit | None = None
    targets_: Targets
    module_: Any
    criterion_: Any

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
            The examples: arrays, data frames, lists, CSR matrices, tensors of any shape. For
            modules with several inputs a dict of such (or a tokenizer's ``BatchEncoding``), which
            are keyword arguments, or a tuple or list, which are positional ones. Or a Dataset, of
            torch or of Hugging Face, whose items are pairs (X, y), or dicts of inputs and of
            ``labels`` or ``label``.
        y : array-like of shape (n_samples,), default=None
            Their labels or targets. None where X is a Dataset that has them. Those that it holds
            as ``targets``, ``labels`` or ``y``, beside items that have the same, are known before
            training; else a classifier needs `classes`.
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
            Passed on to `train_split` and to the module's ``forward``, as in skorch. Of arrays and
            lists with an entry for each row these get the entries of the rows to train on.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If the clean set is missing, given in two ways, or does not go with X and y; if data
            are not finite; if lengths differ. All before the first step.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_l2rw import L2RWClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> trusted = [row % 10 == 0 for row in range(150)]
        >>> net = L2RWClassifier(max_epochs=5, random_state=0, verbose=0)
        >>> net = net.fit(X, y, clean_mask=trusted)
        >>> len(net.clean_indices_), net.predict(X[:1])
        (15, array([0]))

        """
        keep = bool(self.warm_start and self.initialized_)
        arguments = FitArguments(sample_weight, X_val, y_val, clean_mask)
        with self._fitting(keep=keep):
            examples = self._begin(X, y, arguments, keep=keep, reuse=False)
            return super().fit(examples.X, examples.y, **self._of_rows(fit_params))

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

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_l2rw import L2RWClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = L2RWClassifier(clean_set=(X[::10], y[::10]), max_epochs=2, verbose=0)
        >>> net = net.partial_fit(X[:100], y[:100], classes=[0, 1, 2]).partial_fit(X[100:], y[100:])
        >>> len(net.history)
        4

        """
        if self._fit is not None:  # called by fit
            return super().partial_fit(X, y, classes=classes, **fit_params)
        arguments = FitArguments(sample_weight, X_val, y_val, clean_mask)
        keep = bool(self.initialized_)
        with self._fitting(keep=keep):
            examples = self._begin(X, y, arguments, keep=keep, reuse=keep, classes=classes)
            of_rows = self._of_rows(fit_params)
            return super().partial_fit(examples.X, examples.y, classes=classes, **of_rows)

    def _of_rows(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        fit = self._needs_fit("fit")
        return params_of_rows(fit_params, fit.n_rows, fit.rows)

    def check_data(self, X: Any, y: Any = None) -> None:
        """Leave checks to the door, but of a net whose targets we know nothing of."""
        if type(self.targets_) is Targets:
            super().check_data(X, y)

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **fit_params: Any) -> Any:
        """Loop of a fit; see :meth:`skorch.NeuralNet.fit_loop`."""
        self._needs_fit("fit_loop")
        return super().fit_loop(X, y, epochs, **fit_params)

    def _needs_fit(self, name: str) -> Fit:
        if self._fit is None:
            raise RuntimeError(
                f"Got a call of {name} outside of a fit, where there is no clean set to learn "
                "weights from. Call fit or partial_fit."
            )
        return self._fit

    @contextmanager
    def _fitting(self, *, keep: bool) -> Iterator[None]:
        check_parameters(self)
        resume = getattr(self, "generator_states_", None) if keep else None
        with rollback(self, keep=keep):
            with seeded(self.random_state, device_of(self), resume) as states:
                for name in RECORDED:
                    self.__dict__.pop(name, None)
                if not keep:  # a net that makes its own modules may not tell that they are new
                    for name in ("clean_position_", "_chooser", "integers_are_floats_"):
                        self.__dict__.pop(name, None)
                self.begin_average(keep=keep)
                try:
                    yield
                    check_trained(self)
                    self._keep_position()
                finally:
                    self.__dict__.pop("_fit", None)
            self.generator_states_ = states

    def _keep_position(self) -> None:
        """Remember where the clean batches stand, for `partial_fit` to go on."""
        if self._fit is not None and self._fit.reweighting is not None:
            self.clean_position_ = self._fit.reweighting.clean_batches.position

    # -- from arguments to rows -------------------------------------------------------------

    def _begin(
        self, X: Any, y: Any, arguments: FitArguments, *, keep: bool, reuse: bool,
        classes: Any = None,
    ) -> Examples:  # fmt: skip
        """Check all that was given, take the clean set, and begin the fit; return its examples."""
        given = given_examples(self.clean_set, arguments)  # the ways, before anything else
        examples = enter(X, y, tabular=self.module is None)
        if not examples.in_dataset:
            known = keep and hasattr(self, "n_features_in_")
            check_features(self, X if hasattr(X, "columns") else examples.X, reset=not known)
        if arguments.sample_weight is not None or arguments.clean_mask is not None:
            check_length_known(examples, arguments)
        before = getattr(self, "targets_", None) if keep else None
        self.targets_ = self._make_targets()
        checked = self.targets_.learn(
            examples.targets, in_dataset=examples.in_dataset, before=before, classes=classes
        )
        examples = examples._replace(
            y=examples.y if examples.in_dataset else checked, targets=checked
        )
        weight = None
        if arguments.sample_weight is not None:
            weight = check_sample_weight(arguments.sample_weight, examples.n)
        trained = self._take_clean(given, examples, weight, arguments, reuse=reuse)
        rows = np.flatnonzero(trained)
        if len(rows) < examples.n and weight is not None:
            weight = weight[rows]
        n_rows = examples.n
        if len(rows) < n_rows:
            examples = examples.take(rows)
        clean = self._enter_clean(examples, keep=keep)
        weights = (
            self.targets_.weight(weight, examples.targets),
            self.targets_.weight(self.clean_sample_weight_, clean.targets),
        )
        record = None
        if self.record_weights:
            record = RowRecord(n_rows, epochs=self.record_weights == "epochs")
        self._fit = Fit(n_rows, rows, examples, clean, weights, record, cold=not keep)
        return examples

    def _take_clean(
        self, given: Any, examples: Examples, weight: Weight | None, arguments: FitArguments,
        *, reuse: bool,
    ) -> Mask:  # fmt: skip
        """Set the clean set; return the rows of X that are left to train on."""
        counts = np.ones(examples.n, dtype=bool) if weight is None else weight > 0
        if given is not None:
            check_clean_form(given)
            self.clean_set_, self.clean_sample_weight_ = given, None
            self.__dict__.pop("clean_indices_", None)
            return counts
        if arguments.clean_mask is not None:
            mask = check_mask(arguments.clean_mask, len(counts))
            if examples.targets is not None and not reuse:
                self.targets_.check_masked(examples.targets, ~mask)
            mask = mask & counts
        elif reuse and hasattr(self, "clean_set_"):
            return counts
        elif is_number(self.clean_set):
            mask = self._split_off(examples, counts)
        else:
            check_clean_form(None)
        left: Mask = counts & ~mask
        check_some_of_each(mask, left)
        chosen = self.clean_indices_ = np.flatnonzero(mask)
        self.clean_set_ = take_rows(examples.X, chosen)
        if not examples.in_dataset:
            self.clean_set_ = self.clean_set_, take_rows(examples.y, chosen)
        self.clean_sample_weight_ = None if weight is None else weight[chosen]
        return left

    def _split_off(self, examples: Examples, counts: NDArray[np.bool_]) -> Mask:
        """Rows for the clean set; those that do not count are not drawn."""
        # A fit of a random_state is seeded, and its module is not to begin elsewhere.
        seed = draw_seed() if self.random_state is None else torch.initial_seed()
        groups = self.targets_.groups(examples.targets, counts)
        mask = counts.copy()
        mask[counts] = split_off(self.clean_set, groups, seed)
        return mask

    def _enter_clean(self, examples: Examples, *, keep: bool) -> Examples:
        """Let the clean set in, and check it against X and y, as far as both are in memory."""
        given = self.clean_set_
        name = "X of the clean_set"
        if is_dataset(given):
            clean = enter(given, name=name)
        else:
            clean = enter(*given, of_rows=self.module is None, name=name)
            check_clean_lengths(clean.n, clean.y)
        if examples.inputs is not None and clean.inputs is not None:
            check_same_features(examples.inputs, clean.inputs)
            if not clean.in_dataset and hasattr(self, "feature_names_in_"):
                check_names(self, given[0])
            if not keep:  # of the first rows, not of every chunk of a stream
                warn_of_unlike(examples.inputs, clean.inputs)
        if clean.targets is None:
            return clean
        targets = self.targets_.check_clean(clean.targets, examples.targets)
        return clean._replace(y=None if clean.in_dataset else targets, targets=targets)

    # -- data sets --------------------------------------------------------------------------

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Make a data set of X and y; see :meth:`skorch.NeuralNet.get_dataset`."""
        fit = self._fit
        entered = fit is not None and (X is fit.examples.X or X is fit.clean.X)
        if not entered and not is_dataset(X):
            examples = enter(X, y, tabular=self.module is None)
            check_features(self, X if hasattr(X, "columns") else examples.X, reset=False)
            X, y = examples.X, examples.y
        with making("dataset", self.dataset):
            return super().get_dataset(X, y)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Split the data set of X and y; see :meth:`skorch.NeuralNet.get_split_datasets`."""
        fit = self._fit
        if fit is None:
            return super().get_split_datasets(X, y, **fit_params)
        fit.base = self.get_dataset(X, y)
        fit.dataset, valid = super().get_split_datasets(fit.base, y, **fit_params)
        if fit.cold and not isinstance(fit.dataset, IterableDataset):
            fit.trained = fit.dataset
        return fit.dataset, valid

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_fit"}

    def _make_targets(self) -> Targets:
        """Make what stands for y in a fit."""
        return Targets(type(self).__name__)
