"""Data sets whose items are dicts with the label, as those of Hugging Face."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from sklearn_l2rw import L2RWClassifier
from tests.small import X_CLEAN, Y_CLEAN, Y_NOISY, Record, X, Y, make_net, state_of


class Sum(nn.Module):
    """Logits of two inputs that have names."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        return {"logits": self.layer(torch.cat([a, b], 1).float())}


class Items(Dataset[Any]):
    """Dicts of two halves of a row, and of its label under some name."""

    def __init__(self, X: Any, y: Any, name: str = "labels", lists: bool = False) -> None:
        self.rows, self.codes, self.name, self.lists = X, y, name, lists

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict[str, Any]:
        halves = {"a": self.rows[i, :2], "b": self.rows[i, 2:]}
        if self.lists:
            halves = {name: half.tolist() for name, half in halves.items()}
        return {**halves, self.name: self.codes[i]}


class Stream(IterableDataset[Any]):
    def __init__(self, items: Items) -> None:
        self.items = items

    def __iter__(self) -> Any:
        return (self.items[i] for i in range(len(self.items)))


class Hub:
    """As a `datasets.Dataset`, which is no data set of torch's."""

    def __init__(self, items: Items) -> None:
        self.items = items
        self.column_names = ["a", "b", items.name]

    def set_format(self, kind: str) -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return [self.items[i][key] for i in range(len(self))]
        assert type(key) is int
        return self.items[key]


def halves(rows: Any) -> dict[str, Any]:
    return {"a": rows[:, :2], "b": rows[:, 2:]}


CLEAN = halves(X_CLEAN), Y_CLEAN
NAMES = np.array(["no", "yes"])


def net_of(**settings: Any) -> L2RWClassifier:
    return make_net(Sum, **{"clean_set": CLEAN, **settings})


def expected() -> L2RWClassifier:
    net = net_of()
    net.fit(halves(X), Y_NOISY)
    return net


