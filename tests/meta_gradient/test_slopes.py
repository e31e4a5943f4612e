"""Slopes, and how they were computed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sklearn_l2rw import chosen_meta_gradient, example_slopes, example_weights
from sklearn_l2rw.meta_gradient.algorithm import normalize
from tests.oracle import EXACT_WAYS, SLOW
from tests.reference import per_example_slopes
from tests.zoo import ZOO
from tests.zoo_case import build

LOSS = nn.CrossEntropyLoss(reduction="none")


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("name", ["mlp", "batch_norm_1d", "lstm", "transformer", "dict_of_inputs"])
def test_slopes_are_the_inner_products(name: str) -> None:
    given = build(ZOO[name], torch.float64)
    expected = per_example_slopes(*given)
    found = example_slopes(*given)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(example_weights(*given), normalize(found), rtol=0, atol=0)
    assert not found.requires_grad


def test_micro_batches_put_together_are_the_batch() -> None:
    net, (X, y), clean = _mlp()
    parts = [example_slopes(net, LOSS, (X[i], y[i]), clean) for i in (slice(5), slice(5, 12))]
    found = example_slopes(net, LOSS, (X, y), clean)
    torch.testing.assert_close(torch.cat(parts), found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("way", EXACT_WAYS)
def test_the_way_that_was_asked_for_is_the_one_that_is_named(way: str) -> None:
    net, *batches = _mlp()
    assert chosen_meta_gradient(net, way) is None
    example_slopes(net, LOSS, *batches, meta_gradient=way)
    assert chosen_meta_gradient(net, way) == way
    assert chosen_meta_gradient(net) is None


def test_an_unknown_way() -> None:
    with pytest.raises(ValueError, match="Got meta_gradient='fast', but expected one of"):
        chosen_meta_gradient(nn.Linear(2, 2), "fast")


def _mlp() -> tuple[
    nn.Module, tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]
]:
    given = build(ZOO["mlp"], torch.float64)
    return given.module, given.batch, given.clean_batch
