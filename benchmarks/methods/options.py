"""What any net may be trained with, and what is free: a rival is not beaten by withholding it.

Each option is a callback, made for a number of steps, and works with the nets of the arms and with
this package's estimators alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from skorch.callbacks import Callback, GradientNormClipping
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, update_bn

MAX_NORM = 1.0


class Falling(Callback):
    """The learning rate falls linearly to zero over a number of steps.

    Step s of n is taken at ``lr * (1 - s / n)``, s = 0 .. n - 1. Each step multiplies the rate, so
    that other schedules, and stages that lower the rate, have their effect beside.
    """

    def __init__(self, n_steps: int) -> None:
        self.n_steps = n_steps

    def initialize(self) -> Falling:
        self.step_ = 0
        return self

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if not training:
            return
        left = max(self.n_steps - self.step_, 1)
        self.step_ += 1
        for group in net.optimizer_.param_groups:
            group["lr"] *= (left - 1) / left


class Averaged(Callback):
    """At the end of training, parameters are their mean over its last half.

    Stochastic weight averaging (Izmailov et al., 2018), at a rate that is not raised. The mean is
    taken after each step of the last ``n // 2`` of n epochs, the statistics of batch normalization
    are made anew. An arm of stages has each of them averaged, and goes on from the mean.
    """

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.epoch_ = 0
        self.mean_: AveragedModel | None = None

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.epoch_ += 1

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        n_epochs = getattr(net, "n_epochs_", net.max_epochs)
        if not training or self.epoch_ <= n_epochs - n_epochs // 2:
            return
        if self.mean_ is None:
            self.mean_ = AveragedModel(net.module_)
        self.mean_.update_parameters(net.module_)

    def on_train_end(self, net: Any, X: Any = None, **kwargs: Any) -> None:
        if self.mean_ is None:
            return
        net.module_.load_state_dict(self.mean_.module.state_dict())
        self.mean_ = None
        if any(isinstance(m, _BatchNorm) for m in net.module_.modules()):
            rows = torch.as_tensor(X, dtype=torch.float32, device=net.device)
            update_bn(torch.split(rows, net.batch_size), net.module_)


def _clipped(n_steps: int) -> Callback:
    return GradientNormClipping(MAX_NORM)


OPTIONS: dict[str, Callable[[int], Callback]] = {
    "clipped": _clipped,
    "falling": Falling,
    "averaged": lambda n_steps: Averaged(),
}
"""Makers of callbacks by the suffix of an arm's name, for a number of steps."""
