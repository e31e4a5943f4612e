"""A copy of a component that was given as an instance, which is not altered by training."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy


def lazily_cloned(tensor: Tensor) -> Tensor:
    """Clone of a tensor that takes memory of its own when one of the two is written, if it can.

    torch cannot where the memory is NumPy's, a file or shared with other processes.
    """
    try:
        clone: Tensor = torch._lazy_clone(tensor.detach())
    except (RuntimeError, AttributeError):
        return tensor.detach().clone()
    return clone


def copy_of(component: Any) -> Any:
    """Copy a module or criterion that was given; what is frozen takes memory once it is written.

    Raises
    ------
    ValueError
        If torch cannot copy it.

    """
    if not isinstance(component, nn.Module):
        return copy.deepcopy(component)
    _check_copyable(component)
    memo: dict[int, Any] = {}
    for owner in component.modules():
        for name, value in vars(owner).items():
            if isinstance(value, Tensor) and not value.is_leaf and _is_made_anew(owner, name):
                memo[id(value)] = value.detach().clone()
    for p in component.parameters():
        if not p.requires_grad and type(p) is nn.Parameter:
            memo[id(p)] = nn.Parameter(lazily_cloned(p.data), requires_grad=False)
    try:
        return copy.deepcopy(component, memo)
    except RuntimeError as error:
        raise ValueError(
            f"Got an instance of {type(component).__name__}, which torch cannot copy "
            f"({str(error).splitlines()[0]}), but expected one that can be, since a module of "
            "yours is not altered. It has tensors that were computed of its parameters: detach "
            "them, or give the class or a function that makes the module, module=make_net."
        ) from error


def _is_made_anew(owner: nn.Module, name: str) -> bool:
    """Whether a tensor is computed before each pass, as by old-style norms of weights."""
    return any(getattr(hook, "name", None) == name for hook in owner._forward_pre_hooks.values())


def _check_copyable(module: nn.Module) -> None:
    names = [name for name, buffer in module.named_buffers() if is_lazy(buffer)]
    if names:
        raise ValueError(
            f"Got a module instance of {type(module).__name__} with lazy buffers {names}, which "
            "torch cannot copy, but expected one that can be, since a module of yours is not "
            "altered. Give the class, module=MyNet, or pass one batch through the instance before."
        )
