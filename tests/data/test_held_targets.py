"""Labels that a Dataset holds are read, so that classes need not be named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from sklearn_l2rw import L2RWRegressor, rank_label_errors
from tests.small import MLP, SETTINGS, X_CLEAN, Y_CLEAN, Y_NOISY, X, Y, make_net


class Held(Dataset[Any]):
    """Holds its labels under some names, as torchvision's data sets do."""

    def __init__(self, X: Any, y: Any, *names: str, **others: Any) -> None:
        self.rows, self.codes = X, y
        for name in names:
            setattr(self, name, y)
        for name, value in others.items():
            setattr(self, name, value)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return self.rows[i], self.codes[i]


class Random(Held):
    def __getitem__(self, i: int) -> tuple[Any, Any]:
        x, y = super().__getitem__(i)
        return x + 0 * torch.rand(4).numpy(), y


TABLE = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y_NOISY))
ORDER = [*range(41, -1, -1)]
DATASETS = {
    "targets": Held(X, Y_NOISY, "targets"),
    "labels": Held(X, Y_NOISY, "labels"),
    "y": Held(X, Y_NOISY, "y"),
    "list": Held(X, Y_NOISY.tolist(), "targets"),
    "tensor": Held(X, torch.as_tensor(Y_NOISY), "targets"),
    "twice the same": Held(X, Y_NOISY, "targets", "labels"),
    "names of classes beside": Held(X, Y_NOISY, "targets", labels=["cat", "dog"]),
    "table": TABLE,
    "subset": Subset(Held(X, Y_NOISY, "targets"), ORDER),
    "subset of a subset": Subset(Subset(Held(X, Y_NOISY, "targets"), ORDER), ORDER),
    "joined": ConcatDataset([Held(X, Y_NOISY, "y"), Subset(Held(X, Y, "labels"), ORDER)]),
    "random items": Random(X, Y_NOISY, "targets"),
    "text": Held(X, np.array(["no", "yes"])[Y_NOISY].tolist(), "labels"),
}


@pytest.mark.parametrize("name", DATASETS)
def test_classes_are_read(name: str) -> None:
    clean_set: Any = X_CLEAN, np.array(["no", "yes"])[Y_CLEAN] if name == "text" else Y_CLEAN
    net = make_net(clean_set=clean_set).fit(DATASETS[name], None)
    assert net.classes_.tolist() == (["no", "yes"] if name == "text" else [0, 1])
    assert len(net.example_weights_) == len(DATASETS[name])  # type: ignore[arg-type]


def test_all_that_needs_labels_has_them() -> None:
    data = DATASETS["targets"]
    net = make_net(clean_set=8, class_weight="balanced").fit(data, None)
    assert np.bincount(Y_NOISY[net.clean_indices_]).tolist() == [4, 4]
    named = make_net(classes=[0, 1]).fit(data, None)
    assert len(rank_label_errors(named, data, Y_NOISY).indices) == 42
    mask = np.isin(np.arange(42), range(0, 42, 3))
    assert make_net(clean_set=None).fit(data, None, clean_mask=mask).classes_.tolist() == [0, 1]


def test_clean_set_is_checked_by_its_labels() -> None:
    for wrong in (Held(X_CLEAN, Y_CLEAN + 1, "targets"), Held(X_CLEAN, Y_CLEAN + 1, "labels")):
        with pytest.raises(ValueError, match=r"Got labels \[2\] in the clean_set"):
            make_net(clean_set=wrong).fit(X, Y)
    with pytest.warns(UserWarning, match=r"no example of the classes \[1\]"):
        make_net(clean_set=Held(X_CLEAN, np.zeros(8, int), "targets")).fit(X, Y)


def test_numbers_are_read_too() -> None:
    y = Y.astype(np.float32)
    settings = {**SETTINGS, "clean_set": (X_CLEAN, Y_CLEAN.astype(np.float32))}
    net = L2RWRegressor(MLP, **settings, module__n_outputs=1).fit(Held(X, y, "targets"), None)
    assert net.n_outputs_ == 1
    assert net.predict(X).ndim == 1


UNKNOWN = {
    "none": Held(X, Y),
    "before a transform": Held(X, Y, targets=1 - Y),
    "other length": Held(X, Y, targets=Y[1:]),
    "not plain": Held(X, Y, targets=Y, labels=1 - Y),
    "names": Held(X, Y, labels=[f"class {i}" for i in range(42)]),
    "joined with one that has none": ConcatDataset([Held(X, Y, "targets"), Held(X, Y)]),
    "a method": Held(X, Y, targets=lambda: Y),
    "nothing": Held(X, Y, targets=None),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_plain_is_not_believed(name: str) -> None:
    with pytest.raises(ValueError, match=r"labels cannot be read.*`classes`"):
        make_net().fit(UNKNOWN[name], None)
    assert make_net(classes=[0, 1]).fit(UNKNOWN[name], None).classes_.tolist() == [0, 1]


def test_looking_at_items_draws_no_numbers() -> None:
    net = make_net(random_state=None, max_epochs=0)
    torch.manual_seed(0)
    net.fit(DATASETS["targets"], None)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    net.fit(DATASETS["random items"], None)
    assert torch.equal(torch.get_rng_state(), after)
