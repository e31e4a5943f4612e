"""What L2RW is compared with: the same net, trained in other ways, each as an estimator.

Every arm is a function of the training data, the learning rate and a seed, that returns a fitted
scikit-learn estimator. All take the same number of optimisation steps. All but L2RW get the clean
examples as additional training data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks.problems import Problem
from sklearn_l2rw import L2RWClassifier


@dataclass(frozen=True)
class Training:
    """The net, and how long and in what batches it is trained."""

    module: Callable[..., nn.Module]
    n_steps: int
    batch_size: int

    def settings(self, n_rows: int, lr: float, n_steps: int | None = None) -> dict[str, Any]:
        """Parameters of a skorch net that takes about `n_steps` steps over `n_rows` rows."""
        steps_per_epoch = int(np.ceil(n_rows / self.batch_size))
        return {
            "module": self.module,
            "criterion": nn.CrossEntropyLoss,
            "optimizer": torch.optim.SGD,
            "optimizer__momentum": 0.9,
            "lr": lr,
            "batch_size": self.batch_size,
            "max_epochs": max(1, round((n_steps or self.n_steps) / steps_per_epoch)),
            "iterator_train__shuffle": True,
            "train_split": None,
            "verbose": 0,
        }


Arm = Callable[[Problem, Training, float, int], Any]


def _flat(X: Any) -> Any:
    return X.reshape(len(X), -1)


def unweighted(data: Problem, training: Training, lr: float, seed: int) -> Any:
    """Plain training."""
    X, y = data.with_clean()
    torch.manual_seed(seed)
    return NeuralNetClassifier(**training.settings(len(y), lr)).fit(X, y)


def class_weighted(data: Problem, training: Training, lr: float, seed: int) -> Any:
    """Plain training with losses weighted by inverse class frequency."""
    X, y = data.with_clean()
    weight = torch.as_tensor(len(y) / (2 * np.bincount(y)), dtype=torch.float32)
    torch.manual_seed(seed)
    settings = training.settings(len(y), lr)
    return NeuralNetClassifier(**settings, criterion__weight=weight).fit(X, y)


def _resampled(sampler: Any, data: Problem, training: Training, lr: float, seed: int) -> Any:
    X, y = data.with_clean()
    n_rows = int(np.bincount(y).max() * len(np.unique(y)))  # after resampling
    torch.manual_seed(seed)
    net = NeuralNetClassifier(**training.settings(n_rows, lr))
    return make_pipeline(sampler, net).fit(_flat(X), y)


def random_oversampled(data: Problem, training: Training, lr: float, seed: int) -> Any:
    """Rare classes repeated until all are as frequent, in imbalanced-learn's Pipeline."""
    return _resampled(RandomOverSampler(random_state=seed), data, training, lr, seed)


def smote(data: Problem, training: Training, lr: float, seed: int) -> Any:
    """Rare classes filled up by interpolation, in imbalanced-learn's Pipeline."""
    return _resampled(SMOTE(random_state=seed), data, training, lr, seed)


def fine_tuned(data: Problem, training: Training, lr: float, seed: int) -> Any:
    """Plain training, the last fifth of whose steps are taken on the clean examples alone."""
    X, y = data.with_clean()
    last = training.n_steps // 5
    torch.manual_seed(seed)
    settings = training.settings(len(y), lr, training.n_steps - last)
    net = NeuralNetClassifier(**settings).fit(X, y)
    epochs = training.settings(len(data.y_clean), lr, last)["max_epochs"]
    return net.set_params(max_epochs=epochs).partial_fit(*data.clean_set)


def l2rw(data: Problem, training: Training, lr: float, seed: int, **more: Any) -> Any:
    """L2RW with its defaults."""
    settings = {**training.settings(len(data.y), lr), **more}
    return L2RWClassifier(**settings, clean_set=data.clean_set, random_state=seed).fit(
        data.X, data.y
    )


ARMS: dict[str, Arm] = {
    "unweighted": unweighted,
    "class_weighted": class_weighted,
    "random_oversampled": random_oversampled,
    "smote": smote,
    "fine_tuned": fine_tuned,
    "l2rw": l2rw,
}


def error_on(estimator: Any, data: Problem) -> float:
    """Share of wrong labels on the test set, in per cent."""
    X = _flat(data.X_test) if hasattr(estimator, "steps") else data.X_test
    return float(100 * np.mean(estimator.predict(X) != data.y_test))
