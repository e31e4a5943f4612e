"""On a GPU everything is as on the CPU: weights, fits, and what is left of both."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import L2RWClassifier, L2RWRegressor, example_weights
from tests import zoo_parts as z
from tests.oracle import assert_close, oracle_of
from tests.small import MLP, SETTINGS, Y_NOISY, X, Y, same_state, state_of
from tests.zoo import ZOO, build, for_oracle
from tests.zoo_parts import Problem

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

RANDOM = ("checkpoint", "packed", "dropout", "noise", "drop", "random", "mix", "sampl")
# Kernels that CUDA has not, or not in double precision, and numbers that differ by device.
CASES = [
    name
    for name in ZOO
    if not any(word in name for word in (*RANDOM, "quant", "compile", "script"))
]


def on_gpu(x: Any) -> Any:
    if isinstance(x, dict):
        return {key: on_gpu(value) for key, value in x.items()}
    if isinstance(x, (tuple, list)):
        return tuple(on_gpu(value) for value in x)
    return x.cuda() if isinstance(x, Tensor) else x


def moved(problem: Problem) -> Problem:
    module = problem.module.cuda()
    loss = problem.loss.cuda() if isinstance(problem.loss, nn.Module) else problem.loss
    return Problem(module, loss, on_gpu(problem.batch), on_gpu(problem.clean_batch))


@pytest.mark.parametrize("name", CASES)
def test_weights_of_the_zoo(name: str) -> None:
    torch.manual_seed(0)
    expected = oracle_of(for_oracle(build(ZOO[name], torch.float64)))
    problem = moved(build(ZOO[name], torch.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of ways that are slow
        found = example_weights(*problem)
    assert found.is_cuda
    assert_close(found.cpu(), expected, atol=1e-7)


@pytest.mark.parametrize("layer", [nn.GRU, nn.LSTM])
def test_recurrent_nets_without_cudnn_and_with_it_after(layer: Any) -> None:
    torch.manual_seed(0)
    problem = Problem(
        z.recurrent(layer(6, 5, batch_first=True)).double(),
        nn.CrossEntropyLoss(reduction="none"),
        (torch.randn(8, 4, 6).double(), torch.arange(8) % 3),
        (torch.randn(4, 4, 6).double(), torch.arange(4) % 3),
    )
    expected = oracle_of(problem)
    found = example_weights(*moved(problem))
    assert_close(found.cpu(), expected, atol=1e-8)
    assert torch.backends.cudnn.enabled


def test_no_trace_in_the_generator() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)).cuda()
    loss = nn.CrossEntropyLoss(reduction="none")
    batch = torch.randn(16, 4).cuda(), torch.arange(16).cuda() % 2
    clean = torch.randn(6, 4).cuda(), torch.arange(6).cuda() % 2
    example_weights(net, loss, batch, clean)
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    first = example_weights(net, loss, batch, clean)
    assert torch.equal(torch.cuda.get_rng_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.equal(example_weights(net, loss, batch, clean), first)


def tensors(n: int) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(X[:n]), torch.as_tensor(Y[:n])


def make(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(MLP, **{**SETTINGS, "device": "cuda", **settings})


@pytest.mark.parametrize("batch_norm", [False, True])
def test_fit_is_that_of_the_cpu(batch_norm: bool) -> None:
    settings = {"module__dtype": torch.float64, "module__batch_norm": batch_norm}
    on_cpu = make(device="cpu", **settings).fit(X, Y_NOISY)
    net = make(**settings).fit(X, Y_NOISY)
    assert next(net.module_.parameters()).is_cuda
    np.testing.assert_allclose(net.predict_proba(X), on_cpu.predict_proba(X), atol=1e-7)
    np.testing.assert_allclose(net.example_weights_, on_cpu.example_weights_, atol=1e-6)
    for key in ("train_loss", "clean_loss", "effective_sample_size", "zero_weights"):
        np.testing.assert_allclose(net.history[:, key], on_cpu.history[:, key], atol=1e-6)


def test_fits_of_a_random_state_are_the_same_and_leave_the_generator() -> None:
    before = torch.cuda.get_rng_state()
    nets = [make(module__dropout=0.5).fit(X, Y_NOISY) for _ in range(2)]
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert same_state(*(state_of(net.module_) for net in nets))


def test_user_weights_and_a_clean_set_larger_than_a_batch() -> None:
    prior = np.linspace(0.5, 2, len(X))
    net = make(clean_set=14, class_weight="balanced").fit(X, Y, sample_weight=prior)
    assert np.isfinite(net.example_weights_).sum() == len(X) - 14
    net.partial_fit(X, Y)
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_failed_fit_leaves_the_estimator() -> None:
    net = make().fit(X, Y)
    before = net.predict_proba(X)
    with pytest.raises(ValueError, match="not among the classes"):
        net.partial_fit(X, Y + 5)
    np.testing.assert_array_equal(net.predict_proba(X), before)


def test_regressor() -> None:
    net = L2RWRegressor(clean_set=10, device="cuda", random_state=0, verbose=0)
    assert net.fit(X, X[:, 0]).score(X, X[:, 0]) > 0.7


def test_autocast() -> None:
    class Mixed(MLP):
        def forward(self, X: Tensor) -> Tensor:
            with torch.autocast("cuda", dtype=torch.bfloat16):
                return super().forward(X).float()

    torch.manual_seed(0)
    net = Mixed()
    loss = nn.CrossEntropyLoss(reduction="none")
    batch, clean = tensors(len(X)), tensors(8)
    plain = MLP()
    plain.load_state_dict(net.state_dict())
    expected = example_weights(plain, loss, batch, clean)
    found = example_weights(net.cuda(), loss, on_gpu(batch), on_gpu(clean))
    assert_close(found.cpu(), expected, atol=0.05 * float(expected.max()))


@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores")
def test_compiled_module() -> None:
    torch.manual_seed(0)
    net = MLP()
    loss = nn.CrossEntropyLoss(reduction="none")
    batch, clean = tensors(len(X)), tensors(8)
    expected = example_weights(net, loss, batch, clean)
    compiled: Any = torch.compile(net.cuda())
    found = example_weights(compiled, loss, on_gpu(batch), on_gpu(clean))
    assert_close(found.cpu(), expected, atol=1e-4)
