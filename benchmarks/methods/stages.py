"""Arms that train in stages, or on a part of the data: early stopping, the clean set."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from benchmarks.methods.net import Net, seeded

FINE_TUNING = 0.2  # share of the steps that is taken on the clean set alone


class BestEpoch(Callback):
    """Keeps the parameters of the epoch with the least validation loss; stops in time.

    Training ends when the loss has not become less for a fifth of the epochs, and at least 5.
    skorch's own EarlyStopping cannot be used in a stage without a validation set.
    """

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.best_ = np.inf
        self.since_ = 0
        self.state_: Any = None

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        loss = net.history[-1].get("valid_loss")
        if loss is None:
            return
        self.since_ += 1
        if loss < self.best_:
            self.best_, self.since_ = loss, 0
            self.state_ = copy.deepcopy(net.module_.state_dict())
        if self.since_ >= max(5, net.n_epochs_ // 5):
            raise KeyboardInterrupt  # this is how skorch stops a fit

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        if self.state_ is not None:
            net.module_.load_state_dict(self.state_)


class EarlyStopping(Net):
    """A fifth of the rows is held out; the net of the epoch with the least loss there is kept."""

    def fit_loop(self, X: Any, y: Any = None, *args: Any, **params: Any) -> Any:
        with warnings.catch_warnings():  # a class may be too rare for each of the five parts
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            return super().fit_loop(X, y, *args, **params)


class FineTuned(EarlyStopping):
    """Trained on all rows, in the last fifth of the steps on the clean ones alone."""

    factor = 1.0  # of the learning rate, in the last fifth

    def fit(self, X: Any, y: Any, clean_mask: Any = None, **fit_params: Any) -> Any:
        with seeded(self.random_state, str(self.device)):
            self.class_counts_ = np.bincount(y)
            last = round(FINE_TUNING * self.n_steps)
            self.initialize()
            self.partial_fit(X, y, n_steps=self.n_steps - last, **fit_params)
            split = vars(self)["train_split"]
            self.train_split = None
            for group in self.optimizer_.param_groups:
                group["lr"] *= self.factor
            try:
                return self.partial_fit(X[clean_mask], y[clean_mask], n_steps=last, **fit_params)
            finally:
                self.train_split = split


class FineTunedSlowly(FineTuned):
    """Fine-tuned at a tenth of the learning rate."""

    factor = 0.1


class CleanOnly(Net):
    """Trained on the clean rows alone."""

    def fit(self, X: Any, y: Any, clean_mask: Any = None, **fit_params: Any) -> Any:
        return super().fit(X[clean_mask], y[clean_mask], **fit_params)


def fifth() -> ValidSplit:
    """Split off what early stopping looks at, with each class as frequent as in the rest."""
    return ValidSplit(5, stratified=True)
