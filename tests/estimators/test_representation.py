"""What an estimator looks like: short, and with the shape of its clean set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from skorch import NeuralNet
from torch import nn

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMixin,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)
from tests.small import X_CLEAN, Y_CLEAN, X, Y, blobs


def default(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(**{"max_epochs": 2, "random_state": 0, "verbose": 0, **settings})


LARGE = blobs(5000, seed=3)


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, torch.as_tensor])
def test_representation_is_short(form: Any, fitted: bool) -> None:
    net = default(clean_set=(form(LARGE[0]), LARGE[1]), lr=0.25, module__hidden_layer_sizes=(5,))
    if fitted:
        net.fit(form(X), Y)
    for text in (repr(net), str(net)):
        assert "(5000, 4)" in text
        assert "lr=0.25" in text
        assert "hidden_layer_sizes=(5,)" in text
        assert text.startswith("L2RWClassifier(")
        assert len(text) < 400


def numbers_in(text: str) -> list[str]:
    """Beginnings of entries of the clean set, as a text shows them."""
    return [entry for row in LARGE[0][:8] for x in row if (entry := f"{x:.3f}"[:-1]) in text]


def test_html_representation() -> None:
    texts = []
    for n in (8, 5000):
        net = default(clean_set=(LARGE[0][:n], LARGE[1][:n]), lr=0.25)
        text = net.fit(X, Y)._repr_html_()
        assert "L2RWClassifier" in text
        assert "0.25" in text
        assert "array of s" in text
        texts.append(text)
    assert abs(len(texts[0]) - len(texts[1])) < 200


def test_html_representation_has_no_numbers_of_the_clean_set() -> None:
    assert numbers_in(default(clean_set=LARGE)._repr_html_()) == []


@pytest.mark.parametrize(
    "estimator", [L2RWBinaryClassifier, L2RWMultilabelClassifier, L2RWRegressor]
)
def test_representation_of_siblings(estimator: Any) -> None:
    net = estimator(clean_set=(X_CLEAN, Y_CLEAN))
    assert repr(net).startswith(f"{estimator.__name__}(clean_set=")
    assert "(8, 4)" in repr(net)
    assert len(repr(net)) < 120
    assert repr(estimator()) == f"{estimator.__name__}()"


def test_repr_of_a_subclass_with_a_required_argument() -> None:
    class Net(L2RWMixin, NeuralNet):
        pass

    class Own(L2RWClassifier):
        def __init__(self, hidden: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.hidden = hidden

    net = Net(nn.Linear, criterion=nn.MSELoss, clean_set=3, lr=0.1)
    assert repr(net) == "Net(clean_set=3, criterion=MSELoss, lr=0.1, module=Linear)"
    assert "Net(" in net._repr_html_()
    assert "hidden=3" in repr(Own(3))
