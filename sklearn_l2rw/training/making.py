"""Errors that come up while a component is made: they say of which parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

_TOLD = (TypeError, ValueError, RuntimeError, AttributeError, OverflowError)


@contextmanager
def making(name: str, component: Any) -> Iterator[None]:
    """Say of an error in the block which component could not be made, and where to look."""
    try:
        yield
    except _TOLD as error:
        if type(error) not in _TOLD:  # of a kind of its own, which others may wait for
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        called = getattr(component, "__name__", None) or repr(component)
        raise kind(
            f"The {name}, {called}, could not be made: {error}. Expected a class, a function or an "
            f"instance that can, with its parameters: look at {name} and {name}__*."
        ) from error


def check_made(net: Any) -> None:
    """Check that a module is one of torch's, and that a criterion can be called."""
    # a subclass may give its module another name
    if hasattr(net, "module_") and not isinstance(net.module_, nn.Module):
        raise TypeError(
            f"Got module={net.module!r}, which makes a {type(net.module_).__name__}, but expected "
            "a torch.nn.Module, its class, or a function that makes one."
        )
    criterion = getattr(net, "criterion_", None)
    if criterion is not None and not callable(criterion):
        raise TypeError(
            f"Got criterion={net.criterion!r}, which makes a {type(criterion).__name__}, but "
            "expected a criterion of torch.nn, or what is called as these are."
        )
