"""A failed fit leaves the net as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from skorch import NeuralNet
from torch.nn.parameter import is_lazy

from .copying import lazily_cloned


def _states(net: NeuralNet) -> dict[str, dict[str, Any]]:
    names = [*net._modules, *net._criteria, *net._optimizers]
    holders: dict[str, Any] = {name: getattr(net, name + "_", None) for name in names}
    return {name: _state_of(holder) for name, holder in holders.items() if _has_state(holder)}


def _state_of(holder: Any) -> dict[str, Any]:
    """Copy of a component's state; what is frozen takes memory only if it is written."""
    state: dict[str, Any] = holder.state_dict()
    parameters = holder.named_parameters() if isinstance(holder, torch.nn.Module) else ()
    frozen = {name for name, p in parameters if not p.requires_grad}
    return {
        key: lazily_cloned(value) if key in frozen else _copied(value)
        for key, value in state.items()
    }


def _copied(state: Any) -> Any:
    """Copy of a state; `copy.deepcopy` takes ten times as long on tensors."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, Mapping):
        return {key: _copied(value) for key, value in state.items()}
    if type(state) in (list, tuple):
        return type(state)(map(_copied, state))
    return state if state is None or isinstance(state, (int, float, str)) else copy.deepcopy(state)


def _has_state(holder: Any) -> bool:
    """Whether there is anything to lose; lazy layers have not learned before their first batch."""
    if isinstance(holder, torch.nn.Module):
        return not any(is_lazy(tensor) for tensor in (*holder.parameters(), *holder.buffers()))
    return hasattr(holder, "state_dict")


def _restore(holder: Any, state: Mapping[str, Any]) -> None:
    if isinstance(holder, torch.optim.Optimizer):
        del holder.param_groups[len(state["param_groups"]) :]  # those that a callback has added
    holder.load_state_dict(state)


@contextmanager
def rollback(net: NeuralNet, *, keep: bool) -> Iterator[None]:
    """Undo on an exception what the block did to a net: attributes, parameters, history.

    What cannot be undone, since the net's structure has changed, is told in a note to it.

    Parameters
    ----------
    net : NeuralNet
        The net that is fitted.
    keep : bool
        Whether the fit goes on with the net's components. A fit that makes new ones does not
        touch the old, and they need not be copied.
    """
    attributes = dict(vars(net))
    states = _states(net) if keep else {}
    history = net.history_  # which a fit clears, and goes on writing in
    rows = list(history) if isinstance(history, list) else []
    try:
        yield
    except BaseException as error:
        vars(net).clear()
        vars(net).update(attributes)
        for name, state in states.items():
            try:
                _restore(vars(net)[name + "_"], state)
            except Exception as failure:
                error.add_note(f"The net's {name} could not be put back as it was: {failure}")
        if isinstance(history, list):
            history[:] = rows
        raise
