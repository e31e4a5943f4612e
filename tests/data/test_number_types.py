"""Integers and half-precision numbers: as the module in use takes them, not the one before."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import L2RWClassifier, L2RWRegressor
from tests.small import MLP, SETTINGS, X_CLEAN, Y_CLEAN, X, Y, make_net

WORDS = np.stack([3 * Y, 3 * Y + 1], axis=1)  # of a vocabulary of five
CLEAN_WORDS = np.stack([3 * Y_CLEAN, 3 * Y_CLEAN + 1], axis=1)


class EmbeddingNet(nn.Module):
    """Takes integers, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embedding(X).mean(1))
        return logits


class Flat(MLP):
    """Takes floats, and nothing else."""

    def __init__(self) -> None:
        super().__init__(n_inputs=2)


def words_net(module: Any, **settings: Any) -> L2RWClassifier:
    given = {"clean_set": (CLEAN_WORDS, Y_CLEAN), "max_epochs": 10, "lr": 0.5, **settings}
    return make_net(module, **given)


def test_embedding_after_a_module_that_takes_floats() -> None:
    net = words_net(Flat).fit(WORDS, Y)
    net.set_params(module=EmbeddingNet)
    net.partial_fit(WORDS, Y)
    assert net.score(WORDS, Y) > 0.9


def test_floats_after_an_embedding() -> None:
    net = words_net(EmbeddingNet).fit(WORDS, Y)
    net.set_params(module=Flat)
    net.partial_fit(WORDS, Y)
    assert net.score(WORDS, Y) > 0.9


def test_prediction_right_after_another_module_is_set() -> None:
    net = words_net(Flat).fit(WORDS, Y)
    net.set_params(module=EmbeddingNet)
    assert net.predict(WORDS).shape == Y.shape


def test_module_that_is_made_anew_in_warm_start() -> None:
    net = words_net(Flat, warm_start=True).fit(WORDS, Y)
    net.set_params(module=EmbeddingNet).fit(WORDS, Y)
    assert net.score(WORDS, Y) > 0.9


# bfloat16, which NumPy does not know


def half(x: Any) -> Any:
    return torch.as_tensor(x).bfloat16()


def refused_in_words(net: Any, rows: Any, y: Any) -> bool:
    try:
        net.fit(rows, y)
    except (ValueError, TypeError) as error:
        message = str(error)
    else:
        return False
    assert re.search(r"Got .*bfloat16.*expected", message)
    assert "unsupported ScalarType" not in message
    return True


@pytest.mark.parametrize("where", ["X", "clean_set", "both", "module"])
def test_bfloat16_trains_or_is_refused_in_words(where: str) -> None:
    rows, clean = half(X) if where != "clean_set" else X, half(X_CLEAN) if where != "X" else X_CLEAN
    dtype = torch.bfloat16 if where == "module" else torch.float32
    net = make_net(clean_set=(clean, Y_CLEAN), max_epochs=5, module__dtype=dtype)
    if refused_in_words(net, rows, Y):
        return
    assert net.score(half(X), Y) > 0.8
    assert net.predict_proba(half(X)).dtype.kind == "f"
    assert np.isfinite(net.example_weights_).all()


def test_bfloat16_targets_train_or_are_refused_in_words() -> None:
    net = L2RWRegressor(
        MLP, **{**SETTINGS, "clean_set": (X_CLEAN, X_CLEAN[:, 0]), "module__n_outputs": 1}
    )
    if not refused_in_words(net, X, half(X[:, 0])):
        assert np.isfinite(net.predict(X)).all()
