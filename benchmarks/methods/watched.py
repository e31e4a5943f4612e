"""Errors during a fit, on rows that have no part in it: what stopping earlier would have given."""

from __future__ import annotations

from typing import Any

import torch
from imblearn.pipeline import Pipeline
from skorch.callbacks import Callback

N_LOOKS = 20  # in a fit, at most
N_ROWS = 2000  # that are looked at
KEY = "watched_error"


class Watched(Callback):
    """Writes errors in % into a net's history, at ends of epochs; training is not changed.

    Of an arm whose parameters are averaged, the error is that of their mean, as soon as there is
    one (its statistics of batch normalization are those of the raw net). All classes have to be
    trained on.

    Parameters
    ----------
    X, y : ndarray of shape (n, d), (n,)
        Rows and labels, the first `N_ROWS` of which are looked at.
    n_steps : int
        Steps of the fit.

    """

    def __init__(self, X: Any, y: Any, n_steps: int) -> None:
        self.X = X
        self.y = y
        self.n_steps = n_steps

    def initialize(self) -> Watched:
        self.since_ = 0
        return self

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        self.since_ += training

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.since_ >= self.n_steps // N_LOOKS:
            self.since_ = 0
            net.history.record(KEY, self.error(net))

    def error(self, net: Any) -> float:
        """Error of a net as it is."""
        mean = getattr(dict(net.callbacks_).get("averaged"), "mean_", None)
        module = net.module_ if mean is None else mean.module
        X = torch.as_tensor(self.X[:N_ROWS], device=net.device)
        with torch.no_grad():
            predicted = module.eval()(X).argmax(1).cpu().numpy()
        return float(100 * (predicted != self.y[:N_ROWS]).mean())


def rise(estimator: Any, X: Any, y: Any) -> float:
    """How much larger the error of a watched estimator is than the least one of its fit, in %."""
    net = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    nets = [getattr(net, "first_", net), net]
    errors: list[float] = [row[KEY] for each in nets for row in each.history if KEY in row]
    last = float(100 * (estimator.predict(X[:N_ROWS]) != y[:N_ROWS]).mean())
    return last - min([last, *errors])
