"""What `fit` is given beside the data goes to the module's forward, clean passes included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GroupKFold
from skorch.dataset import ValidSplit
from torch import Tensor

from sklearn_l2rw import L2RWClassifier, L2RWRegressor
from tests.small import MLP, SETTINGS, X_CLEAN, Y_NOISY, X, make_net, same_state, state_of


class Scaled(MLP):
    """Its forward cannot do without a factor."""

    seen: list[tuple[int, float]]

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.seen = []

    def forward(self, X: Tensor, scale: float) -> Tensor:  # type: ignore[override]
        self.seen.append((len(X), scale))
        return super().forward(scale * X)


class Doubled(MLP):
    def forward(self, X: Tensor) -> Tensor:
        return super().forward(2.0 * X)


@pytest.mark.parametrize("way", ["auto", "layerwise", "forward", "double_backward"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_argument_that_forward_requires(method: str, way: str) -> None:
    net = make_net(Scaled, meta_gradient=way, clean_batch_size=7)
    assert getattr(net, method)(X, Y_NOISY, scale=2.0) is net
    expected = make_net(Doubled, meta_gradient=way, clean_batch_size=7).fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), state_of(expected.module_))


def test_clean_passes_get_the_argument_too() -> None:
    net = make_net(Scaled, clean_batch_size=7).fit(X, Y_NOISY, scale=2.0)
    assert {scale for _, scale in net.module_.seen} == {2.0}
    assert {7, 16} <= {n for n, _ in net.module_.seen}  # clean batches and others


def test_argument_may_differ_from_call_to_call() -> None:
    net = make_net(Scaled).fit(X, Y_NOISY, scale=2.0)
    net.module_.seen.clear()
    net.partial_fit(X, Y_NOISY, scale=0.5)
    assert {scale for _, scale in net.module_.seen} == {0.5}


def test_argument_of_the_validation_pass() -> None:
    def split(dataset: Any, y: Any = None, **fit_params: Any) -> Any:
        return dataset, dataset

    net = make_net(Scaled, train_split=split).fit(X, Y_NOISY, scale=2.0)
    assert {scale for _, scale in net.module_.seen} == {2.0}
    assert all(row["valid_loss"] > 0 for row in net.history)


def test_argument_in_the_regressor() -> None:
    settings = {**SETTINGS, "clean_set": (X_CLEAN, X_CLEAN[:, 0]), "module__n_outputs": 1}
    net = L2RWRegressor(Scaled, **settings).fit(X, X[:, 0], scale=2.0)
    expected = L2RWRegressor(Doubled, **settings).fit(X, X[:, 0])
    assert same_state(state_of(net.module_), state_of(expected.module_))


def test_argument_that_forward_lacks_is_told_as_python_tells_it() -> None:
    net: L2RWClassifier = make_net(Scaled)
    with pytest.raises(TypeError, match="scale"):
        net.fit(X, Y_NOISY)
    assert not hasattr(net, "module_")


# Arguments with an entry for each row


class Told(MLP):
    """Its forward takes groups, and has no use for them."""

    def forward(self, X: Tensor, groups: Any = None) -> Tensor:
        return super().forward(X)


GROUPS = np.arange(len(X)) % 7
MASK = np.arange(len(X)) % 4 == 0
FORMS: dict[str, Any] = {
    "array": GROUPS,
    "list": GROUPS.tolist(),
    "tensor": torch.as_tensor(GROUPS),
    "series": pd.Series(GROUPS, index=GROUPS[::-1]),
    "columns": GROUPS[:, None],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["number", "mask", "sample_weight"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_groups_are_those_of_the_rows_trained_on(method: str, how: str, form: str) -> None:
    seen = []

    def split(dataset: Any, y: Any = None, groups: Any = None) -> Any:
        seen.append((np.asarray(dataset[:][0]), np.asarray(groups).reshape(-1)))
        return dataset, None

    counts = (~MASK).astype(float)
    arguments: dict[str, Any] = {
        "number": {},
        "mask": {"clean_mask": MASK},
        "sample_weight": {"sample_weight": counts},
    }[how]
    clean = {"number": 10, "mask": None, "sample_weight": SETTINGS["clean_set"]}[how]
    net = make_net(Told, clean_set=clean, train_split=split)
    getattr(net, method)(X, Y_NOISY, groups=FORMS[form], **arguments)
    ((rows, groups),) = seen
    left = [int(np.flatnonzero((row == X).all(1))[0]) for row in rows]
    assert len(left) == (len(X) - 10 if how == "number" else (~MASK).sum())
    np.testing.assert_array_equal(groups, GROUPS[left])


def test_groups_make_the_folds_of_a_validation_split() -> None:
    net = make_net(Told, clean_set=10, train_split=ValidSplit(GroupKFold(3)))
    net.fit(X, Y_NOISY, groups=GROUPS)
    held_back = np.isnan(net.example_weights_)
    held_back[net.clean_indices_] = False
    assert held_back.any()
    assert not set(GROUPS[held_back]) & set(GROUPS[np.isfinite(net.example_weights_)])


def test_other_arguments_are_passed_on_as_they_are() -> None:
    seen: list[Any] = []

    class Listening(MLP):
        def forward(self, X: Tensor, table: Any = None, name: Any = None) -> Tensor:
            seen.append((table, name))
            return super().forward(X)

    table, name = np.arange(9), "x" * len(X)
    make_net(Listening, clean_set=10).fit(X, Y_NOISY, table=table, name=name)
    assert all(pair[0] is table and pair[1] is name for pair in seen)
    rows = GROUPS.copy()
    seen.clear()
    make_net(Listening).fit(X, Y_NOISY, table=rows, name=name)
    assert all(pair[0] is rows for pair in seen)  # all rows are trained on
