"""By what a fit is recognised: parameters, callbacks, data."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from skorch.callbacks import Checkpoint, LRScheduler, TrainEndCheckpoint
from torch import Tensor, nn

from ..data.checksum import checksum
from ..data.rows import take_rows
from .attributes import FREE
from .backup_callback import BackupAndRestore
from .fit_state import Fit

_LOOKED_AT = 1000  # rows of X by which data are recognised
_DEPTH = 4  # of objects in objects
_PLAIN = (bool, int, float, complex, str, type(None))


def description(net: Any, fit: Fit, n_before: int) -> dict[str, Any]:
    """What has to be the same for a fit to go on from a backup."""
    about: dict[str, Any] = {"estimator": type(net).__qualname__}
    for name, value in sorted(net.get_params(deep=False).items()):
        is_data = name == "clean_set" and not isinstance(value, (int, float))
        if not (is_data or name in FREE or name.startswith("callbacks__")):
            about[name] = described(value)
    about |= dict(_of_callbacks(net))
    examples, clean = fit.examples, fit.clean
    classes = getattr(net.targets_, "classes", None)
    return about | {
        "classes": None if classes is None else np.asarray(classes).tolist(),
        "epochs before": n_before,
        "rows": fit.n_rows,
        "data": _recognised(examples.inputs, examples.n, (examples.targets, fit.weight)),
        "clean set": _recognised(clean.inputs, clean.n, (clean.targets, fit.clean_weight)),
    }


def _of_callbacks(net: Any) -> Iterator[tuple[str, Any]]:
    """Callbacks and their parameters, but for those that only show or save."""
    for name, given in net._uniquely_named_callbacks():
        callback = vars(net).get(f"callbacks__{name}", given)
        kind = callback if isinstance(callback, type) else type(callback)
        saves = issubclass(kind, (Checkpoint, TrainEndCheckpoint, BackupAndRestore))
        if callback is None or saves or kind.__module__ == "skorch.callbacks.logging":
            continue
        own = inspect.signature(kind).parameters
        params = {} if kind is callback else {k: v for k, v in vars(callback).items() if k in own}
        if isinstance(callback, LRScheduler):
            params |= callback.kwargs
        params |= net.get_params_for(f"callbacks__{name}")
        yield f"callbacks__{name}", kind.__qualname__
        for key, value in sorted(params.items()):
            yield f"callbacks__{name}__{key}", described(value)


def described(value: Any, depth: int = 0) -> Any:
    """What tells a parameter from others, and is the same in another process."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _PLAIN):
        return value
    if depth > _DEPTH:
        return type(value).__qualname__
    if isinstance(value, (np.ndarray, Tensor)):
        return tuple(value.shape), checksum(value)
    if isinstance(value, Mapping):
        return {str(key): described(part, depth + 1) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(part, depth + 1) for part in value]
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    held = {} if isinstance(value, (nn.Module, type)) else getattr(value, "__dict__", {})
    return [name, described(held, depth + 1)] if held else name


def _recognised(inputs: Any, n: int, columns: Any) -> int:
    """Number that tells data from others: of all targets, and of some rows."""
    held = [column for column in columns if column is not None]
    if inputs is not None and n:
        held.append(take_rows(inputs, np.unique(np.linspace(0, n - 1, _LOOKED_AT).astype(int))))
    return checksum(held)
