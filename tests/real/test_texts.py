"""Texts as a tokenizer of transformers makes them, in arrays and in data sets of dicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from sklearn_l2rw import L2RWClassifier, example_weights, rank_label_errors
from tests.real.nets import bert, with_lora
from tests.small import same_state, state_of

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*gradient_checkpointing.* is deprecated:FutureWarning"
)
WORDS = ["good", "fine", "bad", "poor", "film", "plot", "a", "the"]
SIZES: dict[str, Any] = {
    "num_labels": 2,
    "hidden_dropout_prob": 0,
    "attention_probs_dropout_prob": 0,
}


def tokenizer() -> Any:
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="[PAD]", unk_token="[UNK]"
    )


def reviews(n: int, seed: int) -> tuple[list[str], Any]:
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    telling = np.array(WORDS[:4])[2 * y + generator.integers(0, 2, n)]
    rest = [" ".join(generator.choice(WORDS[4:], generator.integers(1, 5))) for _ in range(n)]
    return [f"{word} {more}" for word, more in zip(telling, rest, strict=True)], y


TEXTS, Y = reviews(40, 0)
CLEAN_TEXTS, Y_CLEAN = reviews(8, 1)


def encoding(texts: list[str], kind: str = "pt") -> Any:
    return tokenizer()(texts, padding=True, return_tensors=kind)


def seeded_bert(**sizes: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return bert(**SIZES, **sizes)


def net_of(**settings: Any) -> L2RWClassifier:
    defaults: dict[str, Any] = {
        "module": seeded_bert(), "max_epochs": 2, "batch_size": 16, "lr": 0.05,
        "random_state": 0, "verbose": 0,
    }  # fmt: skip
    return L2RWClassifier(**{**defaults, **settings})


class Tokenized(Dataset[Any]):
    """Dicts of lists of several lengths, as of `dataset.map(tokenizer)`."""

    def __init__(self, texts: list[str], y: Any) -> None:
        self.inputs, self.label = tokenizer()(texts), y.tolist()

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {**{name: rows[i] for name, rows in self.inputs.items()}, "label": self.label[i]}


@pytest.mark.parametrize("kind", [pytest.param("pt", marks=pytest.mark.slow), "np"])
def test_a_batch_encoding(kind: str) -> None:
    clean_set = encoding(CLEAN_TEXTS, kind), Y_CLEAN
    X = encoding(TEXTS, kind)
    net = net_of(clean_set=clean_set, lr=0.2, max_epochs=20).fit(X, Y)
    assert net.score(X, Y) > 0.9
    assert len(rank_label_errors(net, X, Y).indices) == 40


def test_a_clean_set_that_is_padded_to_another_length() -> None:
    short = ["good film", "bad plot"] * 4
    assert encoding(short)["input_ids"].shape[1] < encoding(TEXTS)["input_ids"].shape[1]
    net = net_of(clean_set=(encoding(short), [0, 1] * 4)).fit(encoding(TEXTS), Y)
    assert net.example_weights_.shape == (40,)
    one = {"input_ids": torch.zeros(8, dtype=torch.int64), "attention_mask": torch.ones(8, 5)}
    with pytest.raises(ValueError, match=r"'input_ids': 1.*'input_ids': 2"):
        net_of(clean_set=(one, [0, 1] * 4)).fit(encoding(TEXTS), Y)


def test_lists_are_refused_with_advice() -> None:
    ragged = tokenizer()(TEXTS)
    net = net_of(clean_set=(encoding(CLEAN_TEXTS), Y_CLEAN))
    with pytest.raises(ValueError, match=r"ragged lists under 'input_ids'.*return_tensors='pt'"):
        net.fit(ragged, Y)
    batch = ragged, torch.as_tensor(Y)
    with pytest.raises(TypeError, match="return_tensors='pt', padding=True"):
        example_weights(seeded_bert(), nn.CrossEntropyLoss(reduction="none"), batch, batch)


def test_a_padding_collator() -> None:
    """All of the data in a batch, so that padding is the same with a tensor and with items."""
    collate = transformers.DataCollatorWithPadding(tokenizer())
    settings: dict[str, Any] = {"batch_size": 40, "iterator_train__shuffle": False}
    expected = net_of(clean_set=(encoding(CLEAN_TEXTS), Y_CLEAN), **settings)
    expected.fit(encoding(TEXTS), Y)
    net = net_of(
        clean_set=Tokenized(CLEAN_TEXTS, Y_CLEAN), classes=[0, 1],
        iterator_train__collate_fn=collate, iterator_valid__collate_fn=collate, **settings,
    )  # fmt: skip
    net.fit(Tokenized(TEXTS, Y), None)
    np.testing.assert_allclose(net.example_weights_, expected.example_weights_, atol=1e-3)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-4)
    np.testing.assert_allclose(
        net.predict_proba(Tokenized(TEXTS, Y)), expected.predict_proba(encoding(TEXTS)), atol=1e-4
    )


def test_a_collator_that_is_missing() -> None:
    net = net_of(clean_set=(encoding(CLEAN_TEXTS), Y_CLEAN), classes=[0, 1])
    with pytest.raises(ValueError, match=r"'input_ids' have different shapes.*Collator"):
        net.fit(Tokenized(TEXTS, Y), None)


def test_a_hub_data_set() -> None:
    datasets = pytest.importorskip("datasets")

    def hub(texts: list[str], y: Any) -> Any:
        names = np.array(["bad", "good"])[y].tolist()
        columns = {"text": texts, "label": names, **tokenizer()(texts)}
        return datasets.Dataset.from_dict(columns)

    collate = transformers.DataCollatorWithPadding(tokenizer())
    functions = {f"iterator_{part}__collate_fn": collate for part in ("train", "valid")}
    data, clean = (hub(*x).remove_columns("text") for x in ((TEXTS, Y), (CLEAN_TEXTS, Y_CLEAN)))
    net = net_of(clean_set=clean, **functions).fit(data, None)
    assert net.classes_.tolist() == ["bad", "good"]
    assert net.example_weights_.shape == (40,)
    assert len(net.predict(data.remove_columns("label"))) == 40
    with pytest.raises(ValueError, match=r"text under 'text'.*remove_columns"):
        net_of(clean_set=clean).fit(hub(TEXTS, Y), None)


def test_a_model_without_a_head() -> None:
    config = seeded_bert().config
    net = net_of(module=transformers.BertModel(config))
    net.set_params(clean_set=(encoding(CLEAN_TEXTS), Y_CLEAN))
    with pytest.raises(ValueError, match=r"'last_hidden_state', 'pooler_output'.*head"):
        net.fit(encoding(TEXTS), Y)


def test_adapters_that_are_merged_after_training() -> None:
    """The net that was given is not touched, though its frozen parameters were not copied."""
    module = with_lora(seeded_bert(), task_type="SEQ_CLS")
    before = state_of(module)
    net = net_of(module=module, clean_set=(encoding(CLEAN_TEXTS), Y_CLEAN))
    expected = net.fit(encoding(TEXTS), Y).predict_proba(encoding(TEXTS))
    merged = net.module_.merge_and_unload().eval()
    with torch.no_grad():
        found = merged(**encoding(TEXTS)).logits.softmax(1)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert same_state(state_of(module), before)


@pytest.mark.slow
@pytest.mark.parametrize("lora", [False, True])
def test_gradient_checkpointing(lora: bool) -> None:
    module: Any = seeded_bert()
    if lora:
        module = with_lora(module, task_type="SEQ_CLS")
        module.enable_input_require_grads()
    settings: dict[str, Any] = {"clean_set": (encoding(CLEAN_TEXTS), Y_CLEAN)}
    expected = net_of(module=module, **settings).fit(encoding(TEXTS), Y)
    module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    net = net_of(module=module, **settings).fit(encoding(TEXTS), Y)
    assert net.meta_gradient_ != "per_example"
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-4)
