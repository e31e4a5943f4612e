"""Arms that train in stages, or on a part of the data: early stopping, the clean set."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import Tensor, nn

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


class FineTunedAfter(Net):
    """Another arm's net, fine-tuned on the clean rows alone at a tenth of the learning rate.

    Parameters
    ----------
    first : estimator
        A skorch net around the same module, which has the other steps.

    """

    factor = FineTunedSlowly.factor

    def __init__(self, module: Any, *, first: Any = None, **kwargs: Any) -> None:
        super().__init__(module, **kwargs)
        self.first = first

    def fit(self, X: Any, y: Any, clean_mask: Any = None, **fit_params: Any) -> Any:
        self.first_ = clone(self.first).fit(X, y, clean_mask=clean_mask)
        with seeded(self.random_state, str(self.device)):
            self.class_counts_ = np.bincount(y)
            self.initialize()
            self.module_.load_state_dict(self.first_.module_.state_dict())
            for group in self.optimizer_.param_groups:
                group["lr"] *= self.factor
            return self.partial_fit(X[clean_mask], y[clean_mask], **fit_params)


class LastLayerRefitted(Net):
    """DFR (Kirichenko et al., ICLR 2023): the last layer is a logistic regression of clean rows.

    Plain training on all rows; then the features that go into the last linear layer are
    standardised, and scikit-learn's LogisticRegression is fitted to them on the clean set. Its C
    is chosen there by cross-validated log loss, where each class has two examples or more.
    """

    cs = (0.001, 0.01, 0.1, 1.0, 10.0)

    def fit(self, X: Any, y: Any, clean_mask: Any = None, **fit_params: Any) -> Any:
        super().fit(X, y, **fit_params)
        n_folds = min(5, int(np.unique(y[clean_mask], return_counts=True)[1].min()))
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        if n_folds > 1:
            grid = {"logisticregression__C": self.cs}
            model = GridSearchCV(model, grid, scoring="neg_log_loss", cv=n_folds)
        self.last_layer_ = model.fit(self.features(X[clean_mask]), y[clean_mask])
        return self

    def features(self, X: Any) -> NDArray[Any]:
        """What goes into the last linear layer, (n, d)."""
        seen: list[Tensor] = []
        last = [m for m in self.module_.modules() if isinstance(m, nn.Linear)][-1]
        hook = last.register_forward_pre_hook(lambda _, args: seen.append(args[0].cpu()))
        try:
            self.forward(X)
        finally:
            hook.remove()
        return torch.cat(seen).numpy()

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Probabilities by the refitted layer."""
        return np.asarray(self.last_layer_.predict_proba(self.features(X)), np.float32)


def fifth() -> ValidSplit:
    """Split off what early stopping looks at, with each class as frequent as in the rest."""
    return ValidSplit(5, stratified=True)
