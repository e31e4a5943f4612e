"""Everything that a fit changes in a net, as a value that can be written to a file and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .attributes import FITTED, attribute_states, set_attribute_states
from .averaging import Average
from .fit_state import Fit

Snapshot = dict[str, Any]


def snapshot(net: Any, fit: Fit, left: set[str], generators: Mapping[str, Any]) -> Snapshot:
    """State of a net in a fit. Tensors are the net's own, and copied when they are written."""
    attributes = {name: vars(net)[name] for name in FITTED if name in vars(net)}
    if fit.reweighting is not None:
        attributes["clean_position_"] = fit.reweighting.clean_batches.position
    average = net._average
    return {
        "history": net.history_,
        "modules": {name: _module_state(m) for name, m in net._averaged_modules().items()},
        "optimizers": {name: o.state_dict() for name, o in _optimizers(net).items()},
        "average": None if average is None else (average.steps, average.mean, average.raw),
        "attributes": attributes,
        "fit": {name: getattr(fit, name) for name in ("record", "health", "log")},
        "held": attribute_states(net, left, generators),
    }


def put_back(net: Any, fit: Fit, state: Snapshot, generators: Mapping[str, Any]) -> None:
    """Give a net and its fit a state; what it was trained on, and its components, are its own."""
    net.history_ = state["history"]
    for name, module in net._averaged_modules().items():
        _set_module_state(module, state["modules"][name])
    for name, optimizer in _optimizers(net).items():
        optimizer.load_state_dict(state["optimizers"][name])
    net._average = None
    if state["average"] is not None:
        net._average = Average(net.average)
        net._average.steps, net._average.mean, net._average.raw = state["average"]
    for name in FITTED:
        vars(net).pop(name, None)
    vars(net).update(state["attributes"])
    for name, value in state["fit"].items():
        setattr(fit, name, value)
    set_attribute_states(net, state["held"], generators)


def shapes(state: Snapshot) -> dict[str, tuple[int, ...] | None]:
    """Shapes of the parameters of the modules in a state; None where they were not known yet."""
    return {
        f"{name}.{key}": shape
        for name, module in state["modules"].items()
        for key, shape in module["shapes"].items()
    }


def shapes_of(net: Any) -> dict[str, tuple[int, ...] | None]:
    """Shapes of the parameters of a net's modules."""
    states = {name: {"shapes": _shapes(module)} for name, module in net._averaged_modules().items()}
    return shapes({"modules": states})


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...] | None]:
    return {n: None if is_lazy(p) else tuple(p.shape) for n, p in module.named_parameters()}


def _optimizers(net: Any) -> dict[str, Any]:
    named = {name: getattr(net, f"{name}_") for name in net._optimizers}
    return {name: o for name, o in named.items() if hasattr(o, "load_state_dict")}


def _module_state(module: nn.Module) -> dict[str, Any]:
    """What training may change: tensors, and which of them learn."""
    return {
        "state_dict": module.state_dict(),
        "buffers": {name: b for name, b in _buffers(module).items() if not is_lazy(b)},
        "learns": {name: p.requires_grad for name, p in module.named_parameters()},
        "shapes": _shapes(module),
    }


def _set_module_state(module: nn.Module, state: Mapping[str, Any]) -> None:
    buffers, parameters = _buffers(module), dict(module.named_parameters())
    for name, tensor in state["buffers"].items():
        now = buffers.get(name)
        if now is not None and is_lazy(now):
            continue  # made by load_state_dict
        if now is not None and now.shape == tensor.shape:
            now.data.copy_(tensor)
        else:  # one that is made, or grows, in training
            path, _, key = name.rpartition(".")
            module.get_submodule(path)._buffers[key] = tensor.to(_device(module))
    module.load_state_dict(state["state_dict"])
    for name, learns in state["learns"].items():
        if parameters[name].requires_grad != learns:  # what is lazy cannot be told
            parameters[name].requires_grad_(learns)


def _buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    return dict(module.named_buffers(remove_duplicate=False))


def _device(module: nn.Module) -> torch.device:
    tensors = (*module.parameters(), *module.buffers())
    return next((t.device for t in tensors), torch.device("cpu"))
