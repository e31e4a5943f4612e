"""The skorch net of all arms but L2RW: a number of steps, a seed, rows a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNetClassifier
from torch import Tensor, nn
from torch.utils.data import Subset

from benchmarks.methods.training import n_epochs


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch, and leave its generators as they were."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device != "cpu" else []):
        torch.manual_seed(seed)
        yield


class Batches:
    """Loader that takes a whole batch at once; skorch's asks for one row after the other.

    With skorch's, most of the time of a small net goes into loading, and arms could not be told
    apart by their fit times. L2RW loads in the same way.
    """

    def __init__(self, X: Tensor, y: Tensor, batch_size: int, net: Any = None) -> None:
        self.X = X
        self.y = y
        self.batch_size = batch_size
        self.net = net

    def __len__(self) -> int:
        return -(-len(self.y) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the rows in their order; to a net that is trained, in the order that it draws.

        That net finds in its ``rows_`` which ones are in the batch.
        """
        order = torch.arange(len(self.y)) if self.net is None else self.net.draw_order(self.y)
        for rows in torch.split(order.to(self.y.device), self.batch_size):
            if self.net is not None:
                self.net.rows_ = rows
            yield self.X[rows], self.y[rows]


def _arrays(dataset: Any) -> tuple[Any, Any]:
    if isinstance(dataset, Subset):
        X, y = _arrays(dataset.dataset)
        return X[dataset.indices], y[dataset.indices]
    return dataset.X, np.zeros(len(dataset), np.int64) if dataset.y is None else dataset.y


class Net(NeuralNetClassifier):
    """NeuralNetClassifier for arrays, trained for a number of steps: the arm *unweighted*.

    Other arms override `training_loss` or `draw_order`.

    Parameters
    ----------
    module : callable
        Makes the net.
    n_steps : int
        Optimisation steps, rounded to whole passes over the rows.
    class_weight : None or "balanced"
        Whether losses are weighted by inverse class frequency.
    random_state : int
        Seeds all draws of a fit.

    """

    def __init__(
        self,
        module: Any,
        *,
        n_steps: int = 1000,
        class_weight: str | None = None,
        random_state: int = 0,
        criterion: Any = nn.CrossEntropyLoss,
        train_split: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, criterion=criterion, train_split=train_split, **kwargs)
        self.n_steps = n_steps
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Any:
        """Train from scratch, from the seed."""
        with seeded(self.random_state, str(self.device)):
            self.class_counts_ = np.bincount(y)
            return super().fit(X, y, **fit_params)

    def fit_loop(
        self, X: Any, y: Any = None, epochs: int | None = None, n_steps: int | None = None,
        **fit_params: Any,
    ) -> Any:  # fmt: skip
        """Train for `n_steps` in place of ``max_epochs``."""
        n_rows = len(X) * 4 // 5 if self.train_split else len(X)
        self.n_epochs_ = n_epochs(n_steps or self.n_steps, n_rows, self.batch_size)
        return super().fit_loop(X, y, self.n_epochs_ if epochs is None else epochs, **fit_params)

    def get_iterator(self, dataset: Any, training: bool = False) -> Batches:
        """Take rows by `Batches`."""
        X, y = _arrays(dataset)
        device = self.device if training else "cpu"
        tensors = torch.as_tensor(X, device=device), torch.as_tensor(y, device=device)
        return Batches(*tensors, self.batch_size, self if training else None)

    def draw_order(self, y: Tensor) -> Tensor:
        """Order of the rows in one pass; a row may come several times."""
        return torch.randperm(len(y))

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        """Mean loss; that of training is up to the arm."""
        y_true = y_true.to(y_pred.device)
        if training:
            return self.training_loss(y_pred, y_true)
        return nn.functional.cross_entropy(y_pred, y_true)

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean cross entropy, weighted by inverse class frequency if that is asked for."""
        losses = nn.functional.cross_entropy(logits, y, reduction="none")
        if self.class_weight == "balanced":
            losses = losses * self.inverse_frequency(y)
        return losses.mean()

    def inverse_frequency(self, y: Tensor) -> Tensor:
        """Weight of each example: inverse frequency of its class, with mean one over all rows."""
        counts: NDArray[Any] = self.class_counts_
        present = np.sum(counts > 0)
        weights = torch.as_tensor(counts.sum() / (present * np.maximum(counts, 1)))
        return weights.to(y.device, torch.float32)[y]


class LogitAdjusted(Net):
    """Plain training; what it predicts is for classes that are equally frequent.

    Post-hoc logit adjustment (Menon et al., 2021): probabilities are divided by the frequencies
    of the classes in training.
    """

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Probabilities, were all classes as frequent."""
        proba = super().predict_proba(X) / np.maximum(self.class_counts_, 1)
        return np.asarray(proba / proba.sum(axis=1, keepdims=True))
