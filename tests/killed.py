"""Fits that are killed in a process that lives on, and what they leave."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_l2rw.meta_gradient.memory import MEMORY


class KilledError(BaseException):
    """In the place of a signal that nothing survives."""


class Plan:
    """When to kill: it is no part of a fit, and cannot be backed up."""

    def __init__(self, at: int | None, calls: list[None]) -> None:
        self.at, self.calls = at, calls

    def __reduce__(self) -> Any:
        raise TypeError("Got a plan to pickle, but expected it to be left out.")


class Kill(Callback):
    """Kills a fit at a certain call of a callback."""

    error: type[BaseException] = KilledError

    def __init__(self, at: int | None, calls: list[None]) -> None:
        self.plan = Plan(at, calls)

    def _count(self, *args: Any, **kwargs: Any) -> None:
        self.plan.calls.append(None)
        if len(self.plan.calls) == self.plan.at:
            raise self.error

    on_train_begin = on_train_end = on_epoch_begin = on_epoch_end = _count
    on_batch_begin = on_batch_end = on_grad_computed = _count


def scramble(seed: int) -> None:
    """Put everything elsewhere, as in another process."""
    MEMORY.forget()
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def generators() -> dict[str, Any]:
    """States of the global generators."""
    numpy: Any = np.random.get_state(legacy=True)
    return {"torch": torch.get_rng_state(), "numpy": numpy[1:], "random": random.getstate()}


def outcome(net: Any, X: Any) -> dict[str, Any]:
    """Everything that a fit leaves; the global generators as ``unseeded``."""
    plain = {k: v for k, v in vars(net.module_).items() if isinstance(v, float)}
    average = net._average
    optimizer = net.optimizer_.state_dict()
    rows = [{k: v for k, v in row.items() if k != "dur"} for row in net.history.to_list()]
    found = {
        "parameters": net.module_.state_dict(), "plain": plain, "history": rows,
        "optimizer": optimizer, "learns": [p.requires_grad for p in net.module_.parameters()],
        "mean": None if average is None else (average.steps, average.mean, average.raw),
        "position": tuple(net.clean_position_), "states": net.generator_states_,
        "predictions": net.predict(X), "unseeded": generators(),
    }  # fmt: skip
    for name in ("example_weights_", "example_values_", "epoch_example_weights_"):
        found[name] = getattr(net, name, None)
    return found


def assert_same(got: Any, expected: Any, path: str = "") -> None:
    assert type(got) is type(expected), path
    if isinstance(got, dict):
        assert got.keys() == expected.keys(), path
        for key in got:
            assert_same(got[key], expected[key], f"{path}.{key}")
    elif isinstance(got, (list, tuple)):
        assert len(got) == len(expected), path
        for i, pair in enumerate(zip(got, expected, strict=True)):
            assert_same(*pair, f"{path}[{i}]")
    elif isinstance(got, Tensor):
        assert torch.equal(got.nan_to_num(7), expected.nan_to_num(7)), path
    elif isinstance(got, np.ndarray):
        np.testing.assert_array_equal(got, expected, path)
    else:
        assert got == expected or got != got, path
