"""Several inputs: dicts that are no dict, arguments by position, flat text with offsets."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.utils.data import Dataset

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWMixin,
    example_weights,
    reweighted_backward,
)
from tests.small import SETTINGS, X_CLEAN, Y_CLEAN, Y_NOISY, Record, X, Y, make_net, state_of


class Two(nn.Module):
    """Takes two inputs, and may do without the second."""

    def __init__(self, n_outputs: int = 2) -> None:
        super().__init__()
        self.layer = nn.Linear(4, n_outputs)

    def forward(self, a: Tensor, b: Tensor | None = None) -> Tensor:
        assert b is not None
        out: Tensor = self.layer(torch.cat([a, b], 1))
        return out


class OfList(Two):
    """As skorch has it: one list of inputs."""

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:  # type: ignore[override]
        return super().forward(*inputs)


class OfAny(Two):
    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return super().forward(*args, **kwargs)


def halves(rows: Any) -> dict[str, Any]:
    return {"a": rows[:, :2], "b": rows[:, 2:]}


CLEAN = halves(X_CLEAN), Y_CLEAN
LOSS = nn.CrossEntropyLoss(reduction="none")
FORMS: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda rows: (rows[:, :2], rows[:, 2:]),
    "list": lambda rows: [rows[:, :2], rows[:, 2:]],
    "tensors": lambda rows: (torch.as_tensor(rows[:, :2]), torch.as_tensor(rows[:, 2:])),
    "BatchEncoding": lambda rows: UserDict(halves(rows)),
    "BatchEncoding of tensors": lambda rows: UserDict(halves(torch.as_tensor(rows))),
    "BatchEncoding of lists": lambda rows: UserDict(
        {name: half.tolist() for name, half in halves(rows).items()}
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_fit_predict_and_clean_set(form: str) -> None:
    expected = make_net(Two, clean_set=CLEAN).fit(halves(X), Y_NOISY)
    of = FORMS[form]
    net = make_net(Two, clean_set=(of(X_CLEAN), Y_CLEAN)).fit(of(X), Y_NOISY)
    np.testing.assert_array_equal(net.predict_proba(of(X)), expected.predict_proba(halves(X)))
    net.set_params(clean_set=None)
    net.fit(of(X), Y_NOISY, X_val=of(X_CLEAN), y_val=Y_CLEAN)
    np.testing.assert_array_equal(net.predict_proba(of(X)), expected.predict_proba(halves(X)))
    mask = np.arange(len(X)) % 3 == 0
    assert len(net.fit(of(X), Y, clean_mask=mask).example_weights_) == len(X)


@pytest.mark.parametrize("module", [OfList, OfAny])
def test_modules_of_one_list_and_of_any(module: Any) -> None:
    expected = make_net(Two, clean_set=CLEAN).fit(halves(X), Y_NOISY)
    of = FORMS["list"]
    net = make_net(module, clean_set=(of(X_CLEAN), Y_CLEAN)).fit(of(X), Y_NOISY)
    np.testing.assert_array_equal(net.predict_proba(of(X)), expected.predict_proba(halves(X)))


def test_compiled_modules_are_seen_through() -> None:
    of = FORMS["list"]
    net = make_net(Two, clean_set=(of(X_CLEAN), Y_CLEAN), compile=True, compile__backend="eager")
    net.set_params(max_epochs=0)
    assert len(net.fit(of(X), Y).predict(of(X))) == len(X)


def test_binary_classifier_and_a_net_with_an_infer_of_its_own() -> None:
    of = FORMS["tuple"]
    settings = {**SETTINGS, "module__n_outputs": 1, "clean_set": (of(X_CLEAN), Y_CLEAN)}
    net = L2RWBinaryClassifier(Two, **settings).fit(of(X), Y)
    assert net.forward(of(X)).shape == (len(X),)

    class Negated(NeuralNet):
        def infer(self, x: Any, **fit_params: Any) -> Any:
            return -self.module_(*x)

    class Net(L2RWMixin, Negated):
        pass

    settings = {**SETTINGS, "clean_set": (of(X_CLEAN), Y_CLEAN), "criterion": nn.CrossEntropyLoss}
    other = Net(Two, **settings).fit(of(X), Y)
    inputs = FORMS["tensors"](X)
    torch.testing.assert_close(other.forward(of(X)), -other.module_(*inputs).detach())


def test_functions_take_a_batch_encoding() -> None:
    torch.manual_seed(0)
    module, x, x_clean = Two(), torch.as_tensor(X), torch.as_tensor(X_CLEAN)
    y, y_clean = torch.as_tensor(Y_NOISY), torch.as_tensor(Y_CLEAN)
    expected = example_weights(module, LOSS, (halves(x), y), (halves(x_clean), y_clean))
    batch, clean = (UserDict(halves(x)), y), (UserDict(halves(x_clean)), y_clean)
    found = example_weights(module, LOSS, batch, clean)
    torch.testing.assert_close(found, expected)


# What a tokenizer makes of texts when it is not asked for tensors

RAGGED = UserDict({"a": [[1, 2], [3]], "b": [[1, 1], [1]]})


def test_ragged_lists() -> None:
    with pytest.raises(ValueError, match=r"ragged lists under 'a', of 1 to 2.*return_tensors='pt'"):
        make_net(Two, clean_set=CLEAN).fit(RAGGED, [0, 1])
    with pytest.raises(ValueError, match=r"ragged lists under 'a'.*padding=True"):
        make_net(Two, clean_set=(RAGGED, [0, 1])).fit(halves(X), Y)
    net = make_net(Two, clean_set=CLEAN).fit(halves(X), Y)
    with pytest.raises(ValueError, match=r"ragged lists under 'a'.*padding=True"):
        net.predict(RAGGED)
    batch = RAGGED, torch.tensor([0, 1])
    for function in (example_weights, reweighted_backward):
        with pytest.raises(TypeError, match="return_tensors='pt', padding=True"):
            function(Two(), LOSS, batch, batch)


# Flat text


class Texts(Dataset[Any]):
    """Words of a vocabulary of 6, some of them telling of the class."""

    def __init__(self, n: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.y = [int(i) % 2 for i in range(n)]
        self.words = [
            torch.as_tensor(generator.integers(3 * y, 3 * y + 4, generator.integers(1, 5)) % 6)
            for y in self.y
        ]

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.words[i], self.y[i]

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return (self[i] for i in range(len(self)))


def flat(items: Any) -> Any:
    words, y = zip(*items, strict=True)
    lengths = torch.tensor([0, *map(len, words)][:-1])
    return (torch.cat(words), lengths.cumsum(0)), torch.as_tensor([int(label) for label in y])


class Bag(nn.Module):
    def __init__(self, sparse: bool = False) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(6, 3, mode="sum", sparse=sparse)
        self.head = nn.Linear(3, 2)

    def forward(self, words: Tensor, offsets: Tensor) -> Tensor:
        out: Tensor = self.head(self.words(words, offsets))
        return out


SLOW = "ignore:The meta-gradient is computed by one backward pass for each example:UserWarning"
COLLATE: dict[str, Any] = {"iterator_train__collate_fn": flat, "iterator_valid__collate_fn": flat}


@pytest.mark.filterwarnings(SLOW)
def test_flat_text_in_fit() -> None:
    record = Record()
    net = make_net(
        Bag, clean_set=Texts(8, 1), callbacks=[record], max_epochs=1, lr=0.0,
        train_split=predefined_split(Texts(10, 2)), **COLLATE,
    )  # fmt: skip
    texts = Texts(42, 0)
    net.fit(texts, None)
    for batch, weights in zip(record.batches, record.weights, strict=True):
        assert len(batch[0][0]) != len(batch[1])
        expected = example_weights(net.module_, LOSS, tuple(batch), flat(list(Texts(8, 1))))
        torch.testing.assert_close(weights, expected)
    assert net.history[0, "batches", 0, "train_batch_size"] == 16
    assert net.history[0, "valid_acc"] is not None
    assert net.example_weights_.shape == (42,)  # rows are known
    assert len(net.predict(texts)) == 42


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("sparse", [False, True])
def test_flat_text_in_functions(sparse: bool) -> None:
    """As the same texts, padded with a word whose embedding is zero."""
    torch.manual_seed(0)
    bag = Bag(sparse)
    batch, clean = flat(list(Texts(12, 0))), flat(list(Texts(6, 1)))

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.head = nn.Embedding(7, 3, padding_idx=6), nn.Linear(3, 2)
            self.words.weight.data[:6] = bag.words.weight.data
            self.head.load_state_dict(bag.head.state_dict())

        def forward(self, X: Tensor) -> Tensor:
            out: Tensor = self.head(self.words(X).sum(1))
            return out

    def padded(n: int, seed: int) -> tuple[Tensor, Tensor]:
        words = nn.utils.rnn.pad_sequence(Texts(n, seed).words, True, padding_value=6)
        return words, torch.as_tensor(Texts(n, seed).y)

    expected = example_weights(Padded(), LOSS, padded(12, 0), padded(6, 1))
    torch.testing.assert_close(example_weights(bag, LOSS, batch, clean), expected)
    step = reweighted_backward(bag, LOSS, batch, clean, scale_slopes=False)
    torch.testing.assert_close(step.weights, expected)


def test_flat_text_without_a_collate_function() -> None:
    (words, offsets), y = flat(list(Texts(42, 0)))
    clean = flat(list(Texts(8, 1)))
    with pytest.raises(ValueError, match=r"lengths \[\d+, 42\].*Flat text.*collate function"):
        make_net(Bag, clean_set=clean).fit((words, offsets), y)


def test_other_lengths_are_still_refused() -> None:
    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    with pytest.raises(ValueError, match="Got 42 inputs and 41 targets"):
        example_weights(Two(), LOSS, (halves(x), y[:-1]), (halves(x), y))


def test_training_leaves_inputs_alone() -> None:
    of = FORMS["tensors"]
    inputs = of(X)
    before = [x.clone() for x in inputs]
    net = make_net(Two, clean_set=(of(X_CLEAN), Y_CLEAN)).fit(inputs, Y)
    assert all(torch.equal(x, b) for x, b in zip(inputs, before, strict=True))
    assert state_of(net.module_)
