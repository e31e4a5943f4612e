"""Rows that a number as clean_set splits off, where torch's generator is in charge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sklearn_l2rw import L2RWRegressor
from tests.small import MLP, SETTINGS, X, Y, make_net, same_state, state_of

ROWS: Any = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
LABELS = (ROWS[:, 0] > 0).astype(int)
FREE: dict[str, Any] = {"random_state": None, "clean_set": 20, "max_epochs": 1}


def test_two_fits_of_a_process_split_other_rows() -> None:
    net = make_net(**FREE)
    first, second, other = (
        n.fit(ROWS, LABELS).clean_indices_.tolist() for n in (net, net, make_net(**FREE))
    )
    assert len(first) == len(second) == len(other) == 20
    assert first != second != other != first


def test_two_fits_of_the_regressor_split_other_rows() -> None:
    settings = {**SETTINGS, **FREE, "module__n_outputs": 1}
    net = L2RWRegressor(MLP, **settings)
    first = net.fit(ROWS, ROWS[:, 0]).clean_indices_.tolist()
    assert first != net.fit(ROWS, ROWS[:, 0]).clean_indices_.tolist()


def test_the_split_follows_the_seed_of_torch() -> None:
    def fitted() -> Any:
        torch.manual_seed(7)
        return make_net(**FREE).fit(ROWS, LABELS)

    first, again = fitted(), fitted()
    assert first.clean_indices_.tolist() == again.clean_indices_.tolist()
    assert same_state(state_of(first.module_), state_of(again.module_))
    torch.manual_seed(8)
    other = make_net(**FREE).fit(ROWS, LABELS)
    assert first.clean_indices_.tolist() != other.clean_indices_.tolist()


def test_a_sequence_of_fits_follows_the_seed_of_torch() -> None:
    def splits() -> list[list[int]]:
        torch.manual_seed(7)
        return [make_net(**FREE).fit(ROWS, LABELS).clean_indices_.tolist() for _ in range(3)]

    assert splits() == splits()


@pytest.mark.parametrize("clean_set", [8, 0.2])
def test_the_random_state_goes_before_the_seed_of_torch(clean_set: Any) -> None:
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(make_net(clean_set=clean_set).fit(X, Y).clean_indices_.tolist())
    assert found[0] == found[1]
    other = make_net(clean_set=clean_set, random_state=1).fit(X, Y)
    assert other.clean_indices_.tolist() != found[0]
