"""Everything that a fit changes in a net, as a value that can be written to a file and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .averaging import Average
from .callback_states import callback_states, set_callback_states
from .fit_state import Fit
from .recording import RECORDED

_ATTRIBUTES = (*RECORDED, "clean_position_", "integers_are_floats_", "meta_gradient_", "_chooser")
_PLAIN = (bool, int, float, complex, str, type(None))

Snapshot = dict[str, Any]


def snapshot(net: Any, fit: Fit) -> Snapshot:
    """State of a net in a fit. Tensors are the net's own, and copied when they are written."""
    attributes = {name: vars(net)[name] for name in _ATTRIBUTES if name in vars(net)}
    if fit.reweighting is not None:
        attributes["clean_position_"] = fit.reweighting.clean_batches.position
    average = net._average
    return {
        "history": net.history_,
        "modules": {name: _module_state(m) for name, m in modules_of(net).items()},
        "optimizers": {name: o.state_dict() for name, o in _optimizers(net).items()},
        "average": None if average is None else (average.steps, average.mean, average.raw),
        "attributes": attributes,
        "fit": {name: getattr(fit, name) for name in ("record", "health", "log")},
        "callbacks": callback_states(net),
    }


def put_back(net: Any, fit: Fit, state: Snapshot) -> None:
    """Give a net and its fit a state; what it was trained on, and its components, are its own."""
    net.history_ = state["history"]
    for name, module in modules_of(net).items():
        _set_module_state(module, state["modules"][name])
    for name, optimizer in _optimizers(net).items():
        optimizer.load_state_dict(state["optimizers"][name])
    net._average = None
    if state["average"] is not None:
        net._average = Average(net.average)
        net._average.steps, net._average.mean, net._average.raw = state["average"]
    for name in _ATTRIBUTES:
        vars(net).pop(name, None)
    vars(net).update(state["attributes"])
    for name, value in state["fit"].items():
        setattr(fit, name, value)
    set_callback_states(net, state["callbacks"])


def shapes(state: Snapshot) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of the modules in a state."""
    return {
        f"{name}.{key}": tuple(tensor.shape)
        for name, module in state["modules"].items()
        for key, tensor in module["state_dict"].items()
        if isinstance(tensor, Tensor) and not is_lazy(tensor)
    }


def shapes_of(net: Any) -> dict[str, tuple[int, ...] | None]:
    """Shapes of the tensors of a net's modules; None where they are not known yet."""
    return {
        f"{name}.{key}": None if is_lazy(tensor) else tuple(tensor.shape)
        for name, module in modules_of(net).items()
        for key, tensor in module.state_dict().items()
        if isinstance(tensor, Tensor)
    }


def modules_of(net: Any) -> dict[str, nn.Module]:
    """Modules and criteria of a net, by name."""
    named = {name: getattr(net, f"{name}_") for name in (*net._modules, *net._criteria)}
    return {name: module for name, module in named.items() if isinstance(module, nn.Module)}


def _optimizers(net: Any) -> dict[str, Any]:
    named = {name: getattr(net, f"{name}_") for name in net._optimizers}
    return {name: o for name, o in named.items() if hasattr(o, "load_state_dict")}


def _module_state(module: nn.Module) -> dict[str, Any]:
    """What training may change: tensors, which of them learn, and numbers that modules keep."""
    state = module.state_dict()
    buffers = {name: b for name, b in module.named_buffers() if name not in state}
    return {
        "state_dict": state,
        "buffers": buffers,
        "learns": {name: p.requires_grad for name, p in module.named_parameters()},
        "plain": {name: _plain(part) for name, part in module.named_modules()},
    }


def _plain(module: nn.Module) -> dict[str, Any]:
    return {key: value for key, value in vars(module).items() if isinstance(value, _PLAIN)}


def _set_module_state(module: nn.Module, state: Mapping[str, Any]) -> None:
    module.load_state_dict(state["state_dict"])
    buffers, parameters = dict(module.named_buffers()), dict(module.named_parameters())
    for name, tensor in state["buffers"].items():
        buffers[name].data.copy_(tensor)
    for name, learns in state["learns"].items():
        if parameters[name].requires_grad != learns:  # what is lazy cannot be told
            parameters[name].requires_grad_(learns)
    parts = dict(module.named_modules())
    for name, plain in state["plain"].items():
        parts[name].__dict__.update(plain)
