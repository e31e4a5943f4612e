"""Bad input: an error before the first step says what was got, what was expected, what to do."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.dataset import Dataset as SkorchDataset
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset, Subset, TensorDataset

from tests.small import (
    MLP,
    X_CLEAN,
    Y_CLEAN,
    Probabilities,
    Record,
    X,
    Y,
    make_net,
    same_state,
    state_of,
)

MARK = 12345.0


class MeanLoss(nn.Module):
    """A criterion without losses of examples."""

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output, y)


class SumsAnyway(nn.CrossEntropyLoss):
    """A criterion that ignores its ``reduction``."""

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output, y, reduction="sum")


def with_value(rows: Any, value: float) -> Any:
    rows = rows.copy()
    rows[-1, 2] = value
    return rows


def tensors(rows: Any, labels: Any) -> TensorDataset:
    return TensorDataset(torch.as_tensor(rows), torch.as_tensor(labels))


def skorch_set(rows: Any, labels: Any) -> SkorchDataset:
    return SkorchDataset(rows, labels)


def part(rows: Any, labels: Any) -> Subset[Any]:
    return Subset(SkorchDataset(rows, labels), list(range(len(rows))))


def assert_refused(
    words: tuple[str, ...], X: Any = X, y: Any = Y, module: Any = MLP, **settings: Any
) -> None:
    """The error has the words (regular expressions), and comes before anything was done."""
    record = Record()
    net = make_net(module, callbacks=[("record", record)], **settings)
    with pytest.raises((ValueError, TypeError)) as info:
        net.fit(X, y)
    message = str(info.value)
    for word in words:
        assert re.search(word, message), f"{word!r} is not in: {message}"
    assert record.weights == []
    assert not net.initialized_
    assert not hasattr(net, "module_")


# The form of the clean set

FORM = (r"\(Xv, yv\)", "Dataset")


@pytest.mark.parametrize(
    ("clean_set", "words"),
    [
        (None, ("clean_set=None", "Set clean_set", *FORM)),
        (X_CLEAN, ("ndarray", *FORM)),
        ("ab", ("str", *FORM)),
        ({"X": X_CLEAN, "y": Y_CLEAN}, ("dict", *FORM)),
        ((X_CLEAN,), ("1 element", *FORM)),
        ((X_CLEAN, Y_CLEAN, Y_CLEAN), ("3 elements", *FORM)),
        ((X_CLEAN, None), ("None", "label|yv", "clean_set")),
        ((None, Y_CLEAN), ("None", "Xv", "clean_set")),
        ((X_CLEAN[:1], 1), ("clean_set", "int|yv")),
    ],
)
def test_form_of_the_clean_set(clean_set: Any, words: tuple[str, ...]) -> None:
    assert_refused(words, clean_set=clean_set)


def test_clean_set_without_a_length() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return zip(X_CLEAN, Y_CLEAN, strict=True)

    assert_refused(("clean_set", "length|Iterable|Stream"), clean_set=Stream())


@pytest.mark.parametrize(
    "clean_set",
    [
        (X_CLEAN[:0], Y_CLEAN[:0]),
        (torch.as_tensor(X_CLEAN[:0]), torch.as_tensor(Y_CLEAN[:0])),
        ([], []),
        tensors(X_CLEAN[:0], Y_CLEAN[:0]),
        SkorchDataset(X_CLEAN[:0], Y_CLEAN[:0]),
    ],
    ids=["arrays", "tensors", "lists", "TensorDataset", "skorch's Dataset"],
)
def test_empty_clean_set(clean_set: Any) -> None:
    assert_refused(("empty clean_set", "expected at least one"), clean_set=clean_set)


@pytest.mark.parametrize("n_labels", [1, 7])
def test_lengths_differ(n_labels: int) -> None:
    words = ("8 rows", f"{n_labels} label", "one label for each row")
    assert_refused(words, clean_set=(X_CLEAN, Y_CLEAN[:n_labels]))
    assert_refused(words, clean_set=(pd.DataFrame(X_CLEAN), pd.Series(Y_CLEAN[:n_labels])))
    assert_refused(words, clean_set=({"X": X_CLEAN}, Y_CLEAN[:n_labels]), X={"X": X})


def test_lengths_of_data_and_labels_differ() -> None:
    assert_refused(("X and y", "length"), y=Y[:-1])


@pytest.mark.parametrize("form", [tuple, tensors, skorch_set, part])
def test_features_differ(form: Callable[..., Any]) -> None:
    narrow = (X_CLEAN[:, :3].copy(), Y_CLEAN)
    clean_set = narrow if form is tuple else form(*narrow)
    assert_refused((r"\(3,\)", r"\(4,\)", "clean_set", "preprocessing"), clean_set=clean_set)


def test_features_differ_from_those_of_a_data_set() -> None:
    assert_refused(
        (r"\(3,\)", r"\(4,\)", "clean_set"),
        X=tensors(X, Y), y=None, clean_set=(X_CLEAN[:, :3], Y_CLEAN),
    )  # fmt: skip


def test_inputs_have_other_names() -> None:
    assert_refused(
        ("rows", "first", "second", "clean_set"),
        X={"first": X}, clean_set=({"second": X_CLEAN}, Y_CLEAN),
    )  # fmt: skip


# Labels


@pytest.mark.parametrize("form", [tuple, tensors, skorch_set, part])
def test_clean_label_that_is_not_in_y(form: Callable[..., Any]) -> None:
    unknown = (X_CLEAN, np.where(np.arange(8) == 3, 5, Y_CLEAN))
    clean_set = unknown if form is tuple else form(*unknown)
    words = (r"\[5\]", "clean_set", r"\[0, 1\]", "classes")
    assert_refused(words, clean_set=clean_set)


def test_clean_labels_of_another_kind() -> None:
    words = ("yes", "clean_set", r"\[0, 1\]")
    assert_refused(words, clean_set=(X_CLEAN, np.where(Y_CLEAN == 1, "yes", "no")))


def test_clean_labels_of_a_data_set_that_is_asked_item_by_item() -> None:
    items: Any = [(row, 4) for row in X_CLEAN]

    class Items(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(items)

        def __getitem__(self, index: int) -> Any:
            return items[index]

    assert_refused(("4", "clean_set", r"\[0, 1\]"), clean_set=Items())


@pytest.mark.parametrize("labels", [["a", "b"], [0, 1], [3, 7], [False, True]])
@pytest.mark.parametrize("form", ["pair", "data set"])
def test_class_that_the_clean_set_lacks(labels: list[Any], form: str) -> None:
    names = np.asarray(labels)
    clean_set: Any = (X_CLEAN[1::2], names[Y_CLEAN[1::2]])
    if form == "data set":
        clean_set = SkorchDataset(*clean_set)
    net = make_net(clean_set=clean_set)
    expected = re.escape(repr(labels[0]))
    with pytest.warns(UserWarning, match=rf"clean_set.*{expected}.*ignore") as warned:
        net.fit(X, names[Y])
    assert len(warned) == 1
    assert repr(labels[1]) not in str(warned[0].message)
    assert set(net.predict(X)) <= set(labels)


@pytest.mark.parametrize("y", [Y + 0.5, Y.astype(float) + np.linspace(0, 0.4, len(Y))])
@pytest.mark.parametrize("form", [np.asarray, pd.Series, torch.as_tensor, list])
def test_y_of_floats(y: Any, form: Callable[[Any], Any]) -> None:
    assert_refused(("continuous", "discrete classes"), y=form(y))


def test_y_of_floats_in_a_data_set() -> None:
    assert_refused(("continuous",), X=tensors(X, Y + 0.5), y=None)


def test_clean_labels_of_floats() -> None:
    assert_refused((r"0\.5", "clean_set"), clean_set=(X_CLEAN, Y_CLEAN + 0.5))


def test_missing_labels() -> None:
    assert_refused(("y=None", "labels"), y=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scikit-learn casts NaN to int
        assert_refused(("NaN|missing|unknown",), y=np.where(Y == 0, np.nan, 1.0))
    assert_refused(("None|NaN|missing|unknown",), y=np.array([None, "a"], dtype=object)[Y])


def test_y_of_several_columns() -> None:
    assert_refused(("y", "shape|multilabel|column|1d"), y=np.eye(2, dtype=int)[Y])
    assert_refused(
        ("clean_set|yv", "shape|multilabel|column|1d"),
        clean_set=(X_CLEAN, np.eye(2, dtype=int)[Y_CLEAN]),
    )


@pytest.mark.parametrize("unknown", [2, 9])
def test_label_that_is_not_among_the_given_classes(unknown: int) -> None:
    y = np.where(np.arange(len(Y)) == 0, unknown, Y)
    assert_refused((rf"\[{unknown}\]", r"\[0, 1\]", "classes"), y=y, classes=[0, 1])


def test_label_that_appears_in_partial_fit() -> None:
    net = make_net().fit(X, Y)
    before = state_of(net.module_)
    with pytest.raises(ValueError, match=r"\[2\].*\[0, 1\].*classes"):
        net.partial_fit(X, Y + 1)
    assert same_state(before, state_of(net.module_))
    assert net.classes_.tolist() == [0, 1]


def test_no_rows() -> None:
    assert_refused(("X|row|sample|example", "0|empty|no "), X=X[:0], y=Y[:0])


# Numbers


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "form", [np.asarray, pd.DataFrame, torch.as_tensor, np.ndarray.tolist, np.asfortranarray]
)
def test_inputs_are_not_finite(form: Callable[[Any], Any], value: float) -> None:
    assert_refused(("Input X", "NaN|infinity", "Impute or drop"), X=form(with_value(X, value)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("form", [tensors, skorch_set, part])
def test_inputs_in_a_data_set_are_not_finite(form: Callable[..., Any], value: float) -> None:
    words = ("X", "NaN|infinity", "Impute or drop")
    assert_refused(words, X=form(with_value(X, value), Y), y=None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, torch.as_tensor])
def test_clean_set_is_not_finite(form: Callable[[Any], Any], value: float) -> None:
    clean_set = (form(with_value(X_CLEAN, value)), Y_CLEAN)
    assert_refused(("clean_set", "NaN|infinity", "Impute or drop"), clean_set=clean_set)


@pytest.mark.parametrize("form", [tensors, skorch_set, part])
def test_clean_data_set_is_not_finite(form: Callable[..., Any]) -> None:
    clean_set = form(with_value(X_CLEAN, np.nan), Y_CLEAN)
    assert_refused(("clean_set", "NaN|infinity", "Impute or drop"), clean_set=clean_set)


def test_one_of_several_inputs_is_not_finite() -> None:
    assert_refused(
        ("Input X", "NaN", "Impute or drop"),
        X={"a": X, "b": with_value(X, np.nan)},
        clean_set=({"a": X_CLEAN, "b": X_CLEAN}, Y_CLEAN),
    )


# Parameters


@pytest.mark.parametrize("size", [0, -3, np.int64(0)])
def test_clean_batch_size_is_not_positive(size: Any) -> None:
    words = (f"clean_batch_size=.*{int(size)}", "positive int", "None")
    assert_refused(words, clean_batch_size=size)


@pytest.mark.parametrize("size", [2.5, 4.0, "4", [4], (2, 2), True, np.array([4])])
def test_clean_batch_size_is_no_int(size: Any) -> None:
    assert_refused(("clean_batch_size=", "positive int", "None"), clean_batch_size=size)


def test_numpy_int_is_an_int() -> None:
    net = make_net(clean_batch_size=np.int64(3)).fit(X, Y)
    assert len(net.history) == 2


@pytest.mark.parametrize("way", ["exact", "Forward", None, 1])
def test_unknown_meta_gradient(way: Any) -> None:
    names = ("auto", "forward", "double_backward", "finite_difference")
    assert_refused((f"meta_gradient={way!r}", *names), meta_gradient=way)


@pytest.mark.parametrize("meta_parameters", ["nope", ["outer.*", "nope"]])
def test_meta_parameters_that_match_nothing(meta_parameters: Any) -> None:
    words = ("meta_parameters=.*nope", "no parameter", "outer.weight")
    assert_refused(words, meta_parameters=meta_parameters)


def test_meta_parameters_of_another_type() -> None:
    assert_refused(("meta_parameters=3", "expected", "callable"), meta_parameters=3)


@pytest.mark.parametrize("seed", ["a", -1, 1.5])
def test_random_state_that_is_none(seed: Any) -> None:
    assert_refused(("[Ss]eed",), random_state=seed)


# Module and criterion


@pytest.mark.parametrize("criterion", [MeanLoss, MeanLoss(), SumsAnyway])
def test_criterion_without_losses_of_examples(criterion: Any) -> None:
    words = (r"loss of shape \(\)", "one loss for each example", "reduction")
    assert_refused(words, criterion=criterion)


def test_logits_into_nll_loss() -> None:
    assert_refused(("probabilities", "NLLLoss", "CrossEntropyLoss"), criterion=nn.NLLLoss)


def test_log_probabilities_into_nll_loss() -> None:
    class LogProbabilities(MLP):
        def forward(self, X: Tensor) -> Tensor:
            return super().forward(X).log_softmax(1)

    words = ("probabilities", "NLLLoss", "CrossEntropyLoss")
    assert_refused(words, module=LogProbabilities, criterion=nn.NLLLoss)


def test_probabilities_into_cross_entropy() -> None:
    words = ("probabilities", "CrossEntropyLoss", "logits", "NLLLoss")
    assert_refused(words, module=Probabilities)
    assert_refused(words, module=Probabilities, criterion=nn.CrossEntropyLoss(label_smoothing=0.1))


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_number_of_outputs(n_outputs: int) -> None:
    words = (rf"\(8, {n_outputs}\)", "2 classes", "last layer")
    assert_refused(words, module__n_outputs=n_outputs)


def test_error_in_the_module_is_not_taken_for_a_missing_formula() -> None:
    """The user sees the module's own error, and no warning about finite differences first."""

    class Broken(MLP):
        def forward(self, X: Tensor) -> Tensor:
            if self.training:
                raise RuntimeError("weights got lost")
            return super().forward(X)

    with pytest.raises(RuntimeError, match="weights got lost"):
        make_net(Broken).fit(X, Y)


def test_error_in_a_training_batch_is_not_taken_for_a_missing_formula() -> None:
    class Picky(MLP):
        def forward(self, X: Tensor) -> Tensor:
            if bool((X == MARK).any()):
                raise RuntimeError("cannot take this row")
            return super().forward(X)

    with pytest.raises(RuntimeError, match="cannot take this row"):
        make_net(Picky, iterator_train__shuffle=False).fit(with_value(X[:16], MARK), Y[:16])
