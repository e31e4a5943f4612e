"""A fit that was killed goes on from its backup, and ends as one that was never interrupted."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler, Unfreezer
from skorch.dataset import ValidSplit
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from sklearn_l2rw import (
    ALGORITHM_1,
    BackupAndRestore,
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)
from tests.killed import Kill, KilledError, assert_same, generators, outcome, scramble
from tests.small import MLP

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
Y = np.where(X[:, 0] > 0, "yes", "no")
CLEAN = X[:9], Y[:9]
N_EPOCHS = 3


class Counting(Callback):
    """Has a state of its own, refers to the net, and writes into history and optimizer."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.net, self.n, self.lock = net, 0, threading.Lock()  # which cannot be pickled
        self.parameter = next(net.module_.parameters())

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        net.optimizer_.param_groups[0]["lr"] *= 0.9  # once an epoch
        net.module_.temperature *= 1.1
        net.module_.shift += 0.1

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        assert self.net is net
        assert self.parameter is next(net.module_.parameters())
        self.n += 1
        net.history.record_batch("n", self.n)
        assert isinstance(self.lock, type(threading.Lock()))


class Stateful(MLP):
    """Has state that no state_dict has."""

    shift: Tensor

    def __init__(self) -> None:
        super().__init__(dropout=0.3, batch_norm=True)
        self.temperature = 1.0
        self.register_buffer("shift", torch.zeros(()), persistent=False)

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X + self.shift) * self.temperature


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.LazyLinear(2)

    def forward(self, X: Tensor) -> Any:
        return self.linear(X)


