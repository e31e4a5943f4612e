"""`sample_weight` and `class_weight`: priors that multiply the losses of examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from torch import Tensor, nn

from tests.reference import per_example_slopes
from tests.small import (
    MLP,
    X_CLEAN,
    Y_CLEAN,
    Y_NOISY,
    X,
    Y,
    joined,
    make_net,
    same_state,
    state_of,
)

N = len(X)
PER_EXAMPLE = nn.CrossEntropyLoss(reduction="none")
WEIGHT = np.random.default_rng(3).uniform(0.1, 4, N)
COUNTS = np.arange(N) % 4 // 2 + 1 + (np.arange(N) == 5)
FULL: dict[str, Any] = {"batch_size": -1, "module__dtype": torch.float64, "max_epochs": 4}
NAMES = np.array(["ham", "spam"])


def trained(X: Any = X, y: Any = Y_NOISY, sample_weight: Any = None, **settings: Any) -> Any:
    return state_of(make_net(**settings).fit(X, y, sample_weight=sample_weight).module_)


def literal(
    weight: Any, clean_weight: Any = None, y: Any = Y_NOISY, steps: int = 4
) -> dict[str, Tensor]:
    """Full-batch steps on sum_i s_i w_i f_i, with w_i = max(u_i, 0) / sum_j s_j max(u_j, 0)."""
    module = MLP(dtype=torch.float64)
    module.load_state_dict(make_net(module__dtype=torch.float64).initialize().module_.state_dict())
    batch = torch.as_tensor(X).double(), torch.as_tensor(y)
    clean_batch = torch.as_tensor(X_CLEAN).double(), torch.as_tensor(Y_CLEAN)
    s = torch.as_tensor(weight, dtype=torch.float64)
    c = torch.ones(8) if clean_weight is None else torch.as_tensor(clean_weight)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        losses: Tensor = PER_EXAMPLE(output, target)
        return losses * c / c.mean() if len(losses) == 8 else losses

    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(steps):
        positive = per_example_slopes(module, loss, batch, clean_batch).clamp(min=0)
        w = positive / (s * positive).sum()
        optimizer.zero_grad()
        (s * w * PER_EXAMPLE(module(batch[0]), batch[1])).sum().backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
    return state_of(module)


# The arithmetic


@pytest.mark.parametrize("clean_batch_size", [None, 3])
@pytest.mark.parametrize("ones", [np.ones(N), np.ones(N, dtype=int), [1.0] * N, None])
def test_ones_change_nothing(ones: Any, clean_batch_size: int | None) -> None:
    settings = {"module__dropout": 0.3, "clean_batch_size": clean_batch_size}
    plain = make_net(**settings).fit(X, Y_NOISY)
    net = make_net(**settings).fit(X, Y_NOISY, sample_weight=ones)
    assert same_state(state_of(net.module_), state_of(plain.module_))
    np.testing.assert_array_equal(net.history[:, "train_loss"], plain.history[:, "train_loss"])


def test_equals_the_literal_formula() -> None:
    assert same_state(trained(sample_weight=WEIGHT, **FULL), literal(WEIGHT), atol=1e-6)
    assert not same_state(trained(**FULL), literal(WEIGHT), atol=1e-3)
    assert same_state(trained(**FULL), literal(np.ones(N)), atol=1e-9)


@pytest.mark.parametrize("meta_gradient", ["auto", "double_backward", "finite_difference"])
def test_integer_weight_is_a_repeated_row(meta_gradient: str) -> None:
    settings = {**FULL, "meta_gradient": meta_gradient}
    weighted = trained(sample_weight=COUNTS, **settings)
    repeated = trained(np.repeat(X, COUNTS, axis=0), np.repeat(Y_NOISY, COUNTS), **settings)
    assert same_state(weighted, repeated, atol=1e-6)
    assert same_state(weighted, literal(COUNTS), atol=1e-5)
    assert not same_state(weighted, trained(**settings), atol=1e-3)


def test_scale_does_not_matter() -> None:
    first = trained(sample_weight=WEIGHT, **FULL)
    for factor in (1e-6, 10, 1e9):
        assert same_state(trained(sample_weight=factor * WEIGHT, **FULL), first, atol=1e-5)


@pytest.mark.parametrize("clean_batch_size", [None, 3])
def test_zero_removes_a_row(clean_batch_size: int | None) -> None:
    kept = np.arange(N) % 5 != 1
    settings = {"clean_batch_size": clean_batch_size, "module__dropout": 0.2}
    removed = trained(X[kept], Y_NOISY[kept], **settings)
    assert same_state(trained(sample_weight=kept.astype(float), **settings), removed)
    assert not same_state(trained(**settings), removed)
    weighted = trained(X[kept], Y_NOISY[kept], WEIGHT[kept], **settings)
    assert same_state(trained(sample_weight=WEIGHT * kept, **settings), weighted)


def test_row_of_weight_zero_may_be_anything() -> None:
    kept = np.arange(N) != 7
    far = np.where(kept[:, None], X, 1e6).astype(np.float32)
    expected = trained(X[kept], Y_NOISY[kept])
    assert same_state(trained(far, sample_weight=kept.astype(float)), expected)


def test_weights_follow_their_rows_when_shuffled() -> None:
    """Rows of tiny weight may be anything, in small batches too."""
    tiny = np.arange(N) % 4 == 1
    weight = np.where(tiny, 1e-9, 1)
    other = np.where(tiny[:, None], X[:, ::-1], X).astype(np.float32)
    expected = trained(sample_weight=weight)
    assert same_state(trained(other, sample_weight=weight), expected, atol=1e-5)
    assert not same_state(trained(other, sample_weight=weight[::-1]), expected, atol=1e-3)


FORMS: dict[str, Any] = {
    "list": lambda weight: weight.tolist(),
    "Series": lambda weight: pd.Series(weight, index=range(N, 0, -1)),
    "tensor": torch.as_tensor,
    "float32": lambda weight: weight.astype(np.float32),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_forms(form: str) -> None:
    expected = trained(sample_weight=WEIGHT)
    assert same_state(trained(sample_weight=FORMS[form](WEIGHT)), expected, atol=1e-5)


@pytest.mark.parametrize(
    "data",
    [SkorchDataset(X, Y_NOISY), SkorchDataset(torch.as_tensor(X), torch.as_tensor(Y_NOISY))],
)
def test_with_a_data_set(data: Any) -> None:
    expected = trained(sample_weight=WEIGHT)
    assert same_state(trained(data, None, WEIGHT), expected, atol=1e-6)


def test_with_an_iterator_of_skorch() -> None:
    """Rows are told apart where skorch's own loader is used."""
    settings = {"iterator_train__num_workers": 0}
    assert same_state(
        trained(sample_weight=WEIGHT, **settings), trained(sample_weight=WEIGHT), atol=1e-6
    )


