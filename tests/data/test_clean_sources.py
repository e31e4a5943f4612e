"""Four ways to give the clean set: one meaning, and an error where it has none."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from skorch.dataset import Dataset as SkorchDataset

from tests.small import (
    X_CLEAN,
    Y_CLEAN,
    Y_NOISY,
    X,
    Y,
    blobs,
    joined,
    make_net,
    mask_of,
    same_state,
    state_of,
)

ALL, ALL_Y, MASK = joined()
NAMES = np.array(["ham", "spam"])
X_VAL: Any = {"X_val": X_CLEAN, "y_val": Y_CLEAN}
RANDOM: Any = {"module__dropout": 0.3, "max_epochs": 3}

# Constructor's clean_set, arguments of fit
WAYS: dict[str, Any] = {
    "constructor": ((X_CLEAN, Y_CLEAN), (X, Y_NOISY), {}),
    "data set": (SkorchDataset(X_CLEAN, Y_CLEAN), (X, Y_NOISY), {}),
    "X_val": (None, (X, Y_NOISY), X_VAL),
    "clean_mask": (None, (ALL, ALL_Y), {"clean_mask": MASK}),
}


def given(way: str, **settings: Any) -> Any:
    """A net that was fitted with the clean set given in one of the ways."""
    clean_set, data, arguments = WAYS[way]
    return make_net(clean_set=clean_set, **settings).fit(*data, **arguments)


def parameters(net: Any) -> dict[str, torch.Tensor]:
    return state_of(net.module_)


# One meaning


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("clean_batch_size", [None, 3])
def test_equal_clean_sets_give_equal_parameters(way: str, clean_batch_size: int | None) -> None:
    expected = given("constructor", **RANDOM, clean_batch_size=clean_batch_size)
    net = given(way, **RANDOM, clean_batch_size=clean_batch_size)
    assert same_state(parameters(net), parameters(expected))
    np.testing.assert_array_equal(net.history[:, "clean_loss"], expected.history[:, "clean_loss"])
    other = make_net(**RANDOM, clean_set=(X_CLEAN, 1 - Y_CLEAN)).fit(X, Y_NOISY)
    assert not same_state(parameters(net), parameters(other))


@pytest.mark.parametrize("clean_set", [8, np.int64(9), 0.2])
@pytest.mark.parametrize("names", [np.array([0, 1]), NAMES])
def test_rows_that_are_split_off_are_like_masked_ones(clean_set: Any, names: Any) -> None:
    y = names[ALL_Y]
    split = make_net(**RANDOM, clean_set=clean_set).fit(ALL, y)
    rows, labels = split.clean_set_
    mask = mask_of(ALL, rows)
    assert mask.sum() == (10 if clean_set == 0.2 else clean_set)
    assert dict(zip(rows[:, 0].tolist(), labels, strict=True)) == dict(
        zip(ALL[mask, 0].tolist(), y[mask], strict=True)
    )
    masked = make_net(**RANDOM, clean_set=None).fit(ALL, y, clean_mask=mask)
    assert same_state(parameters(split), parameters(masked))


@pytest.mark.parametrize("way", list(WAYS))
def test_the_clean_set_in_use(way: str) -> None:
    net = given(way)
    if way == "data set":
        assert net.clean_set_ is WAYS[way][0]
        return
    np.testing.assert_array_equal(net.clean_set_[0], X_CLEAN)
    np.testing.assert_array_equal(net.clean_set_[1], Y_CLEAN)
    assert net.get_params()["clean_set"] is WAYS[way][0]


FORMS: dict[str, Any] = {
    "frame": lambda: (pd.DataFrame(ALL, range(50, 0, -1), list("abcd")), pd.Series(ALL_Y[::])),
    "lists": lambda: (ALL.tolist(), ALL_Y.tolist()),
    "tensors": lambda: (torch.as_tensor(ALL), torch.as_tensor(ALL_Y)),
    "CSR": lambda: (sparse.csr_matrix(ALL), ALL_Y),
    "dict": lambda: ({"X": ALL}, ALL_Y),
    "data set": lambda: (SkorchDataset(ALL, ALL_Y), None),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_mask_of_rows_of_any_form(form: str) -> None:
    net = make_net(clean_set=None).fit(*FORMS[form](), clean_mask=MASK)
    assert same_state(parameters(net), parameters(given("constructor")), atol=1e-6)


@pytest.mark.parametrize("form", list(FORMS))
def test_rows_of_any_form_are_split_off(form: str) -> None:
    net = make_net(clean_set=8).fit(*FORMS[form]())
    expected = make_net(clean_set=8).fit(ALL, ALL_Y)
    assert same_state(parameters(net), parameters(expected), atol=1e-6)


def test_forms_of_the_mask() -> None:
    expected = parameters(given("clean_mask"))
    index = range(50, 0, -1)  # the order counts, not the index
    for mask in (MASK.tolist(), pd.Series(MASK, index), torch.as_tensor(MASK)):
        net = make_net(clean_set=None).fit(ALL, ALL_Y, clean_mask=mask)
        assert same_state(parameters(net), expected)
    series = pd.Series(ALL_Y, index)
    net = make_net(clean_set=None).fit(ALL, series, clean_mask=pd.Series(MASK))
    assert same_state(parameters(net), expected)


# The split


def test_the_split_follows_the_random_state() -> None:
    def chosen(seed: int) -> list[float]:
        net = make_net(clean_set=8, random_state=seed, max_epochs=1).fit(ALL, ALL_Y)
        return sorted(net.clean_set_[0][:, 0].tolist())

    runs = [chosen(seed) for seed in (1, 1, 2, 3)]
    assert runs[0] == runs[1]
    assert len({tuple(run) for run in runs}) == 3
    torch.manual_seed(4)
    first = make_net(clean_set=8, random_state=None).fit(ALL, ALL_Y)
    torch.manual_seed(4)
    second = make_net(clean_set=8, random_state=None).fit(ALL, ALL_Y)
    np.testing.assert_array_equal(first.clean_set_[0], second.clean_set_[0])


@pytest.mark.parametrize(("clean_set", "number"), [(3, 3), (9, 9), (11, 11), (0.05, 6), (0.1, 12)])
@pytest.mark.parametrize("seed", [0, 1])
def test_as_many_rows_of_each_class(clean_set: Any, number: int, seed: int) -> None:
    rows, codes = blobs(120, n_classes=3)
    codes = np.where((codes == 2) & (np.arange(120) > 20), 0, codes)  # 7 of the third class
    y = np.array(["a", "b", "c"])[codes]
    net = make_net(clean_set=clean_set, module__n_outputs=3, max_epochs=1, random_state=seed)
    labels, counts = np.unique(net.fit(rows, y).clean_set_[1], return_counts=True)
    assert labels.tolist() == ["a", "b", "c"]
    assert counts.sum() == number
    assert counts.max() - counts.min() <= 1


def rare(n_rare: int) -> tuple[Any, Any]:
    rows, _ = blobs(60)
    return rows, np.where(np.arange(60) < n_rare, "rare", "usual")


def test_each_class_keeps_a_row_to_train_on() -> None:
    net = make_net(clean_set=6).fit(*rare(4))
    assert (net.clean_set_[1] == "rare").sum() == 3
    assert net.classes_.tolist() == ["rare", "usual"]


@pytest.mark.parametrize(("clean_set", "n_rare"), [(0.05, 1), (0.1, 3), (6, 3), (8, 2), (2, 1)])
def test_class_with_too_few_rows(clean_set: Any, n_rare: int) -> None:
    with pytest.raises(ValueError, match=r"(?s)clean_set=.*rare") as info:
        make_net(clean_set=clean_set).fit(*rare(n_rare))
    assert "usual" not in str(info.value)


@pytest.mark.parametrize(
    "clean_set", [0, -3, 0.0, -0.1, 1.0, 1.5, np.nan, np.inf, True, False, 50, 1000, 0.99]
)
def test_number_that_cannot_be_split_off(clean_set: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"clean_set|nan|inf"):
        make_net(clean_set=clean_set).fit(ALL, ALL_Y)


@pytest.mark.parametrize("clean_set", [1, 2, 0.01, 0.02])
def test_fewer_rows_than_classes(clean_set: Any) -> None:
    rows, y = blobs(60, n_classes=3)
    with pytest.raises(ValueError, match=rf"clean_set={clean_set}.*class"):
        make_net(clean_set=clean_set, module__n_outputs=3).fit(rows, y)


# No meaning


@pytest.mark.parametrize(
    ("clean_set", "arguments"),
    [
        ((X_CLEAN, Y_CLEAN), X_VAL),
        ((X_CLEAN, Y_CLEAN), {"clean_mask": MASK}),
        (8, X_VAL),
        (0.2, {"clean_mask": MASK}),
        (None, {**X_VAL, "clean_mask": MASK}),
        (8, {**X_VAL, "clean_mask": MASK}),
        (8, {"X_val": X_CLEAN}),
        (8, {"y_val": Y_CLEAN}),
    ],
)
@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_two_ways_at_once(how: str, clean_set: Any, arguments: Any) -> None:
    net = make_net(clean_set=clean_set)
    with pytest.raises(ValueError, match=r"clean_set|clean_mask"):
        getattr(net, how)(ALL, ALL_Y, **arguments)
    assert not net.initialized_


@pytest.mark.parametrize("lone", ["X_val", "y_val"])
@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_half_a_clean_set(how: str, lone: str) -> None:
    with pytest.raises(ValueError, match=rf"{lone} without"):
        getattr(make_net(clean_set=None), how)(X, Y, **{lone: X_VAL[lone]})


def test_lengths_of_the_halves_differ() -> None:
    with pytest.raises(ValueError, match=r"8 rows.*7"):
        make_net(clean_set=None).fit(X, Y, X_val=X_CLEAN, y_val=Y_CLEAN[:7])


@pytest.mark.parametrize(
    "mask",
    [
        MASK[:-1],
        np.append(MASK, True),
        MASK[:, None],
        MASK.astype(int),
        MASK.astype(float),
        np.flatnonzero(MASK),
        MASK.astype(object).astype(str),
        np.zeros_like(MASK),
        np.ones_like(MASK),
        True,
        [],
    ],
    ids=["short", "long", "2d", "int", "float", "indices", "str", "none", "all", "one", "empty"],
)
def test_mask_that_is_none(mask: Any) -> None:
    net = make_net(clean_set=None)
    with pytest.raises((ValueError, TypeError), match="clean_mask"):
        net.fit(ALL, ALL_Y, clean_mask=mask)
    assert not net.initialized_
    assert not hasattr(net, "clean_set_")


def test_no_way_at_all() -> None:
    for fit in (make_net(clean_set=None).fit, make_net(clean_set=None).partial_fit):
        with pytest.raises(ValueError, match=r"(?s)clean_set=None"):
            fit(X, Y)


def test_unseen_label_in_y_val() -> None:
    with pytest.raises(ValueError, match=r"\[5\].*\[0, 1\]"):
        make_net(clean_set=None).fit(X, Y, X_val=X_CLEAN, y_val=np.where(Y_CLEAN == 0, 0, 5))
    y_val = np.where(np.arange(8) == 2, "eggs", NAMES[Y_CLEAN])
    with pytest.raises(ValueError, match=r"eggs.*ham.*spam"):
        make_net(clean_set=None).fit(X, NAMES[Y], X_val=X_CLEAN, y_val=y_val)


def test_class_that_y_val_lacks() -> None:
    with pytest.warns(UserWarning, match="0.*ignore"):
        make_net(clean_set=None).fit(X, Y, X_val=X_CLEAN[1::2], y_val=Y_CLEAN[1::2])
    mask = MASK & (ALL_Y == 1)
    with pytest.warns(UserWarning, match="0.*ignore"):
        make_net(clean_set=None).fit(ALL, ALL_Y, clean_mask=mask)


def test_class_that_masked_rows_alone_have() -> None:
    """As where they are given apart: there is nothing to train it on."""
    y = np.where(np.flatnonzero(MASK)[0] == np.arange(50), 2, ALL_Y)
    net = make_net(clean_set=None, module__n_outputs=3)
    with pytest.raises(ValueError, match=r"\[2\].*\[0, 1\]"):
        net.fit(ALL[~MASK], y[~MASK], X_val=ALL[MASK], y_val=y[MASK])
    with pytest.raises(ValueError, match=r"\[2\].*\[0, 1\]"):
        net.fit(ALL, y, clean_mask=MASK)


# Going on, failing, leaving alone


@pytest.mark.parametrize("way", list(WAYS))
def test_partial_fit_goes_on_with_the_clean_set(way: str) -> None:
    expected = given("constructor", clean_batch_size=3).partial_fit(X, Y)
    net = given(way, clean_batch_size=3).partial_fit(X, Y)
    assert same_state(parameters(net), parameters(expected))
    assert len(net.history) == 4


def test_partial_fit_goes_on_with_rows_that_were_split_off() -> None:
    net = make_net(clean_set=8).partial_fit(ALL, ALL_Y)
    rows, labels = (part.copy() for part in net.clean_set_)
    assert len(rows) == 8
    masked = make_net(clean_set=None).fit(ALL, ALL_Y, clean_mask=mask_of(ALL, rows))
    for _ in range(2):
        net.partial_fit(X, Y)
        masked.partial_fit(X, Y)
    np.testing.assert_array_equal(net.clean_set_[0], rows)
    np.testing.assert_array_equal(net.clean_set_[1], labels)
    assert same_state(parameters(net), parameters(masked))


@pytest.mark.parametrize("way", ["X_val", "clean_mask"])
def test_partial_fit_takes_a_new_clean_set(way: str) -> None:
    net = given("X_val", max_epochs=1)
    other_rows, other_labels = blobs(6, seed=7)
    rows, labels, mask = joined(X, Y, other_rows, other_labels)
    if way == "X_val":
        net.partial_fit(X, Y, X_val=other_rows, y_val=other_labels)
    else:
        net.partial_fit(rows, labels, clean_mask=mask)
    np.testing.assert_array_equal(net.clean_set_[0], other_rows)
    expected = given("constructor", max_epochs=1)
    expected.set_params(clean_set=(other_rows, other_labels)).partial_fit(X, Y)
    assert same_state(parameters(net), parameters(expected))


@pytest.mark.parametrize("way", ["X_val", "clean_mask"])
def test_fit_does_not_go_on_with_the_clean_set_of_another(way: str) -> None:
    net = given(way)
    with pytest.raises(ValueError, match="clean_set=None"):
        net.fit(X, Y)


def test_another_fit_splits_anew() -> None:
    net = make_net(clean_set=8).fit(ALL, ALL_Y)
    other, labels = blobs(50, seed=9)
    net.fit(other, labels)
    assert mask_of(other, net.clean_set_[0]).sum() == 8


FAILURES: dict[str, Any] = {
    "two ways": {**X_VAL, "clean_mask": MASK},
    "half": {"X_val": X_CLEAN},
    "label": {"X_val": X_CLEAN, "y_val": Y_CLEAN + 1},
    "features": {"X_val": X_CLEAN[:, :3], "y_val": Y_CLEAN},
    "NaN": {"X_val": np.full_like(X_CLEAN, np.nan), "y_val": Y_CLEAN},
    "mask": {"clean_mask": MASK[:-1]},
    "nothing": {},
}


@pytest.mark.parametrize("failure", list(FAILURES))
@pytest.mark.parametrize("way", ["X_val", "clean_mask"])
def test_failed_fit_leaves_the_estimator_as_it_was(way: str, failure: str) -> None:
    net, untouched = given(way), given(way)
    attributes = {key: id(value) for key, value in vars(net).items()}
    with pytest.raises((ValueError, TypeError)):
        net.fit(ALL, ALL_Y, **FAILURES[failure])
    assert {key: id(value) for key, value in vars(net).items()} == attributes
    np.testing.assert_array_equal(net.predict_proba(X), untouched.predict_proba(X))
    after = net.partial_fit(X, Y), untouched.partial_fit(X, Y)
    assert same_state(*(parameters(other) for other in after))


@pytest.mark.parametrize("clean_set", [None, 8, 0.99])
def test_failed_first_fit(clean_set: Any) -> None:
    net = make_net(clean_set=clean_set)
    names = set(vars(net))
    with pytest.raises(ValueError, match=r"clean_set|clean_mask"):
        net.fit(ALL, ALL_Y, clean_mask=MASK if clean_set == 8 else None)
    assert set(vars(net)) == names


@pytest.mark.parametrize("way", [*WAYS, 8])
def test_what_the_user_gives_is_not_altered(way: Any) -> None:
    clean_set, data, arguments = WAYS.get(way, (way, (ALL, ALL_Y), {}))
    weight = np.linspace(0.5, 2, len(data[0]))
    arrays = [*data, weight, *arguments.values()]
    arrays += list(clean_set) if isinstance(clean_set, tuple) else []
    before = copy.deepcopy(arrays)
    given_away = [array.copy() for array in arrays]
    for array in given_away:
        array.flags.writeable = False
    rows, labels, weight, *rest = given_away
    values = dict(zip(arguments, rest, strict=False))
    clean: Any = tuple(rest[len(arguments) :]) if isinstance(clean_set, tuple) else clean_set
    net = make_net(clean_set=clean).fit(rows, labels, weight, **values)
    assert len(net.history) == 2
    for array, original in zip(given_away, before, strict=True):
        np.testing.assert_array_equal(array, original)
