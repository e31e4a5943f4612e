"""A cheap signature of what was computed: where it changes, a way has to be looked at again."""

from __future__ import annotations

from typing import Any

from torch import Tensor

Signature = frozenset[Any]


def signature(losses: Tensor) -> Signature:
    """Names of the nodes of the graph of losses (n,), and whether they occur more than once.

    Of those that parameters go into, also whether they have fewer rows than there are examples, as
    many, or more; and whether there is one example only, which cannot show that examples interact.
    """
    n = len(losses)
    counts: dict[str, bool] = {}  # by name: whether it occurs more than once
    rows: set[tuple[str, int]] = set()
    todo = [] if losses.grad_fn is None else [losses.grad_fn]
    seen: set[Any] = set(todo)
    while todo:
        node = todo.pop()
        name = node.name()
        counts[name] = name in counts
        has_parameters = False
        for child, _ in node.next_functions:
            has_parameters |= hasattr(child, "variable")
            if child is not None and child not in seen:
                seen.add(child)
                todo.append(child)
        if has_parameters:
            shape = node._input_metadata[0].shape
            rows.add((name, (shape[0] > n) - (shape[0] < n) if len(shape) else -1))
    return frozenset({n == 1, *rows, *counts.items()})
