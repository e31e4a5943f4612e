"""skorch's AccelerateMixin, whose step is not weighted, and others that go before ours."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from skorch.hf import AccelerateMixin
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

from sklearn_l2rw import L2RWClassifier, L2RWMixin
from sklearn_l2rw.meta_gradient.processes import Alone
from sklearn_l2rw.training.accelerated import clean_batch_size
from tests.several import error_of, in_two
from tests.small import MLP, blobs, same_state, state_of

N = 48
X, Y = blobs(N, dtype=np.float64)
Y_NOISY = np.where(np.arange(N) % 5 == 0, 1 - Y, Y)
CLEAN = blobs(8, seed=1, dtype=np.float64)
SETTINGS: dict[str, Any] = {
    "clean_set": CLEAN,
    "module__dtype": torch.float64,
    "max_epochs": 3,
    "batch_size": 12,
    "lr": 0.1,
    "random_state": 0,
    "verbose": 0,
}


class Before(AccelerateMixin, L2RWClassifier):
    """The order in which skorch's documentation puts its mixin."""


class Behind(L2RWMixin, AccelerateMixin, NeuralNetClassifier):
    """The other order; what the net knows of labels is skorch's."""


KINDS = {"before": Before, "behind": Behind}


@pytest.fixture
def accelerate() -> Iterator[Any]:
    """The package, whose accelerators share their state."""
    package = pytest.importorskip("accelerate")
    yield package
    package.state.AcceleratorState._reset_state(True)
    package.state.GradientState._reset_state()


def make(kind: Any = L2RWClassifier, **settings: Any) -> Any:
    criterion = {"criterion": nn.CrossEntropyLoss} if kind is Behind else {}
    return kind(settings.pop("module", MLP), **{**SETTINGS, **criterion, **settings})


HISTORY = (
    "train_loss", "clean_loss", "zero_weights", "effective_sample_size", "zero_batches",
)  # fmt: skip


def outcome(net: Any, keys: Any = HISTORY) -> dict[str, Any]:
    """What a fit leaves, by name."""
    found: dict[str, Any] = {key: [float(x) for x in net.history[:, key]] for key in keys}
    found |= {name: value.numpy() for name, value in state_of(net.module_).items()}
    found["weights"], found["values"] = net.example_weights_, net.example_values_
    found["predictions"] = net.predict_proba(X[:-1])  # which cannot be shared out evenly
    return found


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


# One process


@pytest.mark.parametrize("kind", KINDS)
def test_both_orders_train_with_weights(accelerate: Any, kind: str) -> None:
    expected = make().fit(X, Y_NOISY)
    net = make(KINDS[kind], accelerator=accelerate.Accelerator(cpu=True)).fit(X, Y_NOISY)
    same(outcome(net), outcome(expected))
    assert net.meta_gradient_ == expected.meta_gradient_
    same(outcome(net.partial_fit(X, Y_NOISY)), outcome(expected.partial_fit(X, Y_NOISY)))
    subclass: Any = type("Subclass", (KINDS[kind],), {})
    assert subclass.train_step_single is L2RWClassifier.train_step_single


@pytest.mark.parametrize("kind", KINDS)
def test_initialized_outside_of_a_fit(accelerate: Any, kind: str) -> None:
    """Seeded as any other, and prepared once."""
    expected = state_of(make().initialize().module_)
    net = make(KINDS[kind], accelerator=accelerate.Accelerator(cpu=True)).initialize()
    assert same_state(state_of(net.module_), expected)
    assert net._wrapped_with_accelerator
    net.set_params(lr=0.2, module__hidden=5).partial_fit(X, Y_NOISY)
    assert len(net.history) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("placed", [True, False])
def test_files_without_pickle(accelerate: Any, kind: str, placed: bool, tmp_path: Path) -> None:
    """Read by a net that was never initialized."""
    pytest.importorskip("safetensors")
    accelerator = accelerate.Accelerator(cpu=True, device_placement=placed)
    path = tmp_path / "net.safetensors"
    net = make(KINDS[kind], accelerator=accelerator).fit(X, Y_NOISY)
    net.save_params(f_params=path, use_safetensors=True)
    device = None if placed else "cpu"
    other = make(KINDS[kind], accelerator=accelerator, device=device)
    other.load_params(f_params=path, use_safetensors=True)
    assert other.device == device
    assert other._wrapped_with_accelerator
    assert same_state(state_of(other.module_), state_of(net.module_))


