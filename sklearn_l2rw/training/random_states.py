"""Where all generators stand that a fit may draw from, to begin there again in another process."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .accelerated import device_of

States = dict[str, Any]
_KINDS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
_NOT = (nn.Module, Tensor, type, ModuleType)  # that are looked into
_DEPTH = 4  # of objects in objects that are looked into for generators
_MOST = 100  # entries of a list that is looked into: longer ones are data


def generators_of(**roots: Any) -> dict[str, Any]:
    """Generators that objects of the user's hold, by name, as a Dataset or a sampler does."""
    seen: set[int] = set()
    return {name: g for key, root in roots.items() for name, g in _held(root, key, 0, seen)}


def _held(value: Any, name: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(value) in seen or depth > _DEPTH or isinstance(value, _NOT):
        return
    seen.add(id(value))
    if isinstance(value, _KINDS):
        if value not in (np.random.mtrand._rand, torch.default_generator):
            yield name, value
        return
    parts: Any = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    if isinstance(value, (list, tuple)):
        parts = dict(enumerate(value[:_MOST]))
    for key, part in [*parts.items()] if len(parts) <= _MOST else ():
        yield from _held(part, f"{name}.{key}", depth + 1, seen)


def random_states(net: Any, generators: Mapping[str, Any]) -> States:
    """States of the global generators, and of those that the user gave."""
    states: States = {
        "torch": torch.get_rng_state(),
        "random": random.getstate(),
        "numpy": np.random.get_state(),
    }
    device = device_of(net)
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states | {name: _state(generator) for name, generator in generators.items()}


def set_random_states(net: Any, generators: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    """Put generators to where they stood."""
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
        elif name in generators:
            _set_state(generators[name], state)


def _state(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, random.Random):
        return generator.getstate()
    return generator.get_state()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Names of the generators that were drawn from."""
    return {name for name in before if not _same(before[name], after.get(name))}


def only(states: Mapping[str, Any], names: Iterable[str]) -> States:
    """States of some of the generators."""
    return {name: states[name] for name in names if name in states}


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return bool(a == b)
