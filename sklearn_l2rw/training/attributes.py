"""What callbacks, modules and optimizers keep in attributes: patience, schedules, counters."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import random
from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from skorch.callbacks import EpochTimer
from torch import Tensor, nn

from .backup_callback import BackupAndRestore
from .recording import RECORDED

_NUMBERS = (bool, int, float)
_VALUES = (
    *_NUMBERS, complex, str, bytes, type(None), np.ndarray, np.generic,
    np.random.Generator, np.random.RandomState, random.Random, torch.Generator,
)  # fmt: skip
FREE = ("max_epochs", "device", "verbose", "warm_start", "callbacks")  # may differ on resuming
FITTED = (*RECORDED, "clean_position_", "integers_are_floats_", "meta_gradient_", "_chooser")
_LEFT = {  # of a net; what is put back otherwise, or free
    "clean_set_", "clean_sample_weight_", "clean_indices_", "_history_", "_average", *FREE, *FITTED,
}  # fmt: skip


@cache
def _internal() -> set[str]:
    """Attributes of all modules and optimizers; an optimizer loads torch's compiler."""
    of_optimizers = vars(torch.optim.SGD([torch.zeros(())])).keys()
    return vars(nn.Module()).keys() - {"training"} | of_optimizers


def names_left(net: Any) -> set[str]:
    """Attributes that a net has before training, and that no training changes: data, components.

    A callback may set parameters that are numbers, as `clean_loss_weight`.
    """
    parameters = set(net.get_params(deep=False))
    return {
        name
        for name, value in vars(net).items()
        if not (isinstance(value, _NUMBERS) if name in parameters else _is_value(value))
        or name.startswith("callbacks__")
    } | _LEFT


def attribute_states(net: Any, left: set[str], generators: Mapping[str, Any]) -> dict[str, Any]:
    """State of all that has some in attributes.

    What cannot be pickled gives its state_dict, if it has one, or is left out, as an open file is:
    a callback makes it anew when training begins. References to parts of the net and to the user's
    generators are kept as such.
    """
    names = {id(part): name for name, part in _parts(net, generators).items() if part is not None}
    found = {name: _changing(owner) for name, owner in _owners(net).items()}
    found["net"] = {key: value for key, value in vars(net).items() if key not in left}
    states: dict[tuple[str, str], Any] = {}
    content = _pickled(found, names)
    if content is None:
        for owner, attributes in found.items():
            for key in [*attributes]:
                if _pickled(attributes[key], names) is None:
                    value = attributes.pop(key)
                    if hasattr(value, "load_state_dict"):  # a schedule with a lambda, for instance
                        states[owner, key] = value.state_dict()
        content = _pickled(found, names)
    return {"pickled": content, "state_dicts": states}


def set_attribute_states(
    net: Any, states: Mapping[str, Any], generators: Mapping[str, Any]
) -> None:
    """Put the state back; attributes that were not there before stay as they are."""
    owners, parts = _owners(net), _parts(net, generators)
    for name, attributes in _Unpickler(io.BytesIO(states["pickled"]), parts).load().items():
        if name in owners:
            vars(owners[name]).update(attributes)
    for (name, key), state in states["state_dicts"].items():
        if name in owners:
            value = getattr(owners[name], key, None)
            if value is None:
                raise ValueError(
                    f"Got a backup with the state of {key!r} of {name}, which cannot be pickled, "
                    "but expected on_train_begin to make it, so that its state can be put back. "
                    "Make it there, without lambdas or functions in functions; or delete the "
                    "directory to begin anew."
                )
            value.load_state_dict(copy.deepcopy(state))


def _owners(net: Any) -> dict[str, Any]:
    owners: dict[str, Any] = {"net": net}
    for name in (*net._modules, *net._criteria, *net._optimizers):
        part = owners[name] = getattr(net, f"{name}_")
        if isinstance(part, nn.Module):
            owners |= {f"{name}.{key}": module for key, module in part.named_modules() if key}
    for name, callback in net.callbacks_:
        # a clock of another process tells nothing
        if not isinstance(callback, (EpochTimer, BackupAndRestore)):
            owners[f"callbacks.{name}"] = callback
    return {name: owner for name, owner in owners.items() if hasattr(owner, "__dict__")}


def _parts(net: Any, generators: Mapping[str, Any]) -> dict[str, Any]:
    """What attributes may refer to, by name."""
    parts = {**generators, **_owners(net), "history": net.history_}
    for name, part in [*parts.items()]:
        if isinstance(part, nn.Module):
            tensors = (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False))
            parts |= {f"{name}.{key}": tensor for key, tensor in tensors}
        elif isinstance(part, torch.optim.Optimizer):
            groups = enumerate(part.param_groups)
            parts |= {f"{name}.param_groups.{i}": group for i, group in groups}
    return parts


def _changing(owner: Any) -> dict[str, Any]:
    """Attributes that training may change.

    Of a callback these are all but its parameters, unless they are numbers; of other owners values
    alone, since an object of a module, as its configuration, may be shared.
    """
    held = vars(owner).items()
    if hasattr(owner, "on_train_begin"):
        own = inspect.signature(type(owner)).parameters
        return {key: v for key, v in held if key not in own or isinstance(v, _NUMBERS)}
    return {key: v for key, v in held if key not in _internal() and _is_value(v)}


def _is_value(value: Any) -> bool:
    if isinstance(value, Tensor):  # one with a graph is computed anew
        return not value.requires_grad
    if isinstance(value, Mapping):
        return all(_is_value(v) for pair in value.items() for v in pair)
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return all(map(_is_value, value))
    return isinstance(value, _VALUES)


def _pickled(value: Any, names: Mapping[int, str]) -> bytes | None:
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, names).dump(value)
    except Exception:  # of any class of the user's
        return None
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Pickles references to what has a name by that."""

    def __init__(self, file: Any, names: Mapping[int, str]) -> None:
        super().__init__(file)
        self.names = names

    def persistent_id(self, obj: Any) -> str | None:
        return self.names.get(id(obj))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, parts: Mapping[str, Any]) -> None:
        super().__init__(file)
        self.parts = parts

    def persistent_load(self, pid: str) -> Any:
        return self.parts[pid]
