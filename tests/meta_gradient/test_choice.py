"""What was found out about a module on one batch is not believed blindly on the next."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import example_weights
from sklearn_l2rw.meta_gradient.algorithm import normalize
from sklearn_l2rw.meta_gradient.choice import META_GRADIENTS, Chooser
from sklearn_l2rw.meta_gradient.objective import Objective
from sklearn_l2rw.meta_gradient.parameters import trainable
from sklearn_l2rw.meta_gradient.ways import WAYS
from tests import zoo_parts as z
from tests.oracle import SLOW, assert_close, oracle_of
from tests.zoo import ZOO, build
from tests.zoo_batches import between

CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")
f64 = torch.float64


def batch_of(n: int) -> tuple[Tensor, Tensor]:
    return z.vectors(n).double(), z.labels(n)


def problem_of(module: nn.Module, batch: Any = None, loss: Any = CROSS_ENTROPY) -> z.Problem:
    return z.Problem(module.double(), loss, batch or batch_of(12), batch_of(6))


def assert_exact(problem: z.Problem, **settings: Any) -> None:
    expected = oracle_of(problem)
    assert_close(example_weights(*problem, **settings), expected, 1e-9)


class Counting(nn.Module):
    """Counts the passes through a module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.calls = module, 0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.module(*args, **kwargs)

    def passes(self, call: Callable[[], Any]) -> int:
        before = self.calls
        call()
        return self.calls - before


# Another batch


def test_a_batch_of_one_cannot_show_that_examples_interact() -> None:
    module = between(lambda m, h: h - h.mean(0))
    for n in (1, 32):
        assert_exact(problem_of(module, batch_of(n)))


def path(m: Any, x: Tensor) -> Tensor:
    h = m.first(x)
    if x[0, 0] > 1:
        h = h * m.s
    output: Tensor = m.head(h.tanh())
    return output


def two_paths(**layers: Any) -> nn.Module:
    return z.Apply(path, first=nn.Linear(5, 8), head=z.head(8), s=nn.Parameter(torch.ones(8)))


@pytest.mark.parametrize("way", META_GRADIENTS)
def test_another_path_that_the_way_in_use_refuses(way: str) -> None:
    module = two_paths()
    for first in (0.0, 2.0, 0.0):
        X, y = batch_of(12)
        X[0, 0] = first
        problem = problem_of(module, (X, y))
        expected = oracle_of(problem)
        try:
            weights = example_weights(*problem, meta_gradient=way)
        except ValueError:
            if way not in ("merged", "layerwise"):
                raise
            continue
        assert_close(weights, expected, 1e-3 if way == "finite_difference" else 1e-9)


@pytest.mark.filterwarnings(SLOW)
def test_alternating_paths_settle_on_a_way_that_is_right_for_all() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.first(x)
        h = torch.cdist(h, m.first.weight) if x[0, 0] > 0 else h - h.mean(0)
        return m.head(h.tanh())  # type: ignore[no-any-return]

    module = Counting(z.Apply(forward, first=nn.Linear(5, 5), head=z.head(5)))
    passes = []
    for step in range(8):
        X, y = batch_of(12)
        X[0, 0] = 1.0 if step % 2 else -1.0
        problem = problem_of(module, (X, y))
        expected = oracle_of(problem)
        before = module.calls
        assert_close(example_weights(*problem), expected, 1e-9)
        passes.append(module.calls - before)
    assert set(passes[4:]) == {2}  # nothing is tried any more


