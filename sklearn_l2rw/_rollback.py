"""A failed fit leaves the net as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skorch import NeuralNet


def _states(net: NeuralNet) -> dict[str, dict[str, Any]]:
    names = [*net._modules, *net._criteria, *net._optimizers]
    holders = {name: getattr(net, name + "_", None) for name in names}
    return {
        name: copy.deepcopy(holder.state_dict())
        for name, holder in holders.items()
        if holder is not None and hasattr(holder, "state_dict")
    }


@contextmanager
def rollback(net: NeuralNet) -> Iterator[None]:
    """Undo on an exception what the block did to a net: attributes, parameters, history."""
    attributes = dict(vars(net))
    states = _states(net) if net.initialized_ else {}
    n_epochs = len(net.history_ or [])
    try:
        yield
    except BaseException:
        vars(net).clear()
        vars(net).update(attributes)
        for name, state in states.items():
            vars(net)[name + "_"].load_state_dict(state)
        if net.history_ is not None:
            del net.history_[n_epochs:]
        raise
