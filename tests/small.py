"""Small nets and data for the tests of the estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklearn_l2rw import ALGORITHM_1, L2RWClassifier


class MLP(nn.Module):
    """Logits of rows with a few features."""

    def __init__(
        self,
        n_inputs: int = 4,
        hidden: int = 6,
        n_outputs: int = 2,
        dropout: float = 0.0,
        batch_norm: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.inner = nn.Linear(n_inputs, hidden, dtype=dtype)
        self.norm = nn.BatchNorm1d(hidden, dtype=dtype) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.outer = nn.Linear(hidden, n_outputs, dtype=dtype)

    def forward(self, X: Tensor) -> Tensor:
        output: Tensor = self.outer(self.dropout(torch.tanh(self.norm(self.inner(X)))))
        return output


class Probabilities(MLP):
    """Probabilities, as NLLLoss wants them in skorch."""

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X).softmax(1)


class Record(Callback):
    """Remembers what callbacks are told and what the net is at the ends of steps."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.batches: list[Any] = []
        self.generator_states: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.clean_losses: list[float] = []
        self.parameters: list[dict[str, Tensor]] = []

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        if training:
            self.batches.append(batch)
            self.generator_states.append(torch.get_rng_state())

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if training:
            self.weights.append(kwargs["weights"].clone())
            self.clean_losses.append(float(kwargs["clean_loss"]))
            self.parameters.append(state_of(net.module_))


class Explode(Callback):
    """Raises in a certain step of a fit, when it is armed."""

    step: int | None = None
    error: type[BaseException] = RuntimeError

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.n_steps = 0

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self.n_steps += 1
        if self.n_steps == self.step:
            raise self.error("as told")


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same_state(first: dict[str, Tensor], second: dict[str, Tensor], *, atol: float = 0.0) -> bool:
    return first.keys() == second.keys() and all(
        torch.allclose(value, second[name], rtol=0, atol=atol) for name, value in first.items()
    )


def blobs(
    n: int = 42, n_classes: int = 2, seed: int = 0, dtype: Any = np.float32
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Rows of 4 features around one centre a class, classes in turn."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    centres = 2 * np.eye(4)[:n_classes]
    return (centres[y] + generator.normal(size=(n, 4))).astype(dtype), y


X, Y = blobs()
Y_NOISY = np.where(np.arange(len(Y)) % 5 == 0, 1 - Y, Y)
X_CLEAN, Y_CLEAN = blobs(8, seed=1)
BOUNDED: dict[str, Any] = {**ALGORITHM_1, "max_grad_norm": 1.0}  # the paper's step
SETTINGS: dict[str, Any] = {  # the package's own step has tests of its own
    **BOUNDED,
    "clean_set": (X_CLEAN, Y_CLEAN),
    "max_epochs": 2,
    "optimizer": torch.optim.SGD,
    "batch_size": 16,
    "lr": 0.1,
    "random_state": 0,
    "verbose": 0,
}


def make_net(module: Any = MLP, **settings: Any) -> L2RWClassifier:
    return L2RWClassifier(module, **{**SETTINGS, **settings})


CLEAN_ROWS: dict[float, int] = {row[0]: i for i, row in enumerate(X_CLEAN.tolist())}
CLEAN_PASSES: list[list[tuple[int, ...]]] = []


class Watched(MLP):
    """Remembers which rows of the clean set it is given in training steps."""

    in_step = False

    def forward(self, X: Tensor) -> Tensor:
        rows = tuple(CLEAN_ROWS[x] for x in X[:, 0].tolist() if x in CLEAN_ROWS)
        if rows and Watched.in_step:
            CLEAN_PASSES[-1].append(rows)
        return super().forward(X)


class CountSteps(Record):
    """Begins a list of clean passes for each step."""

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        super().on_batch_begin(net, batch, training, **kwargs)
        CLEAN_PASSES.append([])
        Watched.in_step = True

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        super().on_batch_end(net, training, **kwargs)
        Watched.in_step = False


def clean_rows_by_step() -> list[tuple[int, ...]]:
    """Rows of each step's clean batch, which all its passes share."""
    steps = [set(passes) for passes in CLEAN_PASSES]
    CLEAN_PASSES.clear()
    assert all(len(step) == 1 for step in steps)
    return [step.pop() for step in steps]


def joined(
    X: Any = X, y: Any = Y_NOISY, X_clean: Any = X_CLEAN, y_clean: Any = Y_CLEAN
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Training rows with the clean ones spread among them, labels, and the mask of these."""
    n = len(X) + len(X_clean)
    mask = np.zeros(n, dtype=bool)
    mask[np.linspace(1, n - 2, len(X_clean)).astype(int)] = True
    rows = np.empty((n, *X.shape[1:]), dtype=X.dtype)
    labels = np.empty((n, *y.shape[1:]), dtype=y.dtype)
    rows[mask], rows[~mask] = X_clean, X
    labels[mask], labels[~mask] = y_clean, y
    return rows, labels, mask


def mask_of(rows: Any, part: Any) -> NDArray[np.bool_]:
    """Which rows are among those of a part; they all differ in the first feature."""
    first = np.asarray(part)[:, 0].tolist()
    mask = np.isin(np.asarray(rows)[:, 0], first)
    assert len(set(first)) == len(first) == mask.sum()
    return mask


class Weighed(Callback):
    """Remembers the weights of each step, and the rows that had them.

    Rows are known by their first feature, in which those given here all differ.
    """

    def __init__(self, rows: Any = None) -> None:
        first = [] if rows is None else np.asarray(rows)[:, 0].tolist()
        self.numbers = {value: i for i, value in enumerate(first)}
        assert len(self.numbers) == len(first)
        self.n_rows = len(first)
        self.clear()

    def clear(self) -> None:
        self.steps: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        if training:
            inputs = batch[0]["X"] if isinstance(batch[0], dict) else batch[0]
            rows = [self.numbers.get(value, -1) for value in inputs[:, 0].tolist()]
            self.steps.append((np.array(rows), kwargs["weights"].double().numpy()))


def mean_weights(
    steps: list[tuple[NDArray[np.int64], NDArray[np.float64]]], n_rows: int, prior: Any = None
) -> NDArray[np.float64]:
    """Mean over the steps of each row's weight relative to uniform, by the definition."""
    found: list[list[float]] = [[] for _ in range(n_rows)]
    for rows, weights in steps:
        p = np.ones(len(rows)) if prior is None else np.asarray(prior)[rows]
        for row, weight in zip(rows, weights / p * p.sum(), strict=True):
            found[row].append(weight)
    return np.array([np.mean(values) if values else np.nan for values in found])