def assert_same(net: L2RWClassifier, other: L2RWClassifier) -> None:
    for a, b in zip(state_of(net.module_).values(), state_of(other.module_).values(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("lists", [False, True], ids=["arrays", "lists"])
@pytest.mark.parametrize("name", ["labels", "label"])
def test_fit_and_predict(name: str, lists: bool) -> None:
    clean_set = Items(X_CLEAN, Y_CLEAN, name, lists)
    net = net_of(clean_set=clean_set, classes=[0, 1]).fit(Items(X, Y_NOISY, name, lists), None)
    by_arrays = expected()
    # a clean set that is asked for items is shuffled, and sums are rounded in another order
    assert_same(net, by_arrays)
    np.testing.assert_allclose(
        net.predict_proba(Items(X, Y_NOISY, name, lists)),
        by_arrays.predict_proba(halves(X)),
        rtol=1e-5,
    )
    assert net.example_weights_.shape == (len(X),)


def test_labels_may_be_of_any_kind() -> None:
    net = net_of(clean_set=Items(X_CLEAN, NAMES[Y_CLEAN]), classes=NAMES.tolist())
    net.fit(Items(X, NAMES[Y_NOISY]), None)
    assert_same(net, expected())
    assert set(net.predict(Items(X, NAMES[Y_NOISY]))) <= set(NAMES)


def test_a_hub_data_set_needs_no_classes() -> None:
    """Its column of labels is read."""
    net = net_of(clean_set=Hub(Items(X_CLEAN, NAMES[Y_CLEAN])))
    net.fit(Hub(Items(X, NAMES[Y_NOISY])), None)
    assert_same(net, expected())
    np.testing.assert_array_equal(net.classes_, NAMES)
    assert len(net.predict(Hub(Items(X, NAMES[Y_NOISY], "label")))) == len(X)
    mask = np.arange(len(X)) % 3 == 0
    assert net.set_params(clean_set=None).fit(Hub(Items(X, Y)), None, clean_mask=mask)
    assert net.set_params(clean_set=8).fit(Hub(Items(X, Y)), None).clean_indices_.shape == (8,)


def test_prediction_needs_no_labels() -> None:
    net = expected()

    class Unlabelled(Items):
        def __getitem__(self, i: int) -> dict[str, Any]:
            item = super().__getitem__(i)
            return {"a": item["a"], "b": item["b"]}

    proba = net.predict_proba(Unlabelled(X, Y))
    np.testing.assert_allclose(proba, net.predict_proba(halves(X)), rtol=1e-5)


def test_validation_and_callbacks() -> None:
    record = Record()
    valid = predefined_split(Items(X, Y))
    settings: dict[str, Any] = {"train_split": valid, "callbacks": [record], "classes": [0, 1]}
    net = net_of(**settings).fit(Items(X, Y_NOISY), None)
    assert net.history[-1]["valid_acc"] == net.score(halves(X), Y)
    assert all(set(batch[0]) == {"a", "b"} for batch in record.batches)


def collate(items: Sequence[dict[str, Any]]) -> Any:
    """As Hugging Face's collators: they get dicts, call the label so, and make a UserDict."""
    batch = default_collate([{k: torch.as_tensor(v) for k, v in i.items()} for i in items])
    batch["labels"] = batch.pop("label")
    return UserDict(batch)


def test_a_collate_function_gets_dicts() -> None:
    functions = {f"iterator_{part}__collate_fn": collate for part in ("train", "valid")}
    net = net_of(clean_set=Items(X_CLEAN, Y_CLEAN, "label"), classes=[0, 1], **functions)
    net.fit(Items(X, Y_NOISY, "label"), None)
    assert_same(net, expected())
    assert net.example_weights_.shape == (len(X),)  # rows are known
    assert len(net.predict(Items(X, Y_NOISY, "label"))) == len(X)


def test_a_stream() -> None:
    net = net_of(classes=[0, 1], iterator_train__shuffle=False)
    net.fit(Stream(Items(X, Y_NOISY)), None)
    assert_same(net, net_of(iterator_train__shuffle=False).fit(halves(X), Y_NOISY))


def test_a_loader_of_the_users_is_left_alone() -> None:
    loader = DataLoader(Items(X, Y_NOISY), batch_size=16)
    settings = {f"iterator_{part}": lambda *args, **kwargs: loader for part in ("train", "valid")}
    net = net_of(classes=[0, 1], **settings).fit(Items(X, Y_NOISY), None)
    assert len(net.predict(Items(X, Y_NOISY))) == len(X)
    assert loader.collate_fn is default_collate


# Bad items


def test_no_label() -> None:
    with pytest.raises(ValueError, match=r"keys \['a', 'b', 'target'\].*'labels' or 'label'"):
        net_of(classes=[0, 1]).fit(Items(X, Y, "target"), None)


def test_two_labels() -> None:
    class Both(Items):
        def __getitem__(self, i: int) -> dict[str, Any]:
            return {**super().__getitem__(i), "label": 0}

    with pytest.raises(ValueError, match=r"one of \['labels', 'label'\]"):
        net_of(classes=[0, 1]).fit(Both(X, Y), None)


class Ragged(Items):
    def __getitem__(self, i: int) -> dict[str, Any]:
        item = super().__getitem__(i)
        return {**item, "a": item["a"][: 1 + i % 2]}


@pytest.mark.parametrize("lists", [False, True], ids=["arrays", "lists"])
def test_ragged_items(lists: bool) -> None:
    with pytest.raises(ValueError, match=r"'a' have different shapes.*Pad.*collate_fn"):
        net_of(classes=[0, 1]).fit(Ragged(X, Y, lists=lists), None)


def test_text_that_is_left_in() -> None:
    class Text(Items):
        def __getitem__(self, i: int) -> dict[str, Any]:
            return {**super().__getitem__(i), "text": "words"}

    with pytest.raises(ValueError, match=r"text under 'text'.*remove_columns"):
        net_of(classes=[0, 1]).fit(Text(X, Y), None)
