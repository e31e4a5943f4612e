"""What can be seen of a module before the first step is said before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from tests.estimators.test_bad_input import assert_refused
from tests.small import MLP, X_CLEAN, Y_CLEAN, Record, X, Y, make_net, same_state, state_of

INTEGERS = (10 * X).round().astype(int)
CLEAN_INTEGERS = (10 * X_CLEAN).round().astype(int), Y_CLEAN


class Words(nn.Module):
    """Takes numbers of words."""

    def __init__(self, n_words: int = 10) -> None:
        super().__init__()
        self.words = nn.Embedding(n_words, 3)
        self.outer = nn.Linear(3, 2)

    def forward(self, X: Tensor) -> Tensor:
        output: Tensor = self.outer(self.words(X).mean(1))
        return output


def test_a_wrong_number_of_features() -> None:
    words = (r"shape \(8, 4\) and dtype float32", "shapes cannot be multiplied", "in_features")
    assert_refused(words, module__n_inputs=5)


def test_integers_and_a_wrong_number_of_features() -> None:
    """Not that integers are none of floats, which are tried as well."""
    words = (r"shape \(8, 4\) and dtype int64", "shapes cannot be multiplied", "in_features")
    assert_refused(words, X=INTEGERS, clean_set=CLEAN_INTEGERS, module__n_inputs=5)


def test_words_beyond_the_last() -> None:
    rows, clean = np.abs(INTEGERS) + 10, np.abs(CLEAN_INTEGERS[0]) + 10
    words = ("index out of range", "num_embeddings")
    assert_refused(words, module=Words, X=rows, clean_set=(clean, Y_CLEAN))


def test_inputs_that_forward_has_no_names_for() -> None:
    words = ("unexpected keyword argument", "a module that takes such")
    assert_refused(words, X={"rows": X}, clean_set=({"rows": X_CLEAN}, Y_CLEAN))


def test_inputs_that_forward_has_no_names_for_in_the_second_fit() -> None:
    """What was found of the module in the first fit holds, but not that it takes other items."""

    class Items(Dataset[Any]):
        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, i: int) -> Any:
            return {"rows": X[i], "label": Y[i]}

    net = make_net().fit(X, Y)
    with pytest.raises(TypeError, match=r"batch of X, .*Expected a module that takes"):
        net.partial_fit(Items())
    net = make_net().fit(X, Y)
    with pytest.raises(TypeError, match=r"batch of the clean set.*Expected a module that takes"):
        net.set_params(clean_set=Items()).partial_fit(X, Y)


def test_the_error_of_torch_is_the_cause() -> None:
    with pytest.raises(ValueError, match="in_features") as info:
        make_net(module__n_inputs=5).fit(X, Y)
    assert type(info.value.__cause__) is RuntimeError


def test_an_error_of_another_kind_passes() -> None:
    class Full(MLP):
        def forward(self, X: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError, match="full"):
        make_net(Full).fit(X, Y)


@pytest.mark.parametrize("clean_loss_weight", [0.0, 0.3])
def test_a_module_that_is_frozen(clean_loss_weight: float) -> None:
    frozen = MLP().requires_grad_(False)
    words = ("requires a gradient", "Unfreeze")
    assert_refused(words, module=frozen, clean_loss_weight=clean_loss_weight)


def test_a_parameter_that_is_not_finite() -> None:
    spoiled = MLP()
    with torch.no_grad():
        spoiled.outer.bias[0] = torch.nan
    assert_refused(("8 of 8", "before the first step", "parameters"), module=spoiled)


def test_rows_that_are_lost() -> None:
    class Loses(MLP):
        def forward(self, X: Tensor) -> Tensor:
            return super().forward(X)[1:]

    assert_refused((r"shape \(7, 2\) for 8 examples", "a row for each"), module=Loses)


# A batch of one row


@pytest.mark.parametrize("n", [17, 33, 1])
def test_batch_norm_and_a_last_batch_of_one_row(n: int) -> None:
    settings: dict[str, Any] = {"module__batch_norm": True, "batch_size": 16}
    words = ("one row in the last batch", "BatchNorm1d", "iterator_train__drop_last=True")
    assert_refused(words, X=X[:n], y=Y[:n], **({"classes": [0, 1]} | settings))


def test_in_partial_fit_it_is_seen_before_a_step() -> None:
    record = Record()
    net = make_net(module__batch_norm=True, callbacks=[("record", record)]).fit(X[:32], Y[:32])
    before = state_of(net.module_)
    record.clear()
    with pytest.raises(ValueError, match="one row in the last batch"):
        net.partial_fit(X[:33], Y[:33])
    assert record.weights == []
    assert same_state(before, state_of(net.module_))


def test_drop_last_leaves_it_out() -> None:
    net = make_net(module__batch_norm=True, iterator_train__drop_last=True).fit(X[:33], Y[:33])
    assert len(net.history[0, "batches"]) == 2


def test_one_row_is_enough_without_batch_norm() -> None:
    assert len(make_net().fit(X[:33], Y[:33]).history[0, "batches"]) == 3


def test_batch_norm_in_evaluation_takes_one_row() -> None:
    class Frozen(MLP):
        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.norm.eval()
            return self

    net = make_net(Frozen, module__batch_norm=True).fit(X[:33], Y[:33])
    assert len(net.history) == 2


def test_batch_norm_over_many_places_takes_one_row() -> None:
    class Places(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(
                nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2), nn.Flatten(),
                nn.Linear(8, 2),
            )  # fmt: skip

    assert len(make_net(Places).fit(X[:33], Y[:33]).history) == 2


def test_batch_norm_and_one_clean_row() -> None:
    words = ("one row in a clean batch", "BatchNorm1d", "clean_batch_size")
    assert_refused(words, module__batch_norm=True, clean_batch_size=1)