@pytest.mark.parametrize("seed", range(30))
def test_features_mixed_on_random_steps(seed: int) -> None:
    """Weights, and the gradient that the step is taken with."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.first(x)
        if torch.rand(()) < 0.5:
            h = 0.5 * h + 0.5 * h[torch.randperm(len(h))]
        return m.head(h.tanh())  # type: ignore[no-any-return]

    torch.manual_seed(seed)
    module = z.Apply(forward, first=nn.Linear(5, 8), head=z.head(8)).double()
    objective = Objective(module, CROSS_ENTROPY)
    chooser = Chooser("auto")
    for _ in range(4):
        problem = problem_of(module)
        expected = oracle_of(problem)
        with torch.random.fork_rng(devices=[]):
            losses, _ = objective(problem.batch)
            plain = torch.autograd.grad((expected * losses).sum(), list(module.parameters()))
        module.zero_grad()
        found = chooser(objective, *problem[2:], trainable(objective))
        weights = normalize(found.slopes)
        found.backward(weights, 0.0)
        assert_close(weights, expected, 1e-9)
        for p, g in zip(module.parameters(), plain, strict=True):
            assert p.grad is not None
            assert_close(p.grad, g, 1e-9)


def test_examples_that_begin_to_interact_are_seen_in_the_end() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.first(x)
        h = h - m.flag * h.mean(0)
        return m.head(h.tanh())  # type: ignore[no-any-return]

    module = z.Apply(forward, first=nn.Linear(5, 8), head=z.head(8))
    module.register_buffer("flag", torch.zeros(()))
    problem = problem_of(module)
    for step in range(65):
        if step == 5:
            module.get_buffer("flag").fill_(1)
        weights = example_weights(*problem)
    assert_close(weights, oracle_of(problem), 1e-9)  # in the very step that looks


def ragged(m: Any, sizes: Tensor, nodes: Tensor) -> Tensor:
    """Mean over the nodes of each graph, all nodes in one tensor."""
    owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    h = m.first(nodes[: len(owner)]).tanh()
    pooled = torch.zeros(len(sizes), 8, dtype=h.dtype).index_add(0, owner, h)
    return m.head(pooled / sizes[:, None])  # type: ignore[no-any-return]


def graphs(*sizes: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    X = torch.tensor(sizes), z.vectors(sum(sizes)).double()
    return X, z.labels(len(sizes))


@pytest.mark.parametrize("way", ["auto", "layerwise"])
def test_graphs_of_other_sizes_whose_total_is_a_multiple(way: str) -> None:
    module = z.Apply(ragged, first=nn.Linear(5, 8), head=z.head(8)).double()
    for batch in (graphs(*[2] * 8), graphs(1, 3, 2, 2, 4, 1, 1, 2), graphs(1, 1, 3)):
        problem = z.Problem(module, CROSS_ENTROPY, batch, graphs(2, 2, 2, 2))
        weights = example_weights(*problem, meta_gradient=way)
        assert_close(weights, oracle_of(problem), 1e-9)


def test_fewer_experts_than_before() -> None:
    """Each expert gets all examples at first, then only some."""

    def forward(m: Any, x: Tensor) -> Tensor:
        gates, chosen = m.gate(x).softmax(1).topk(m.k, 1)
        h = x.new_zeros(len(x), 8)
        for e, expert in enumerate(m.experts):
            rows, places = (chosen == e).nonzero(as_tuple=True)
            h = h.index_add(0, rows, gates[rows, places, None] * expert(x[rows]))
        return m.head(h.tanh())  # type: ignore[no-any-return]

    experts = nn.ModuleList(nn.Linear(5, 8) for _ in range(4))
    module: Any = z.Apply(forward, gate=nn.Linear(5, 4), experts=experts, head=z.head(8))
    for module.k in (4, 2):
        assert_exact(problem_of(module))


def test_dropout_that_is_scheduled_to_end() -> None:
    """Attention takes a fused kernel then, which has no second derivative."""
    problem = build(ZOO["transformer_with_dropout"], f64)
    assert_exact(problem)
    for module in problem.module.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    assert_exact(problem)


def test_filter_over_frequencies_under_batch_norm() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(m.first(x), dim=1) * m.filter
        return m.head(m.norm(torch.fft.irfft(spectrum, n=8, dim=1)).tanh())  # type: ignore[no-any-return]

    module = z.Apply(
        forward, first=nn.Linear(5, 8), filter=nn.Parameter(torch.rand(5)), norm=nn.BatchNorm1d(8),
        head=z.head(8),
    )  # fmt: skip
    for n in (12, 7):
        assert_exact(problem_of(module, batch_of(n)))


def test_an_error_of_the_modules_own_is_the_users_to_see() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        if x[0, 0] > 1:
            raise RuntimeError("no such path")
        return m.head(x)  # type: ignore[no-any-return]

    module = z.Apply(forward, head=z.head(5))
    X, y = batch_of(12)
    X[0, 0] = 0
    problem = problem_of(module, (X, y))
    example_weights(*problem)
    with pytest.raises(RuntimeError, match="no such path"):
        example_weights(*problem._replace(batch=(X + 2, y)))
    assert_exact(problem)


def test_running_out_of_memory_is_no_refusal() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        if len(x) == 12 and m.calls:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return m.head(x)  # type: ignore[no-any-return]

    module: Any = z.Apply(forward, head=z.head(5))
    module.calls = 0
    problem = problem_of(module)
    example_weights(*problem)
    module.calls = 1
    with pytest.raises(torch.cuda.OutOfMemoryError):
        example_weights(*problem, meta_gradient="layerwise")


def test_hooks_that_are_added_later_are_called() -> None:
    problem = problem_of(z.dense(nn.Tanh()))
    objective, chooser = Objective(problem.module, problem.loss), Chooser("auto")
    chooser(objective, *problem[2:], trainable(objective))
    assert chooser.name == "merged"
    called: list[Any] = []
    next(problem.module.parameters()).register_hook(called.append)  # type: ignore[no-untyped-call]
    found = chooser(objective, *problem[2:], trainable(objective))
    called.clear()
    found.backward(normalize(found.slopes), 0.0)
    assert called


# The same batch: nothing is chosen anew


def test_inline_losses_do_not_choose_anew() -> None:
    module = Counting(z.dense(nn.BatchNorm1d(8), nn.ReLU()))
    problem = problem_of(module)

    def one() -> None:
        example_weights(*problem._replace(loss=lambda output, y: CROSS_ENTROPY(output, y)))

    one()
    assert module.passes(one) == module.passes(one) == 2


def test_bound_methods_do_not_choose_anew() -> None:
    module = Counting(z.dense(nn.BatchNorm1d(8), nn.ReLU()))
    problem = problem_of(module, loss=CROSS_ENTROPY.forward)
    example_weights(*problem)
    assert (
        module.passes(lambda: example_weights(*problem._replace(loss=CROSS_ENTROPY.forward))) == 2
    )


def test_alternating_losses_and_modes_do_not_choose_anew() -> None:
    module = Counting(z.dense(nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU()))
    problem = problem_of(module)
    losses = (CROSS_ENTROPY, nn.CrossEntropyLoss(reduction="none", label_smoothing=0.1))
    for calls in range(3):
        for loss in losses:
            for mode in (True, False):
                module.train(mode)
                other = problem._replace(loss=loss)
                passes = module.passes(partial(example_weights, *other))
                assert passes <= 2 or calls == 0


def test_it_holds_no_module_and_can_be_pickled() -> None:
    problem = problem_of(z.dense(nn.Tanh()))
    objective, chooser = Objective(problem.module, problem.loss), Chooser("auto")
    chooser(objective, *problem[2:], trainable(objective))
    copy = pickle.loads(pickle.dumps(chooser))
    assert copy.name == chooser.name == "merged"
    assert copy(objective, *problem[2:], trainable(objective)).slopes.isfinite().all()
    held = weakref.ref(objective)
    del objective
    assert held() is None


# What cannot be told, and what is told wrongly


def test_nan_beside_the_parameters_is_no_agreement() -> None:
    """A logarithm whose argument noise may push below zero."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = (m.first(x.abs() + 0.1)).log()
        return m.head(h - h.mean(0))  # type: ignore[no-any-return]

    module: Any = z.Apply(forward, first=nn.Linear(5, 8), head=z.head(8))
    nn.init.constant_(module.first.weight, 1e-3)
    nn.init.zeros_(module.first.bias)
    assert_exact(problem_of(module))