def test_an_order_in_which_it_is_not_heard() -> None:
    with pytest.raises(
        TypeError, match=r"Got Deaf with AccelerateMixin behind.*expected it before"
    ):

        class Deaf(L2RWClassifier, AccelerateMixin):
            """Behind the net, which calls no super's."""


def test_mixed_precision(accelerate: Any) -> None:
    accelerator = accelerate.Accelerator(cpu=True, mixed_precision="bf16")
    single = {"module__dtype": torch.float32, "max_epochs": 15}
    net = make(Before, accelerator=accelerator, **single).fit(X, Y_NOISY)
    exact = make(**single).fit(X, Y_NOISY)
    assert net.score(X, Y) > 0.8
    assert np.corrcoef(net.example_weights_, exact.example_weights_)[0, 1] > 0.9


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mixed_precision", "fp16"),
        ("distributed_type", "FSDP"),
        ("gradient_accumulation_steps", 2),
        ("dispatch_batches", True),
    ],
)
def test_what_an_accelerator_may_not_do(
    accelerate: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    """Said before training; of settings that some machines do not have, too."""
    accelerator = accelerate.Accelerator(cpu=True)
    kinds = accelerate.utils.DistributedType
    found = kinds(value) if name == "distributed_type" else value
    monkeypatch.setattr(type(accelerator), name, property(lambda self: found))
    net = make(Before, accelerator=accelerator)
    with pytest.raises(ValueError, match=rf"Got an accelerator with {name}=\S+, but expected"):
        net.fit(X, Y_NOISY)
    assert not net.initialized_


# No device


@pytest.mark.parametrize("as_dataset", [False, True])
def test_no_device(as_dataset: bool) -> None:
    data: Any = (X, Y_NOISY)
    if as_dataset:
        data = (TensorDataset(torch.as_tensor(X), torch.as_tensor(Y_NOISY)), None)
    net = make(device=None).fit(*data)
    assert same_state(state_of(net.module_), state_of(make().fit(*data).module_))
    assert net.predict(X).shape == (N,)
    assert net.partial_fit(*data).initialize().device is None


def test_no_device_leaves_the_module_where_it_is() -> None:
    """On the meta device, where nothing can be trained: it is not moved from there."""
    net = L2RWClassifier(MLP().to("meta"), clean_set=CLEAN, device=None)
    assert next(net.initialize().module_.parameters()).device.type == "meta"


# Steps that are not ours


class Plain:
    """A mixin whose step does not call super's."""

    def train_step_single(self: Any, batch: Any, **fit_params: Any) -> Any:
        loss = self.get_loss(self.infer(batch[0]), batch[1], training=True)
        loss.backward()
        return {"loss": loss, "y_pred": None}


class Polite:
    """A mixin whose step does."""

    calls = 0

    def train_step_single(self: Any, batch: Any, **fit_params: Any) -> Any:
        type(self).calls += 1
        return super().train_step_single(batch, **fit_params)  # type: ignore[misc]


class WholeStep:
    """A mixin that takes the whole step."""

    def train_step(self: Any, batch: Any, **fit_params: Any) -> Any:
        self.optimizer_.zero_grad()
        step = Plain.train_step_single(self, batch)
        self.optimizer_.step()
        return step


@pytest.mark.parametrize(
    ("bases", "name"),
    [
        ((Plain, L2RWClassifier), r"Plain\.train_step_single"),
        ((Polite, Plain, L2RWClassifier), r"Polite\.train_step_single or Plain\.train_step_single"),
        ((WholeStep, L2RWClassifier), r"WholeStep\.train_step"),
    ],
)
def test_a_step_that_is_not_weighted_is_named(bases: Any, name: str) -> None:
    net = make(type("Net", bases, {})).initialize()
    before = state_of(net.module_)
    with pytest.raises(TypeError, match=f"without learned weights, by {name}, but expected"):
        net.partial_fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), before)


def test_a_step_that_calls_supers() -> None:
    kind = type("Net", (Polite, L2RWClassifier), {})
    net = make(kind).fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), state_of(make().fit(X, Y_NOISY).module_))
    assert kind.calls == 12  # type: ignore[attr-defined]
    behind = type("Net", (L2RWMixin, Plain, NeuralNetClassifier), {})
    make(behind, criterion=nn.CrossEntropyLoss).fit(X, Y_NOISY)  # which is not asked


