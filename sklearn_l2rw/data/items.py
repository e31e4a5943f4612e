"""Items of the user's data sets, and batches of them: pairs, or dicts that have the label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch.utils.data import Dataset, default_collate

from .arrays import for_torch

LABELS = ("labels", "label")  # as in data sets and collators of Hugging Face


def label_key(item: Mapping[str, Any]) -> str | None:
    """Key under which a dict has the label; None where it has none."""
    found = [name for name in LABELS if name in item]
    if len(found) > 1:
        raise ValueError(
            f"Got a dict with the keys {[*item]}, but expected one of {found}, for the label. "
            "Remove the other."
        )
    return found[0] if found else None


def as_pair(batch: Any, source: str) -> tuple[Any, Any]:
    """X and y of a batch or an item that a loader or a data set of the user's yields."""
    if isinstance(batch, Mapping):
        key = label_key(batch)
        if key is None:
            raise ValueError(
                f"Got a dict with the keys {[*batch]} from {source}, but expected a label among "
                f"them, under {' or '.join(map(repr, LABELS))}, or a pair (X, y)."
            )
        return {name: value for name, value in batch.items() if name != key}, batch[key]
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    several = isinstance(batch, (tuple, list))
    got = f"{len(batch)} values" if several else f"1 value, a {type(batch).__name__},"
    raise ValueError(
        f"Got {got} from {source}, but expected exactly 2 values, X and y. Put several inputs "
        "into X, as a dict or a tuple, and weights of examples into sample_weight."
    )


def with_label(item: Any, y: Any, source: str = "a Dataset") -> Any:
    """Return an item with another label, in the form that it has, for a collate_fn to know it."""
    X, _ = as_pair(item, source)
    if isinstance(item, Mapping):
        return {**item, str(label_key(item)): y}
    return X, y


def _column(name: str, values: list[Any]) -> list[Any]:
    """Values of one key as torch's own collate function takes them: lists become arrays."""
    column = [np.asarray(value) if isinstance(value, list) else value for value in values]
    if name not in LABELS and any(isinstance(x, str) for x in column):
        raise ValueError(
            f"Got items with text under {name!r}, which a module cannot take. Leave it out, by "
            f"dataset.remove_columns({name!r}), or make numbers of it in a collate function, "
            "iterator_train__collate_fn and iterator_valid__collate_fn."
        )
    shapes = {np.shape(x) for x in column if hasattr(x, "shape")}
    if len(shapes) > 1:
        raise ValueError(
            f"Got items whose {name!r} have different shapes, {sorted(shapes)[:3]}, but "
            "expected one shape to make a batch of. Pad them, in the tokenizer "
            "(padding='max_length') or by a collate function: iterator_train__collate_fn (and "
            "iterator_valid__collate_fn) = DataCollatorWithPadding(tokenizer), for instance."
        )
    return column


def _for_torch(item: Any) -> Any:
    """Return an item, with copies of the arrays that torch warns of, as rows of a map are."""
    if type(item) in (tuple, list):
        return type(item)(map(_for_torch, item))
    return for_torch(item, writable=True)


def stack_items(items: list[Any]) -> Any:
    """Make a batch as torch does, but of dicts with lists, which are rows here and there columns.

    To be given to a loader that would do it torch's way.
    """
    if not all(isinstance(item, Mapping) for item in items):
        return default_collate([_for_torch(item) for item in items])
    columns = {name: _column(name, [item[name] for item in items]) for name in items[0]}
    return {name: default_collate(column) for name, column in columns.items()}


def stacking(loader: Any) -> Any:
    """Let a new DataLoader that stacks items do so by `stack_items`."""
    if loader.collate_fn is default_collate:
        loader.collate_fn = stack_items
    return loader


class Listed(Dataset[Any]):
    """A data set of Hugging Face's, which is none of torch's, as one of torch's."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[int(index)]
