"""What callbacks have learned in a fit: patience, schedules, best scores."""

from __future__ import annotations

import inspect
import io
import pickle
from collections.abc import Mapping
from typing import Any

from skorch.callbacks import EpochTimer
from torch import nn

_STATE_DICT, _PICKLE = "state_dict", "pickle"


def callback_states(net: Any) -> dict[str, dict[str, Any]]:
    """State of each callback, by name.

    That is all its attributes but for its parameters. What cannot be pickled, as an open file or a
    progress bar, is left out: a callback makes it anew when training begins. References to the net
    and to its parts are kept as such.
    """
    names = {id(part): name for name, part in _parts(net).items() if part is not None}
    return {
        name: {
            key: kept
            for key, value in vars(callback).items()
            if key not in _parameters(callback)
            and (kept := _kept(value, names)) is not None
        }
        for name, callback in net.callbacks_
        if not isinstance(callback, EpochTimer)  # a clock of another process tells nothing
    }  # fmt: skip


def set_callback_states(net: Any, states: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the states of callbacks back; those that were not there before stay as they are."""
    parts = _parts(net)
    for name, callback in net.callbacks_:
        for key, (kind, content) in states.get(name, {}).items():
            if kind == _STATE_DICT:
                getattr(callback, key).load_state_dict(content)
            else:
                setattr(callback, key, _Unpickler(io.BytesIO(content), parts).load())


def _parameters(callback: Any) -> set[str]:
    return set(inspect.signature(type(callback)).parameters)


def _parts(net: Any) -> dict[str, Any]:
    """What a callback may refer to, by name."""
    parts = {"net": net, "history": net.history_}
    for name in (*net._modules, *net._criteria, *net._optimizers):
        part = parts[name] = getattr(net, f"{name}_")
        if isinstance(part, nn.Module):
            parts.update({f"{name}.{key}": m for key, m in part.named_modules() if key})
            parts.update({f"{name}.{key}": p for key, p in part.named_parameters()})
    parts.update({f"callbacks.{name}": callback for name, callback in net.callbacks_})
    return parts


def _kept(value: Any, names: Mapping[int, str]) -> tuple[str, Any] | None:
    is_component = isinstance(value, (nn.Module, type)) or id(value) in names
    if hasattr(value, "load_state_dict") and not is_component:  # a schedule, for instance
        return _STATE_DICT, value.state_dict()
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, names).dump(value)
    except Exception:  # of any class of the user's
        return None
    return _PICKLE, buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Pickles references to the parts of a net by their names."""

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