class Augmented(Dataset[Any]):
    """Items that draw from all global generators."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> Any:
        noise = torch.randn(4).numpy() + np.random.normal(size=4) + random.random()
        return X[i] + 0.1 * noise.astype(np.float32), Y[i]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        for x, y in zip(X, Y, strict=True):
            yield x + torch.randn(4).numpy(), y


def net_of(
    kind: type[Any] = L2RWClassifier, module: Any = MLP, callbacks: Any = (), **settings: Any
) -> Any:
    defaults: dict[str, Any] = {
        "module__dropout": 0.3, "module__batch_norm": True, "clean_set": CLEAN, "batch_size": 8,
        "clean_batch_size": 4, "max_epochs": N_EPOCHS, "random_state": 0, "verbose": 0, "lr": 0.1,
    }  # fmt: skip
    if module is not MLP:
        defaults = {k: v for k, v in defaults.items() if not k.startswith("module__")}
    return kind(module, callbacks=list(callbacks), **(defaults | settings))


def fit(net: Any) -> Any:
    return net.fit(X, Y)


Case = tuple[Callable[..., Any], Callable[[Any], Any]]


def case(train: Callable[[Any], Any] = fit, **settings: Any) -> Case:
    def make(callbacks: list[Any]) -> Any:
        own = settings.get("callbacks", list)()
        return net_of(**{**settings, "callbacks": [*own, *callbacks]})

    return make, train


def with_weights(net: Any) -> Any:
    return net.fit(X, Y, sample_weight=np.linspace(0, 1, len(X)))


def numbers(net: Any) -> Any:
    return net.fit(X, X[:, 0])


def several(net: Any) -> Any:
    return net.fit(X, (X[:, :2] > 0).astype(int))


CASES: dict[str, Case] = {
    "default": case(),
    "validation": case(train_split=ValidSplit(3, stratified=True)),
    "epochs": case(record_weights="epochs", clean_set=9, warm_up=1),
    "weights": case(with_weights, class_weight={"yes": 2}),
    "algorithm 1": case(**ALGORITHM_1, optimizer=torch.optim.Adam),
    "global generators": case(random_state=None, clean_set=0.3),
    "random split": case(
        random_state=None,
        train_split=ValidSplit(0.3, stratified=True),
        callbacks=lambda: [EpochScoring("accuracy", on_train=True, name="train_acc")],
    ),
    "schedule": case(
        callbacks=lambda: [LRScheduler("CosineAnnealingLR", T_max=9, step_every="batch")],
        optimizer__momentum=0.9,
    ),
    "plateau": case(
        callbacks=lambda: [LRScheduler("ReduceLROnPlateau", patience=0, threshold=10.0)],
    ),
    "early stopping": case(
        callbacks=lambda: [EarlyStopping("train_loss", patience=2, threshold=10.0, load_best=True)],
        max_epochs=6,
    ),
    "counting": case(module=Stateful, callbacks=lambda: [Counting()]),
    "unfreezer": case(callbacks=lambda: [Unfreezer("inner.*", at=2)]),
    "lazy": case(module=Lazy),
    "augmented": case(lambda net: net.fit(Augmented(), None), classes=["no", "yes"]),
    "augmented, y": case(lambda net: net.fit(Augmented(), Y)),
    "loader's generator": case(
        lambda net: net.set_params(iterator_train__generator=torch.Generator()).fit(X, Y)
    ),
    "stream": case(
        lambda net: net.fit(Stream(), None), classes=["no", "yes"], iterator_train__shuffle=False
    ),
    "partial_fit": case(
        lambda net: net.partial_fit(X, Y, classes=["maybe", "no", "yes"]), module__n_outputs=3
    ),
    "lbfgs": case(optimizer=torch.optim.LBFGS, module__dropout=0.0, lr=0.01, batch_size=16),
    "regressor": case(
        numbers, kind=L2RWRegressor, module__n_outputs=1, clean_set=(X[:9], X[:9, 0])
    ),
    "binary": case(kind=L2RWBinaryClassifier, module__n_outputs=1),
    "multilabel": case(several, kind=L2RWMultilabelClassifier, clean_set=9),
}


QUICK = ("default", "global generators", "augmented", "counting")


def run(name: str, directory: Path | None, kill_at: int | None, seed: int) -> Any:
    """Fit in a new world, killed at a call; what it leaves, or None if it was killed."""
    make, train = CASES[name]
    calls: list[None] = []
    backup = [] if directory is None else [BackupAndRestore(directory, save_freq=2)]
    scramble(seed)
    net = make([("first", Kill(kill_at, calls)), *backup])
    try:
        train(net)
    except KilledError:
        return None
    return outcome(net, X), len(calls)


def hold(name: str, tmp_path: Path, every: int) -> None:
    """Kill a fit at every so manieth call of a callback, and hold the resumed ones to a whole."""
    expected, n_calls = run(name, None, None, seed=1)
    backed_up, _ = run(name, tmp_path / "never", None, seed=1)
    assert_same(backed_up, expected)
    assert not (tmp_path / "never").exists()
    moments = range(2, n_calls, every)  # the first call comes before anything is trained
    assert len(moments) > 1
    for at in moments:
        directory = tmp_path / str(at)
        assert run(name, directory, at, seed=1) is None
        resumed, _ = run(name, directory, None, seed=2)
        for generator in expected["unseeded"]:  # which are elsewhere in the other process
            assert resumed["unseeded"][generator] is not None
        assert_same(drop(resumed), drop(expected), f"{name}, killed at {at}")
        assert not directory.exists()


def drop(left: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in left.items() if key != "unseeded"}


@pytest.mark.parametrize("name", QUICK)
def test_a_killed_fit_ends_as_one_that_was_not(name: str, tmp_path: Path) -> None:
    hold(name, tmp_path, every=15)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_fit_may_be_killed_at_any_moment(name: str, tmp_path: Path) -> None:
    hold(name, tmp_path, every=1 if name == "default" else 4)


@pytest.mark.slow
def test_items_that_workers_augment(tmp_path: Path) -> None:
    CASES["workers"] = case(
        lambda net: net.fit(Augmented(), Y), iterator_train__num_workers=2, max_epochs=2
    )
    hold("workers", tmp_path, every=9)


@pytest.mark.parametrize("name", ["global generators", "random split", "augmented"])
def test_generators_are_left_where_the_whole_fit_leaves_them(name: str, tmp_path: Path) -> None:
    whole, _ = run(name, None, None, seed=1)
    assert run(name, tmp_path, 30, seed=1) is None
    scramble(2)
    other = generators()
    resumed, _ = run(name, tmp_path, None, seed=2)
    drawn = {
        "global generators": {"torch"},
        "random split": {"torch", "numpy"},
        "augmented": {"numpy", "random"},
    }[name]
    for generator, state in resumed["unseeded"].items():
        expected = whole["unseeded"] if generator in drawn else other
        assert_same(state, expected[generator], generator)


def test_a_run_may_be_killed_many_times(tmp_path: Path) -> None:
    expected, n_calls = run("default", None, None, seed=1)
    for seed in range(1, 30):
        found = run("default", tmp_path, 12, seed)
        if found is not None:
            break
    assert 3 < seed < 29
    assert_same(drop(found[0]), drop(expected))
    assert found[1] < 12 < n_calls