def test_a_step_between_skorchs_and_ours(accelerate: Any) -> None:
    accelerator = accelerate.Accelerator(cpu=True)
    kind = type("Net", (AccelerateMixin, Polite, L2RWClassifier), {})
    make(kind, accelerator=accelerator).fit(X, Y_NOISY)
    assert kind.calls == 12  # type: ignore[attr-defined]
    kind = type("Net", (Polite, AccelerateMixin, L2RWClassifier), {})
    with pytest.raises(TypeError, match=r"by Polite\.train_step_single, but"):
        make(kind, accelerator=accelerator).fit(X, Y_NOISY)


def test_distributed_module_without_an_accelerator() -> None:
    class Pretends(nn.parallel.DistributedDataParallel):
        def __init__(self, module: nn.Module) -> None:
            nn.Module.__init__(self)
            self.module = module

    class Net(L2RWClassifier):
        def initialize_module(self, *args: Any, **kwargs: Any) -> Any:
            super().initialize_module(*args, **kwargs)
            self.module_ = Pretends(self.module_)
            return self

    with pytest.raises(ValueError, match=r"Got module in Distributed.*skorch's AccelerateMixin"):
        make(Net).fit(X, Y_NOISY)


# Two processes


def in_two_fits(function: Any, *arguments: Any) -> Any:
    pytest.importorskip("accelerate")
    return in_two(function, *arguments)


def accelerated(**settings: Any) -> Any:
    accelerate = importlib.import_module("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, **settings.pop("accelerator", {}))
    kind = KINDS[settings.pop("kind", "before")]
    return make(kind, accelerator=accelerator, **settings)


IN_ORDER = {"iterator_train__shuffle": False}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "before": ({}, {}),
    "behind": ({"kind": "behind"}, {}),
    "parts": ({"max_grad_norm": 0.05, "average": None, "meta_parameters": "last"}, {}),
    "paper": ({"clean_loss_weight": 0.0, "scale_slopes": False, "max_grad_norm": None}, {}),
    "shared": ({"clean_batch_size": 7}, {}),
    "class_weight": ({"class_weight": {0: 1.0, 1: 3.0}}, {}),
    "weighted": ({}, {"sample_weight": 1.0 + np.arange(N) % 3}),
    "mask": ({"clean_set": None}, {"clean_mask": np.arange(N) >= N}),
    "valid": ({"train_split": ValidSplit(2)}, {}),
    "valid_odd": ({"train_split": predefined_split(Dataset(X[:10], Y[:10]))}, {}),
}


def _case(name: str) -> tuple[dict[str, Any], dict[str, Any], Any, Any]:
    settings, arguments = CASES[name]
    rows, labels = X, Y_NOISY
    if name == "mask":
        rows, labels = np.concatenate([X, CLEAN[0]]), np.concatenate([Y_NOISY, CLEAN[1]])
        arguments = {"clean_mask": np.arange(len(rows)) >= N}
    return {**IN_ORDER, **settings}, arguments, rows, labels


def _fits(rank: int, names: Any) -> dict[str, Any]:
    found = {}
    for name in names:
        settings, arguments, rows, labels = _case(name)
        settings["batch_size"] = 6 if name != "shared" else 3
        net = accelerated(**settings).fit(rows, labels, **arguments)
        found[name] = _both(net, rows, labels, arguments)
    return found


def _both(net: Any, rows: Any, labels: Any, arguments: Any) -> list[dict[str, Any]]:
    valid = ["valid_acc"] if net.train_split else []
    valid += ["valid_loss"] if isinstance(net.train_split, ValidSplit) else []
    keys = (*HISTORY, *valid)
    return [outcome(net, keys), outcome(net.partial_fit(rows, labels, **arguments), keys)]


