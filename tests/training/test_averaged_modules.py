"""The mean of the parameters for modules and data of all kinds, BatchNorm above all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from skorch.callbacks import Callback, Freezer, Unfreezer
from skorch.dataset import ValidSplit
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from tests.averages import Epochs, averaged, mean_of, same_parameters
from tests.small import MLP, Y_NOISY, X, joined, make_net, same_state, state_of

f64 = torch.float64


# Statistics of BatchNorm


def statistics(module: Any, rows: Any, batch_size: int) -> tuple[Tensor, Tensor]:
    """Mean over batches in order of the mean and of the variance of what BatchNorm gets."""
    batches = torch.as_tensor(rows).double().split(batch_size)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        inner = [module.inner(batch) for batch in batches]
    means, variances = [h.mean(0) for h in inner], [h.var(0) for h in inner]
    return torch.stack(means).mean(0), torch.stack(variances).mean(0)


def assert_statistics(net: Any, rows: Any, batch_size: int = 16) -> None:
    mean, var = statistics(net.module_, rows, batch_size)
    torch.testing.assert_close(net.module_.norm.running_mean, mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(net.module_.norm.running_var, var, rtol=0, atol=1e-12)


NORMED: dict[str, Any] = {"module__batch_norm": True, "iterator_train__shuffle": False}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_statistics_are_those_of_the_mean(method: str) -> None:
    """Of a pass over the training rows by the averaged net, as torch's `update_bn` has them."""
    net, record = averaged(**NORMED)
    getattr(net, method)(X, Y_NOISY)
    assert same_parameters(net, mean_of(record.parameters))
    assert_statistics(net, X)
    assert not torch.allclose(
        net.module_.norm.running_mean, record.epochs[-1]["norm.running_mean"], atol=1e-4
    )
    assert net.module_.norm.momentum == 0.1


def test_statistics_between_epochs_are_averaged_too() -> None:
    """Of the raw net's running ones, there is no pass of its own before the end."""
    net, record = averaged(**NORMED)
    net.fit(X, Y_NOISY)
    for epoch, state in enumerate(record.epochs, start=1):
        expected = mean_of(record.parameters[: 3 * epoch])
        del state["norm.num_batches_tracked"], expected["norm.num_batches_tracked"]
        assert same_state(state, expected, atol=1e-12)


def test_statistics_are_of_rows_that_are_trained_on() -> None:
    rows, labels, mask = joined()
    net, _ = averaged(**NORMED, clean_set=None)
    net.fit(rows, labels, clean_mask=mask)
    assert_statistics(net, X)
    kept = np.arange(len(X)) % 3 > 0
    net, _ = averaged(**NORMED)
    net.fit(X, Y_NOISY, sample_weight=kept.astype(float))
    assert_statistics(net, X[kept])
    split = ValidSplit(3, stratified=False)
    net, _ = averaged(**NORMED, train_split=split)
    net.fit(X, Y_NOISY)
    train, _ = split(net.get_dataset(X, Y_NOISY), Y_NOISY)
    assert_statistics(net, X[train.indices])


def test_statistics_with_shuffled_batches_and_dropout() -> None:
    net, _ = averaged(module__batch_norm=True, module__dropout=0.5, batch_size=-1)
    net.fit(X, Y_NOISY)
    assert_statistics(net, X, len(X))


@pytest.mark.parametrize("random_state", [0, None])
def test_statistics_made_anew_touch_no_generator(random_state: int | None) -> None:
    """Those of the module that draws, and of the shuffle: the fit after it is the same."""
    settings = {"module__batch_norm": True, "module__dropout": 0.5, "random_state": random_state}
    states = []
    for average in (None, 0.5):
        torch.manual_seed(5)
        net, record = averaged(average=average, **settings)
        net.fit(X, Y_NOISY)
        states.append(torch.get_rng_state())
        net.partial_fit(X, Y_NOISY)
        states.append(torch.get_rng_state())
        states.append(torch.cat([s["outer.weight"] for s in record.parameters]))
    for without, with_mean in zip(states[:3], states[3:], strict=True):
        assert torch.equal(without, with_mean)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_statistics_of_the_raw_net_go_on(momentum: float | None) -> None:
    """What the mean's statistics are made of leaves nothing in those of training."""

    class Normed(MLP):
        def __init__(self, dtype: torch.dtype) -> None:
            super().__init__(batch_norm=True, dtype=dtype)
            self.norm.momentum = momentum

    whole, expected = averaged(Normed, max_epochs=4)
    halves, record = averaged(Normed, max_epochs=2)
    whole.fit(X, Y_NOISY), halves.fit(X, Y_NOISY).partial_fit(X, Y_NOISY)
    for ours, theirs in zip(record.parameters, expected.parameters, strict=True):
        assert same_state(ours, theirs)
    assert same_parameters(halves, state_of(whole.module_))


class Counting(MLP):
    """Counts its calls in training, as quantizers and the like keep numbers of their own."""

    calls: Tensor

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__(batch_norm=True, dtype=dtype)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, X: Tensor) -> Tensor:
        self.calls += self.training
        return super().forward(X)


def test_other_buffers_are_those_of_training() -> None:
    """The pass that makes statistics anew changes no others."""
    net, record = averaged(Counting)
    net.fit(X, Y_NOISY)
    assert net.module_.calls == record.parameters[-1]["calls"] == 9


class Scaled(MLP):
    """Takes an argument that is given to `fit`."""

    def forward(self, X: Tensor, scale: float | None = None) -> Tensor:
        assert self.training is False or scale == 2.0
        return super().forward(X)


