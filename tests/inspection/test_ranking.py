"""What may be ranked by `rank_label_errors`, and by whom."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from torch import Tensor, nn

from sklearn_l2rw import L2RWBinaryClassifier, L2RWClassifier, L2RWRegressor, rank_label_errors
from tests.small import blobs

X, Y = blobs(90, 3)
X_CLEAN, Y_CLEAN = blobs(12, 3, seed=1)
QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0}
SPLIT: dict[str, Any] = {**QUICK, "clean_set": 12}
NAMES = np.array(["ant", "bee", "cat"])


def net_of(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(**{**QUICK, "clean_set": (X_CLEAN, Y_CLEAN), **settings})


class Focal(nn.Module):
    """The focal loss of logits."""

    reduction = "mean"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        p = output.softmax(1).gather(1, target[:, None])[:, 0]
        losses = -((1 - p) ** 2) * p.log()
        return losses if self.reduction == "none" else losses.mean()


def test_ranking_of_texts() -> None:
    words = np.array(["good fine nice", "bad awful sad", "red blue green"])
    texts, labels = words[Y].tolist(), NAMES[Y]
    labels[7] = NAMES[(Y[7] + 1) % 3]
    pipe = make_pipeline(TfidfVectorizer(), L2RWClassifier(**{**SPLIT, "max_epochs": 20}))
    ranking = rank_label_errors(pipe.fit(texts, labels), texts, labels)
    assert ranking.indices[0] == 7
    with pytest.raises(ValueError, match=r"90 rows in X and 89 targets"):
        rank_label_errors(pipe, texts, labels[1:], method="weight")


def test_ranking_of_frames_with_names() -> None:
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=NAMES[Y])
    encode = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    pipe = make_pipeline(encode, L2RWClassifier(**SPLIT)).fit(frame, Y)
    ranking = rank_label_errors(pipe, frame, Y)
    proba = pipe.predict_proba(frame)[np.arange(90), Y]
    np.testing.assert_allclose(ranking.scores, 1 - proba, atol=1e-6)


def test_ranking_needs_probabilities() -> None:
    net = net_of(criterion=Focal).fit(X, Y)
    with pytest.raises(ValueError, match=r"expected probabilities.*predict_nonlinearity"):
        rank_label_errors(net, X, Y)
    net.set_params(predict_nonlinearity=partial(torch.softmax, dim=-1))
    scores = rank_label_errors(net, X, Y).scores
    assert 0 <= scores.min() < scores.max() <= 1


def test_ranking_by_one_number_an_example() -> None:
    binary = L2RWBinaryClassifier(**SPLIT, predict_nonlinearity=None).fit(X, Y == 0)
    with pytest.raises(ValueError, match="predict_nonlinearity"):
        rank_label_errors(binary, X, Y == 0)


@pytest.mark.parametrize("make", [L2RWRegressor, lambda **s: make_pipeline(L2RWRegressor(**s))])
def test_ranking_is_for_classifiers(make: Any) -> None:
    regressor = make(**SPLIT)
    with pytest.raises(TypeError, match=r"Got the regressor .* expected a fitted classifier"):
        rank_label_errors(regressor.fit(X, X[:, 0]), X, X[:, 0])


def test_ranking_by_other_classifiers() -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(X, Y)
    scores = rank_label_errors(forest, X, Y).scores
    np.testing.assert_allclose(scores, 1 - forest.predict_proba(X)[np.arange(90), Y])
