"""What was chosen for an architecture is remembered in a process: a search of many fits pays once.

An architecture is all that may decide how a module computes, but for the numbers in its tensors:
the classes of its parts, their settings and functions, and the shapes of parameters and buffers.
What is remembered is held to the batch by its `signature` as ever, and looked at again in time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from functools import partial
from threading import Lock
from types import BuiltinFunctionType, FunctionType
from typing import Any
from weakref import ReferenceType

import torch
from torch import Tensor, nn

from .trial import Plan, has_backward_hooks

_MOST = 64  # architectures that are remembered


def architecture(modules: Iterable[nn.Module], *more: Hashable) -> Hashable | None:
    """Key of an architecture; None if it holds something that cannot be told from another."""
    parts: list[Hashable] = [torch.is_autocast_enabled(), torch.is_inference_mode_enabled(), *more]
    for m in modules:
        settings = _settings(m)
        if settings is None:
            return None
        tensors = {**m._parameters, **m._buffers}
        kinds = tuple((name, _kind(t)) for name, t in tensors.items())
        parts.append((_frozen(type(m)), settings, has_backward_hooks([m]), kinds))
    return tuple(parts)


def _settings(module: nn.Module) -> Hashable | None:
    own_key = getattr(type(module), "settings_key", None)
    if own_key is not None:  # one of our own, around a user's module
        own = {"key": own_key(module)}
    else:
        own = {k: v for k, v in vars(module).items() if k not in _BOOKKEEPING}
    found = _frozen(own)
    return None if found is _UNKNOWN else found


_BOOKKEEPING = frozenset(vars(nn.Module())) - {"training"}
_UNKNOWN = object()
_PLAIN = (
    bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, type,
    FunctionType, BuiltinFunctionType,
)  # fmt: skip
_DEEPEST = 12


def _frozen(value: Any, depth: int = 0) -> Any:
    """Value of a setting as a key: functions are themselves, other objects what they hold."""
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, ReferenceType):  # to parameters that the module holds, in recurrent nets
        return _frozen(value(), depth + 1)
    if isinstance(value, nn.Module):  # held where its settings are not looked at
        return _UNKNOWN
    if isinstance(value, Tensor):
        return _kind(value)
    if isinstance(value, (set, frozenset)):
        members = frozenset(_frozen(each, depth + 1) for each in value)
        return _UNKNOWN if _UNKNOWN in members else (type(value), members)
    if isinstance(value, partial):
        held: Any = (value.func, value.args, value.keywords)
    elif isinstance(value, Mapping):
        held = [*value.items()]
    elif isinstance(value, (list, tuple)):
        held = value
    else:
        held = [*vars(value).items()] if hasattr(value, "__dict__") else _UNKNOWN
    if held is _UNKNOWN or depth == _DEEPEST:
        return _UNKNOWN
    found = tuple(_frozen(each, depth + 1) for each in held)
    return _UNKNOWN if any(each is _UNKNOWN for each in found) else (type(value), found)


def _kind(tensor: Tensor | None) -> Hashable:
    if tensor is None:
        return None
    return tuple(tensor.shape), tensor.dtype, tensor.device, tensor.requires_grad


class Memory:
    """Plans by architecture, of which the one that was used longest ago is forgotten."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Hashable, Plan] = OrderedDict()
        self._lock = Lock()  # fits may run at once in threads

    def recall(self, key: Hashable | None) -> Plan | None:
        """Plan of the same architecture, of a life of its own."""
        with self._lock:
            known = None if key is None else self._plans.get(key)
            if known is None:
                return None
            self._plans.move_to_end(key)
        return Plan(known.way, known.context, set(known.verified))

    def remember(self, key: Hashable | None, plan: Plan) -> None:
        """Keep a plan, with what it was found to be right for."""
        if key is None:
            return
        with self._lock:
            self._plans[key] = Plan(plan.way, plan.context, set(plan.verified))
            self._plans.move_to_end(key)
            while len(self._plans) > _MOST:
                self._plans.popitem(last=False)

    def forget(self) -> None:
        """Forget everything."""
        with self._lock:
            self._plans.clear()


MEMORY = Memory()
