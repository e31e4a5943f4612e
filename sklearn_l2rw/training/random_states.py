"""Where all generators stand that a fit may draw from, to begin there again in another process."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from .accelerated import device_of

States = dict[str, Any]


def _of_user(net: Any) -> dict[str, torch.Generator]:
    """Generators among a net's parameters, as of a DataLoader or of its sampler."""
    held = dict(vars(net))
    for name, value in vars(net).items():
        held[f"{name}.generator"] = getattr(value, "__dict__", {}).get("generator")
    return {name: value for name, value in held.items() if isinstance(value, torch.Generator)}


def random_states(net: Any) -> States:
    """States of the global generators, and of those that the user gave."""
    states: States = {
        "torch": torch.get_rng_state(),
        "random": random.getstate(),
        "numpy": np.random.get_state(),
    }
    device = device_of(net)
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states | {name: generator.get_state() for name, generator in _of_user(net).items()}


def set_random_states(net: Any, states: Mapping[str, Any]) -> None:
    """Put generators to where they stood."""
    given = _of_user(net)
    for name, state in states.items():
        if name == "torch":
            torch.set_rng_state(state)
        elif name == "random":
            random.setstate(state)
        elif name == "numpy":
            np.random.set_state(state)
        elif name == "cuda":
            device = device_of(net)
            if device.type == "cuda":
                torch.cuda.set_rng_state(state, device)
        elif name in given:
            given[name].set_state(state)


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Names of the generators that were drawn from."""
    return {name for name in before if not _same(before[name], after.get(name))}


def only(states: Mapping[str, Any], names: Iterable[str]) -> States:
    """States of some of the generators."""
    return {name: states[name] for name in names if name in states}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, tuple) and isinstance(a[0], str):  # NumPy's
        return isinstance(b, tuple) and a[2:] == b[2:] and bool((a[1] == b[1]).all())
    return bool(a == b)
