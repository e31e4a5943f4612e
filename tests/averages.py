"""Nets whose parameters are averaged, what is seen of them, and the mean by its formula."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sklearn_l2rw import L2RWClassifier
from tests.small import MLP, Record, make_net, same_state, state_of

States = list[dict[str, Tensor]]


class Epochs(Record):
    """Remembers, beside the steps, the net between epochs."""

    def clear(self) -> None:
        super().clear()
        self.epochs: States = []

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.epochs.append(state_of(net.module_))


def averaged(module: Any = MLP, **settings: Any) -> tuple[L2RWClassifier, Epochs]:
    """Net of the estimator's default, and what is seen of it."""
    record = Epochs()
    callbacks = [("record", record), *settings.pop("callbacks", [])]
    settings = {"average": 0.5, "module__dtype": torch.float64, "max_epochs": 3, **settings}
    return make_net(module, callbacks=callbacks, **settings), record


def mean_of(states: States, share: float = 0.5) -> dict[str, Tensor]:
    """Mean of parameters after each step, by the formula of the module's docstring."""
    k = 2 / share - 2
    mean = {name: value.clone() for name, value in states[0].items()}
    for t, state in enumerate(states, start=1):
        for name, value in state.items():
            mean[name] = mean[name] + (k + 1) / (t + k) * (value - mean[name])
    return mean


def parameters_of(net: L2RWClassifier) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in net.module_.named_parameters()}


def same_parameters(net: L2RWClassifier, state: dict[str, Tensor], atol: float = 1e-12) -> bool:
    """Whether a net has these parameters, whatever its buffers."""
    own = parameters_of(net)
    return same_state(own, {name: state[name] for name in own}, atol=atol)