@pytest.mark.parametrize("routing", [False, True])
def test_arguments_of_forward_are_those_of_the_fit(routing: bool) -> None:
    with sklearn.config_context(enable_metadata_routing=routing):
        net, _ = averaged(Scaled, **NORMED)
        if routing:
            net.set_fit_request(scale=True)
        net.fit(X, Y_NOISY, scale=2.0)
    assert_statistics(net, X)


class Pretrained(MLP):
    """Statistics of BatchNorm that training is not to change, as in fine-tuning."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__(batch_norm=True, dtype=dtype)
        self.norm.running_mean.fill_(0.5)  # type: ignore[union-attr,operator]
        self.norm.running_var.fill_(2.0)  # type: ignore[union-attr,operator]

    def train(self, mode: bool = True) -> Pretrained:
        super().train(mode)
        self.norm.eval()
        return self


def test_statistics_that_are_kept_are_kept() -> None:
    net, _ = averaged(Pretrained)
    norm = net.fit(X, Y_NOISY).module_.norm
    assert norm.running_mean.tolist() == [0.5] * 6
    assert norm.running_var.tolist() == [2.0] * 6
    assert not norm.training


# Kinds of modules


@pytest.mark.parametrize("thawed", [False, True])
def test_frozen_layers(thawed: bool) -> None:
    callbacks: list[Any] = [("freeze", Freezer("inner.*"))]
    if thawed:
        callbacks.append(("thaw", Unfreezer("inner.*", at=3)))
    net, record = averaged(callbacks=callbacks, max_epochs=5)
    net.fit(X, Y_NOISY)
    inner = [state["inner.weight"] for state in record.parameters]
    assert torch.equal(inner[0], inner[5])
    assert torch.equal(inner[0], inner[-1]) is not thawed
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)
    net.partial_fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision(dtype: torch.dtype) -> None:
    """The mean is kept in single precision: in low, its small steps would be lost."""
    net, record = averaged(module__dtype=dtype, max_epochs=8)
    net.fit(X, Y_NOISY)
    wide = [{name: value.double() for name, value in s.items()} for s in record.parameters]
    expected = {name: value.to(dtype) for name, value in mean_of(wide).items()}
    found = state_of(net.module_)
    assert all(value.dtype == dtype for value in found.values())
    assert same_state(found, expected, atol=1e-3 if dtype == torch.bfloat16 else 1e-4)
    last = record.parameters[-1]
    net.set_params(lr=0.0).partial_fit(X, Y_NOISY)
    assert same_state(record.parameters[-1], last)


class Replaces(Callback):
    """Takes another head in the middle of an epoch."""

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) == 2 and len(net.history[-1, "batches"]) == 2:
            net.module_.outer = nn.Linear(6, 2, dtype=f64)
            net.optimizer_.add_param_group({"params": list(net.module_.outer.parameters())})


def test_a_layer_that_is_replaced_in_the_middle_of_an_epoch() -> None:
    net, record = averaged(callbacks=[("replaces", Replaces())], max_epochs=2)
    net.fit(X, Y_NOISY)
    outer = [state["outer.weight"] for state in record.parameters]
    assert (outer[4] - outer[3]).abs().max() > 0.2
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)


def test_precision_that_is_changed_in_between() -> None:
    """As without a mean, where training goes on in it."""
    net, record = averaged(module__dtype=torch.float32, max_epochs=1)
    mean = state_of(net.fit(X, Y_NOISY).module_)
    net.module_.double()
    net.partial_fit(X, Y_NOISY)
    for t, state in enumerate(record.parameters[3:], start=4):
        mean = {name: m + 3 / (t + 2) * (state[name] - m) for name, m in mean.items()}
    assert net.module_.inner.weight.dtype == f64
    assert same_state(state_of(net.module_), mean, atol=1e-6)


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6, dtype=torch.complex128))
        self.head = nn.Linear(6, 2, dtype=f64)

    def forward(self, X: Tensor) -> Tensor:
        output: Tensor = self.head((X.to(self.weight) @ self.weight).abs())
        return output


class Lazy(nn.Sequential):
    def __init__(self) -> None:
        layers = nn.LazyLinear(6, dtype=f64), nn.Tanh(), nn.LazyLinear(2, dtype=f64)
        super().__init__(*layers)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")  # torch's own
@pytest.mark.parametrize("module", [Complex, Lazy])
def test_other_parameters(module: Any) -> None:
    record = Epochs()
    net = make_net(module, average=0.5, max_epochs=3, callbacks=[("record", record)])
    net.fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)
    net.partial_fit(X, Y_NOISY)
    assert len(record.parameters) == 18
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)
    assert not same_state(state_of(net.module_), record.parameters[-1], atol=1e-4)


# Kinds of data


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(zip(X, Y_NOISY, strict=True))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_streams(batch_norm: bool) -> None:
    """They can be read once an epoch; statistics of BatchNorm are the mean of the raw net's."""
    net, record = averaged(
        module__batch_norm=batch_norm, classes=[0, 1], iterator_train__shuffle=False
    )
    net.fit(Stream(), None)
    expected, found = mean_of(record.parameters), state_of(net.module_)
    assert len(record.parameters) == 9
    for state in (expected, found):
        state.pop("norm.num_batches_tracked", None)
    assert same_state(found, expected, atol=1e-12)


def test_chunks_of_a_stream_that_are_given_one_by_one() -> None:
    net, record = averaged(classes=[0, 1], max_epochs=1)
    for part in (slice(0, 14), slice(14, 28), slice(28, 42)):
        net.partial_fit(X[part], Y_NOISY[part])
    assert len(record.parameters) == 3
    assert same_state(state_of(net.module_), mean_of(record.parameters), atol=1e-12)