def test_with_a_validation_split() -> None:
    """Weights are those of the rows that the split leaves to train on."""
    split = ValidSplit(2, stratified=False)  # the first half validates
    half = slice(N // 2, None)
    for batch_size in (-1, 8):
        # One epoch: validation draws from the generator that shuffles the next.
        settings: dict[str, Any] = {"batch_size": batch_size, "max_epochs": 1}
        whole = trained(sample_weight=WEIGHT, train_split=split, **settings)
        by_hand = trained(X[half], Y_NOISY[half], WEIGHT[half], **settings)
        assert same_state(whole, by_hand, atol=1e-6)


def test_partial_fit_and_position() -> None:
    first = make_net().fit(X, Y_NOISY, WEIGHT).partial_fit(X, Y_NOISY, None, WEIGHT)
    second = make_net(max_epochs=4).fit(X, Y_NOISY, sample_weight=WEIGHT)
    assert same_state(state_of(first.module_), state_of(second.module_))


# The clean set


def test_masked_rows_carry_their_weight_into_the_clean_mean() -> None:
    rows, labels, mask = joined()
    clean_weight = np.linspace(0.2, 3, 8)
    weight = np.empty(N + 8)
    weight[mask], weight[~mask] = clean_weight, WEIGHT
    net = make_net(**FULL, clean_set=None).fit(rows, labels, weight, clean_mask=mask)
    assert same_state(state_of(net.module_), literal(WEIGHT, clean_weight), atol=1e-6)
    assert not same_state(state_of(net.module_), literal(WEIGHT), atol=1e-3)


def test_weights_of_masked_rows_count_in_partial_fit_too() -> None:
    rows, labels, mask = joined()
    clean_weight = np.linspace(0.2, 3, 8)
    weight = np.empty(N + 8)
    weight[mask], weight[~mask] = clean_weight, WEIGHT
    net = make_net(**{**FULL, "max_epochs": 2}, clean_set=None)
    net.fit(rows, labels, weight, clean_mask=mask).partial_fit(X, Y_NOISY, sample_weight=WEIGHT)
    assert same_state(state_of(net.module_), literal(WEIGHT, clean_weight), atol=1e-6)


def test_masked_row_of_weight_zero_is_not_in_the_clean_set() -> None:
    rows, labels, mask = joined()
    weight = np.ones(N + 8)
    weight[np.flatnonzero(mask)[2:4]] = 0
    kept = np.array([0, 1, 4, 5, 6, 7])
    for size in (None, 3):
        net = make_net(clean_set=None, clean_batch_size=size)
        net.fit(rows, labels, weight, clean_mask=mask)
        clean_set = (X_CLEAN[kept], Y_CLEAN[kept])
        assert same_state(
            state_of(net.module_), trained(clean_set=clean_set, clean_batch_size=size)
        )


def test_rows_of_weight_zero_are_not_split_off() -> None:
    kept = np.arange(N) % 3 > 0
    net = make_net(clean_set=8).fit(X, Y, kept.astype(float))
    removed = make_net(clean_set=8).fit(X[kept], Y[kept])
    np.testing.assert_array_equal(net.clean_set_[0], removed.clean_set_[0])
    assert same_state(state_of(net.module_), state_of(removed.module_))


@pytest.mark.parametrize("trusted", [True, False])
def test_nothing_of_one_kind_counts(trusted: bool) -> None:
    rows, labels, mask = joined()
    weight = np.where(mask == trusted, 0.0, 1.0)
    with pytest.raises(ValueError, match="sample_weight"):
        make_net(clean_set=None).fit(rows, labels, weight, clean_mask=mask)


# class_weight


def test_class_weight() -> None:
    """Multiplies losses in training batches and in the clean mean."""
    weights = {0: 0.5, 1: 3.0}
    by_class = np.array([0.5, 3.0])
    weighted = trained(class_weight=weights, **FULL)
    assert same_state(weighted, literal(by_class[Y_NOISY], by_class[Y_CLEAN]), atol=1e-6)
    assert not same_state(weighted, literal(by_class[Y_NOISY]), atol=1e-4)
    both = trained(sample_weight=WEIGHT, class_weight=weights, **FULL)
    expected = literal(WEIGHT * by_class[Y_NOISY], by_class[Y_CLEAN])
    assert same_state(both, expected, atol=1e-6)


def test_class_weight_names_labels() -> None:
    codes = trained(class_weight={0: 0.5, 1: 3.0})
    clean_set = (X_CLEAN, NAMES[Y_CLEAN])
    weights = {"ham": 0.5, "spam": 3.0}
    assert same_state(trained(y=NAMES[Y_NOISY], clean_set=clean_set, class_weight=weights), codes)
    only = trained(y=NAMES[Y_NOISY], clean_set=clean_set, class_weight={"spam": 6.0})
    assert same_state(only, codes, atol=1e-5)


def frequencies(y: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((len(y) / (2 * np.bincount(y)))[y])


def test_balanced_class_weight() -> None:
    """By the frequencies of each set: the training rows' own, and the clean set's own."""
    y = np.where(np.arange(N) % 3 == 0, 1 - Y_NOISY, Y_NOISY)
    y[:20] = 0
    balanced = trained(y=y, class_weight="balanced", **FULL)
    assert same_state(balanced, literal(frequencies(y), y=y), atol=1e-6)
    assert not same_state(balanced, literal(np.ones(N), y=y), atol=1e-3)


def test_balanced_class_weight_of_an_imbalanced_clean_set() -> None:
    rare = np.array([0, 1, 2, 4, 6])
    clean_set = (X_CLEAN[rare], Y_CLEAN[rare])
    balanced = trained(clean_set=clean_set, class_weight="balanced", **FULL)
    repeated = np.array([0, 1, 1, 1, 1, 2, 4, 6])  # the rare class as often as the other
    expected = trained(
        sample_weight=frequencies(Y_NOISY), clean_set=(X_CLEAN[repeated], Y_CLEAN[repeated]), **FULL
    )
    assert same_state(balanced, expected, atol=1e-6)


def test_balanced_class_weight_changes_nothing_where_classes_are_balanced() -> None:
    assert same_state(trained(y=Y, class_weight="balanced"), trained(y=Y))


@pytest.mark.parametrize(
    "class_weight", ["heavy", 3.0, {0: "a"}, {0: -1.0, 1: 1.0}, {0: -1.0, 1: 2.0}, {0: 0, 1: 0}]
)
def test_class_weight_that_is_none(class_weight: Any) -> None:
    net = make_net(class_weight=class_weight)
    with pytest.raises((ValueError, TypeError)):
        net.fit(X, Y)
    assert not net.initialized_


# In pipelines and searches, and in score


def test_in_a_pipeline() -> None:
    scaler = StandardScaler().fit(X)
    clean_set = (scaler.transform(X_CLEAN), Y_CLEAN)
    net = make_net(clean_set=clean_set)
    pipe = make_pipeline(StandardScaler(), net).fit(
        X, Y_NOISY, l2rwclassifier__sample_weight=WEIGHT
    )
    expected = trained(scaler.transform(X), sample_weight=WEIGHT, clean_set=clean_set)
    assert same_state(state_of(pipe[-1].module_), expected)


@pytest.mark.parametrize("routing", [False, True])
def test_in_a_search(routing: bool) -> None:
    train, test = np.arange(30), np.arange(30, N)
    with sklearn.config_context(enable_metadata_routing=routing):
        net = make_net()
        if routing:
            net.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(net, {"lr": [0.1]}, cv=[(train, test)], error_score="raise")
        search.fit(X, Y_NOISY, sample_weight=WEIGHT)
    by_hand = make_net().fit(X[train], Y_NOISY[train], WEIGHT[train])
    if routing:  # without, it depends on the version of scikit-learn
        score = by_hand.score(X[test], Y_NOISY[test], WEIGHT[test])
        assert search.cv_results_["split0_test_score"][0] == pytest.approx(score)
    assert same_state(state_of(search.best_estimator_.module_), trained(sample_weight=WEIGHT))


def test_score() -> None:
    net = make_net(clean_set=(X_CLEAN, NAMES[Y_CLEAN])).fit(X, NAMES[Y])
    y = NAMES[Y_NOISY]
    expected = accuracy_score(y, net.predict(X), sample_weight=WEIGHT)
    assert net.score(X, y, sample_weight=WEIGHT) == pytest.approx(expected)
    assert net.score(X, y, WEIGHT) != net.score(X, y)


# Bad input

WITH_NAN = np.where(np.arange(N) == 3, np.nan, WEIGHT)
WITH_INF = np.where(np.arange(N) == 3, np.inf, WEIGHT)


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.where(np.arange(N) == 3, -0.5, WEIGHT), "[Nn]egative"),
        (WITH_NAN, "NaN"),
        (WITH_INF, "infinity"),
        (WEIGHT[:-1], "shape|length|inconsistent"),
        (np.append(WEIGHT, 1.0), "shape|length|inconsistent"),
        (WEIGHT[:, None], "1D"),
        (np.zeros(N), "zero"),
    ],
    ids=["negative", "NaN", "inf", "short", "long", "2d", "zeros"],
)
@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_bad_weights(how: str, weight: Any, words: str) -> None:
    net = make_net()
    with pytest.raises(ValueError, match=words) as info:
        getattr(net, how)(X, Y, sample_weight=weight)
    assert "sample_weight" in str(info.value)
    assert not net.initialized_