@pytest.mark.slow
def test_two_processes_are_as_one() -> None:
    """Parameters, history, weights by row and predictions, in each of the two."""
    found = in_two_fits(_fits, list(CASES))
    for name in CASES:
        settings, arguments, rows, labels = _case(name)
        settings["batch_size"] = 12 if name != "shared" else 6
        settings.pop("kind", None)
        net = make(**settings).fit(rows, labels, **arguments)
        for expected, *each in zip(
            _both(net, rows, labels, arguments), *(found[rank][name] for rank in range(2)),
            strict=True,
        ):  # fmt: skip
            for one in each:
                same(one, expected)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (8, (1, 2))),  # a clean set of 8; two processes of 6
        ({"clean_batch_size": 7}, (7, (1, 2))),
        ({"clean_batch_size": 1}, (1, (0, 1))),
        ({"batch_size": 3}, (6, (1, 2))),
        ({"batch_size": -1, "module__batch_norm": True}, (8, (0, 1))),
        ({"module__batch_norm": True, "clean_batch_size": 6}, (6, (0, 1))),
        ({"module__batch_norm": True}, (8, (1, 2))),
        ({"module__batch_norm": True, "batch_size": 1}, (2, (0, 1))),
    ],
)
def test_share_of_the_clean_batch(settings: Any, expected: Any) -> None:
    class Two(Alone):
        size, rank = 2, 1

    net = make(**{"batch_size": 6, **settings}).initialize()
    net.accelerator = SimpleNamespace(split_batches=False)
    assert clean_batch_size(net, 8, Two()) == expected
    net.accelerator.split_batches = True
    if settings == {"batch_size": 3}:
        assert clean_batch_size(net, 8, Two())[0] == 3


def _shuffled(rank: int) -> list[Any]:
    torch.manual_seed(rank)  # without a random_state, the first process's is taken
    split = {"accelerator": {"dataloader_config": _split_batches()}}
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y_NOISY))
    nets = [
        accelerated(random_state=None).fit(X, Y_NOISY),
        accelerated(**split).fit(X, Y_NOISY),
        accelerated(module__batch_norm=True).fit(X[:-3], Y_NOISY[:-3]),
        accelerated(module__dropout=0.5).fit(dataset),
        accelerated(iterator_train__collate_fn=torch.utils.data.default_collate).fit(dataset),
    ]
    return [outcome(net) for net in nets]


def _split_batches() -> Any:
    return importlib.import_module("accelerate").utils.DataLoaderConfiguration(split_batches=True)


@pytest.mark.slow
def test_two_processes_agree() -> None:
    """Where one process would draw other batches, or other statistics."""
    first, second = in_two_fits(_shuffled)
    for a, b in zip(first, second, strict=True):
        same(a, b)
        assert not np.isnan(a["weights"]).any()
        assert a["predictions"].shape == (N - 1, 2)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from zip(torch.as_tensor(X), torch.as_tensor(Y_NOISY), strict=True)


def _stream(rank: int) -> Any:
    return _left(accelerated(batch_size=6, classes=[0, 1], **IN_ORDER).fit(Stream()))


def _left(net: Any) -> Any:
    assert not hasattr(net, "example_weights_")
    return [[float(x) for x in net.history[:, key]] for key in HISTORY], state_of(net.module_)


@pytest.mark.slow
def test_a_stream_in_two_processes() -> None:
    """The first process reads it for both."""
    history, state = _left(make(classes=[0, 1], **IN_ORDER).fit(Stream()))
    for found in in_two_fits(_stream):
        np.testing.assert_allclose(found[0], history, rtol=1e-9, atol=1e-9)
        assert same_state(found[1], state, atol=1e-9)


def _refused(rank: int) -> list[str]:
    found = []

    def fails(X: Any = X, y: Any = Y_NOISY, **settings: Any) -> None:
        with error_of() as texts:
            accelerated(**settings).fit(X, y)
        found.append(texts[0])

    fails(clean_set=(CLEAN[0] + rank, CLEAN[1]))
    fails(clean_set=(CLEAN[0], CLEAN[1] if rank else CLEAN[1][::-1].copy()))
    fails(clean_set=6, random_state=rank)
    fails(
        clean_set=TensorDataset(torch.as_tensor(CLEAN[0][rank:]), torch.as_tensor(CLEAN[1][rank:]))
    )
    fails(optimizer=torch.optim.LBFGS)
    fails(module=Bad)
    return found


class Bad(MLP):
    def forward(self, X: torch.Tensor) -> torch.Tensor:
        if torch.distributed.get_rank() and self.training:
            raise ZeroDivisionError("of the second")
        return super().forward(X)


@pytest.mark.slow
def test_two_processes_that_do_not_agree() -> None:
    first, second = in_two_fits(_refused)
    assert first[:4] == second[:4]
    for text in first[:4]:
        assert text.startswith("ValueError: Got examples of the clean set in process 1 that differ")
    assert "random_state" in first[2]
    assert first[4] == second[4] != "no error"
    assert first[5].startswith("RuntimeError: Got an error in 1 of 2 processes")
    assert second[5] == "ZeroDivisionError: of the second"
