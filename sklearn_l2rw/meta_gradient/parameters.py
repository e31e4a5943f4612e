"""Which parameters the meta-gradient is taken over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

MetaParameters = str | Sequence[str] | Callable[[str, nn.Parameter], bool] | None

_FORMS = (
    "None for all, 'last' for those of the last layer, a name or pattern such as "
    "'classifier.*', a list of these, or a callable (name, parameter) -> bool"
)


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that require a gradient, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def _last_layer(module: nn.Module) -> str:
    """Pattern of the parameters of the last module registered that has some to train."""
    last = ""
    for name, layer in module.named_modules():
        if any(p.requires_grad for p in layer.parameters(recurse=False)):
            last = name
    return f"{last}.*" if last else "*"


def select_parameters(
    module: nn.Module, meta_parameters: MetaParameters
) -> Mapping[str, nn.Parameter]:
    """Trainable parameters of a module that `meta_parameters` names.

    Raises
    ------
    TypeError
        If `meta_parameters` is none of the forms that it can have.
    ValueError
        If a pattern matches no parameter, or only frozen ones.

    """
    if meta_parameters is None:
        return trainable(module)
    if callable(meta_parameters):
        chosen = {name: p for name, p in module.named_parameters() if meta_parameters(name, p)}
        return _thawed(chosen, meta_parameters, module)
    patterns = [meta_parameters] if isinstance(meta_parameters, str) else meta_parameters
    if not isinstance(patterns, Sequence) or not all(isinstance(p, str) for p in patterns):
        raise TypeError(f"Got meta_parameters={meta_parameters!r}, but expected {_FORMS}.")
    chosen = {}
    for pattern in patterns:
        pattern = _last_layer(module) if pattern == "last" else pattern
        matched = {name: p for name, p in module.named_parameters() if fnmatchcase(name, pattern)}
        if not matched:
            _refuse_empty(pattern, module)
        chosen.update(matched)
    return _thawed(chosen, meta_parameters, module)


def _refuse_empty(pattern: Any, module: nn.Module) -> None:
    names = [name for name, _ in module.named_parameters()]
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    raise ValueError(
        f"Got meta_parameters={pattern!r}, which matches no parameter of the module. Expected "
        f"{_FORMS}. The module's parameters are: {shown}."
    )


def _thawed(
    chosen: Mapping[str, nn.Parameter], meta_parameters: Any, module: nn.Module
) -> dict[str, nn.Parameter]:
    if not chosen:
        _refuse_empty(meta_parameters, module)
    thawed = {name: p for name, p in chosen.items() if p.requires_grad}
    if not thawed:
        raise ValueError(
            f"Got meta_parameters={meta_parameters!r}, which matches only frozen parameters "
            f"({', '.join(chosen)}), but the weights come from gradients. Name at least one that "
            "requires a gradient."
        )
    return thawed