def test_nan_wherever_parameters_are_moved() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.first(x) * torch.where(m.s == 1, m.s, torch.nan)
        return m.head((h - h.mean(0)).tanh())  # type: ignore[no-any-return]

    module = z.Apply(forward, first=nn.Linear(5, 8), s=nn.Parameter(torch.ones(8)), head=z.head(8))
    assert_exact(problem_of(module))


def test_gradients_that_are_not_finite_are_said_and_nothing_is_remembered() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.first(x)
        return m.head((h - h.mean(0)).tanh() + (x[:, :1] * m.s).square().sqrt())  # type: ignore[no-any-return]

    module = z.Apply(forward, first=nn.Linear(5, 8), s=nn.Parameter(torch.ones(1)), head=z.head(8))
    X, y = batch_of(12)
    problem = problem_of(module, (X, y))
    flat = X.clone()
    flat[:, 0] = 0
    with pytest.raises(ValueError, match="gradients that are not finite"):
        example_weights(*problem._replace(batch=(flat, y)))
    assert_exact(problem)


def test_trained_sigma_that_noise_would_make_negative() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        if (m.sigma <= 0.9999).any():
            raise ValueError("sigma is too small")
        return m.head(x * m.sigma)  # type: ignore[no-any-return]

    module = z.Apply(forward, sigma=nn.Parameter(torch.ones(5)), head=z.head(5))
    assert_exact(problem_of(module))


