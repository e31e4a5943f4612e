"""In which order a `collate_fn` of the user's puts the items of a batch."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ..nested import leaves
from .items import as_pair, with_label

Collate = Callable[[list[Any]], Any]


def order_of(collate: Collate, items: list[Any]) -> tuple[Any, list[int] | None]:
    """Make a batch, and find out which item each of its examples was.

    The `collate_fn` is asked a second time, for the same items with marks in place of their
    targets: the marks say which item went where. Since it may go by the targets themselves, that
    is believed only where the batch has the items' targets in that order, and their inputs: as
    they are, up to padding, or as it makes them of each item alone. The global generators are
    afterwards where one call leaves them.

    Parameters
    ----------
    collate : callable
        Makes a batch (X, y) of items.
    items : list of (X, y)
        Their targets are tensors.

    Returns
    -------
    batch : object
        What `collate` makes of the items.
    order : list of int or None
        Number of the item that each example was; None where that cannot be told.
    """
    before = _generators()
    batch = collate(items)
    after = _generators()
    _set_generators(before)
    try:
        targets = [as_pair(item, "a Dataset")[1] for item in items]
        marked = [
            with_label(item, torch.full_like(y, i))
            for i, (item, y) in enumerate(zip(items, targets, strict=True))
        ]
        marks = np.asarray(_pair(collate(marked))[1]).reshape(len(items), -1)[:, 0]
        order = [int(mark) for mark in marks]
        complete = sorted(order) == list(range(len(items)))
        known = complete and _has(_pair(batch), [items[i] for i in order], collate)
    except Exception:  # of the user's code, which was not made for marks
        known = False
    finally:
        _set_generators(after)
    return batch, order if known else None


def _pair(batch: Any) -> tuple[Any, Any]:
    return as_pair(batch, "a collate_fn")


def _has(batch: Any, items: Sequence[Any], collate: Collate) -> bool:
    """Whether a batch has these items, in this order."""
    pairs = [as_pair(item, "a Dataset") for item in items]
    y = np.stack([np.asarray(target).ravel() for _, target in pairs])
    if not np.array_equal(np.asarray(batch[1]).reshape(y.shape), y):
        return False
    parts = [np.asarray(part) for part in leaves(batch[0])]
    return _hold(parts, [_inputs_of(X) for X, _ in pairs]) or _hold(
        parts,
        [[np.asarray(part)[0] for part in leaves(_pair(collate([item]))[0])] for item in items],
    )


def _inputs_of(X: Any) -> list[Any]:
    """Arrays of an item's inputs, of which a list of numbers is one."""
    if isinstance(X, Mapping):
        return [x for value in X.values() for x in _inputs_of(value)]
    if type(X) in (tuple, list) and not all(isinstance(x, (int, float)) for x in X):
        return [x for value in X for x in _inputs_of(value)]
    return [X]


def _hold(parts: Sequence[Any], inputs: Sequence[Sequence[Any]]) -> bool:
    """Whether the arrays of a batch are those of its examples."""
    return all(any(_holds(part, column) for part in parts) for column in zip(*inputs, strict=True))


def _holds(part: Any, column: Sequence[Any]) -> bool:
    """Whether rows of an array are these, end to end or up to padding.

    Batches may come second, after time.
    """
    rows = [np.asarray(x) for x in column]
    if all(row.ndim for row in rows) and np.array_equal(part, np.concatenate(rows)):
        return True
    turned = [part, part.swapaxes(0, 1)] if part.ndim > 1 else [part]
    return any(len(array) == len(rows) and all(map(_is_padded, array, rows)) for array in turned)


def _is_padded(row: Any, x: Any) -> bool:
    extra = np.subtract(row.shape, x.shape) if row.ndim == x.ndim else np.array([-1])
    if (extra < 0).any():
        return False
    first = row[tuple(slice(n) for n in x.shape)]
    last = row[tuple(slice(n, None) for n in extra)]
    return np.array_equal(first, x) or np.array_equal(last, x)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Put the global generators back on leaving."""
    before = _generators()
    try:
        yield
    finally:
        _set_generators(before)


def _generators() -> tuple[Any, ...]:
    return torch.get_rng_state(), random.getstate(), np.random.get_state()


def _set_generators(states: tuple[Any, ...]) -> None:
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])
