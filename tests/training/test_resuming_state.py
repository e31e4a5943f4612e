"""State in unlikely places: what modules, callbacks and optimizers keep for themselves."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR
from torch.optim.swa_utils import SWALR, AveragedModel
from torch.utils.data import Dataset, WeightedRandomSampler

from sklearn_l2rw import L2RWClassifier
from tests.small import MLP
from tests.training.test_resuming import CASES, X, Y, case, hold


def blend_by(share: float) -> Any:
    """Make a function that no pickle takes, as torch's get_ema_multi_avg_fn does."""

    def blend(means: Any, values: Any, n_averaged: Any) -> None:
        torch._foreach_lerp_(means, values, share)

    return blend


class Averaging(Callback):
    """Begins late, with objects that cannot be pickled, or that refer to the optimizer."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.mean = AveragedModel(net.module_, multi_avg_fn=blend_by(0.1))
        self.schedule: Any = None

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) == 2:
            self.schedule = SWALR(net.optimizer_, 0.05)

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        if self.schedule is not None:
            self.schedule.step()
        self.mean.update_parameters(net.module_)
        net.history.record_batch("mean", sum(p.sum().item() for p in self.mean.parameters()))


class Annealing(Callback):
    """Changes a parameter of its own, and one of the net; keeps a group of the optimizer."""

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = rate

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.group = net.optimizer_.param_groups[0]
        self.generator = np.random.default_rng(0)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        net.set_params(clean_loss_weight=0.9 / len(net.history))

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self.rate *= 0.95
        self.group["lr"] = self.rate * self.generator.random()


class Begun(Callback):
    """Begins with a history, as LoadInitState does."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        net.history.new_epoch()
        net.history.record("epoch", 1)


class Keeping(MLP):
    """Keeps values in attributes, and in buffers that are made and grow in training."""

    cache: Tensor | None
    seen: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.generator = np.random.default_rng(0)
        self.log: list[float] = []
        self.hidden = torch.zeros(())
        self.register_buffer("cache", None, persistent=False)
        self.register_buffer("seen", torch.zeros(1))

    def advance(self) -> None:
        self.log.append(self.generator.random())
        self.hidden = self.hidden + 0.01
        self.cache = self.seen = torch.full((len(self.log),), 0.1)

    def forward(self, X: Tensor) -> Tensor:
        shift = 0.0 if self.cache is None else self.cache.sum()
        return super().forward(X * sum(self.log) + self.hidden + shift)


class Advancing(Callback):
    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        net.module_.advance()


class Counting(torch.optim.SGD):
    n = 0

    def step(self, closure: Any = None) -> Any:
        self.n += 1
        self.param_groups[0]["lr"] = 0.1 / self.n
        return super().step(closure)


class Subclass(L2RWClassifier):
    """Has a state of its own, and goes on after callbacks were called."""

    n_steps = 0

    def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
        self.n_steps += 1
        return super().train_step_single(batch, **fit_params)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        super().notify(method_name, **cb_kwargs)
        if method_name == "on_batch_end" and cb_kwargs.get("training"):
            self.optimizer_.param_groups[0]["lr"] *= 0.95
        elif method_name == "on_epoch_end":
            self.optimizer_.param_groups[0]["lr"] += 0.01 * self.n_steps


class Drawing(Dataset[Any]):
    """Items that draw from generators of their own."""

    def __init__(self) -> None:
        self.numpy, self.old = np.random.default_rng(0), np.random.RandomState(0)
        self.parts = [random.Random(0)]
        self.torch = {"generator": torch.Generator()}

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> Any:
        noise = self.numpy.normal(size=4) + self.old.normal() + self.parts[0].random()
        return (X[i] + 0.1 * noise + torch.rand(1, generator=self.torch["generator"]).numpy()), Y[i]


def sampled(net: Any) -> Any:
    sampler = WeightedRandomSampler(np.arange(1.0, 31).tolist(), 24, generator=torch.Generator())
    return net.set_params(iterator_train__sampler=sampler, iterator_train__shuffle=False).fit(X, Y)


def normalized() -> Any:
    net = MLP(batch_norm=True)
    nn.utils.parametrizations.spectral_norm(net.outer)
    nn.utils.parametrizations.weight_norm(net.inner)
    return net


def one_cycle() -> list[Any]:
    return [LRScheduler(OneCycleLR, max_lr=0.2, total_steps=40, step_every="batch")]


def cyclic() -> list[Any]:
    return [LRScheduler(CyclicLR, base_lr=0.01, max_lr=0.1, step_size_up=3, step_every="batch")]


def lambdas() -> list[Any]:
    return [LRScheduler(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda n: 0.9**n)]


OWN = {
    "keeping": case(module=Keeping, callbacks=lambda: [Advancing()]),
    "annealing": case(callbacks=lambda: [Annealing()]),
    "averaging": case(callbacks=lambda: [Averaging()]),
    "cyclic": case(callbacks=cyclic, optimizer__momentum=0.9),
    "one cycle": case(callbacks=one_cycle, optimizer__momentum=0.9),
    "lambda": case(callbacks=lambdas),
    "class": case(callbacks=lambda: [LRScheduler]),
    "optimizer": case(optimizer=Counting),
    "subclass": case(kind=Subclass),
    "begun": case(callbacks=lambda: [Begun()]),
    "drawing": case(lambda net: net.fit(Drawing(), Y)),
    "drawing clean": case(lambda net: net.set_params(clean_set=Drawing()).fit(X, Y)),
    "sampler": case(sampled),
    "spectral norm": case(module=normalized),
}
QUICK = ("keeping", "annealing", "averaging", "subclass", "drawing")


@pytest.fixture(params=OWN)
def name(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(CASES, request.param, OWN[request.param])
    return str(request.param)


@pytest.mark.parametrize("name", QUICK, indirect=True)
def test_state_in_unlikely_places(name: str, tmp_path: Path) -> None:
    hold(name, tmp_path, every=20)


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN, indirect=True)
def test_state_in_unlikely_places_at_any_moment(name: str, tmp_path: Path) -> None:
    hold(name, tmp_path, every=5)