def test_frozen_parameters_are_not_moved() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        assert m.sigma.item() == 1e-3
        noise: Any = torch.distributions.Normal(0.0, m.sigma)
        return m.head(x + noise.sample(x.shape).to(x))  # type: ignore[no-any-return]

    sigma = nn.Parameter(torch.tensor(1e-3, dtype=f64), requires_grad=False)
    assert_exact(problem_of(z.Apply(forward, sigma=sigma, head=z.head(5))))


def test_finite_differences_say_how_far_they_are_off(caplog: pytest.LogCaptureFixture) -> None:
    problem = build(ZOO["learned_quantization"], f64)
    example_weights(*problem, meta_gradient="finite_difference")
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert "finite_difference, which is not exact: it is off by" in record.getMessage()
    example_weights(*problem, meta_gradient="finite_difference")
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 1


def test_ways_do_not_depend_on_whether_the_compiler_is_loaded() -> None:
    """An optimizer of torch's loads it, so that a bare process had fewer ways."""
    code = """
import sys, torch, warnings
from torch import nn
from sklearn_l2rw.meta_gradient.weights import example_weights
warnings.simplefilter("error")
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Hardsigmoid(), nn.Linear(8, 3)).double()
batch = torch.randn(12, 5).double(), torch.randint(3, (12,))
loss = nn.CrossEntropyLoss(reduction="none")
weights = [example_weights(net, loss, batch, batch, meta_gradient=way)
           for way in ("auto", "dual_numbers", "per_example")]
assert "torch._dynamo" not in sys.modules
assert max((w - weights[-1]).abs().max() for w in weights) < 1e-12
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


# Generators that are not torch's


def drop_layers(draw: Callable[[], float]) -> Callable[[Any, Tensor], Tensor]:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.first(x)
        for layer in m.layers:
            if draw() < 0.5:
                h = h + layer(h).tanh()
        return m.head(h)  # type: ignore[no-any-return]

    return forward


@pytest.mark.parametrize("draw", [random.random, np.random.rand], ids=["python", "numpy"])
def test_layers_dropped_by_another_generator(draw: Any) -> None:
    """Its weights are those of the layers that the next pass keeps; the clean pass has its own."""
    layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(6))
    module = z.Apply(drop_layers(draw), first=nn.Linear(5, 8), layers=layers, head=z.head(8))
    random.seed(0)
    np.random.seed(0)
    problem = problem_of(module)
    for _ in range(3):
        state = random.getstate(), np.random.get_state(legacy=True)
        weights = example_weights(*problem)
        assert random.getstate() == state[0]
        np.testing.assert_equal(np.random.get_state(legacy=True), state[1])
        again = example_weights(*problem, meta_gradient="per_example")
        assert_close(weights, again, 1e-9)
        draw()


def test_every_way_says_what_it_is() -> None:
    assert ("auto", *WAYS) == META_GRADIENTS
    assert [name for name, way in WAYS.items() if not way.exact] == ["finite_difference"]
    assert all(name in (example_weights.__doc__ or "") for name in WAYS)
    assert all((way.compute.__doc__ or "").strip() for way in WAYS.values())
