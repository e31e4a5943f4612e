"""Inputs and outputs that are several arrays: a dict or a sequence of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor


def map_leaves(function: Callable[[Any], Any], X: Any) -> Any:
    """Apply a function to each array of X, which may be a dict or a sequence of arrays."""
    if isinstance(X, Mapping):
        return {key: map_leaves(function, value) for key, value in X.items()}
    if type(X) in (tuple, list):  # not a PackedSequence, which is a named tuple
        return [map_leaves(function, value) for value in X]
    return function(X)


def copied(X: Any) -> Any:
    """Copy of the tensors of X, for a module that may write into its input.

    Without a graph: inputs are no functions of what is trained.
    """
    return map_leaves(lambda x: x.detach().clone() if isinstance(x, Tensor) else x, X)


def leaves(X: Any) -> list[Any]:
    """Arrays of X, in order."""
    found: list[Any] = []
    map_leaves(found.append, X)
    return found


def named_outputs(output: Any) -> dict[str, Any] | None:
    """What a module put out under names, without what is None; None where there are no names.

    Names have a mapping (as transformers' outputs are), a dataclass, and a named tuple one of whose
    names is `logits`; other tuples go by position, as in skorch.
    """
    if isinstance(output, Mapping):
        named = dict(output)
    elif is_dataclass(output) and not isinstance(output, type):
        named = {field.name: getattr(output, field.name) for field in fields(output)}
    elif "logits" in getattr(output, "_fields", ()):
        named = output._asdict()
    else:
        return None
    return {name: value for name, value in named.items() if value is not None}


def logits_of(output: Any) -> Any:
    """Of an output with names its `logits`, or its only entry; any other output as it is."""
    named = named_outputs(output)
    if named is None:
        return output
    if "logits" not in named and len(named) != 1:
        raise ValueError(
            f"The module returns a {type(output).__name__} with the entries {[*named]}, but "
            "expected a tensor, or an output with an entry 'logits'. Take a model with a head for "
            "the task, or wrap the module in one that returns its logits."
        )
    return named["logits"] if "logits" in named else next(iter(named.values()))
