"""`reweighted_backward`: a whole step, held to the literal oracle over the zoo."""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import ALGORITHM_1, example_weights, reweighted_backward
from tests import zoo_parts as z
from tests.oracle import EXACT_WAYS, SLOW, assert_close, unless_refused
from tests.reference import Step, composed_step
from tests.zoo import ZOO, build, for_oracle

f64 = torch.float64
CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")
PAPER = {name: ALGORITHM_1[name] for name in ("clean_loss_weight", "scale_slopes")}
# Clean term, scale of slopes, and whether the batch is another, after a step of training.
STEPS = [(0.7, True, False), (0.0, True, False), (0.0, False, True)]
STEPS += [(0.7, False, True), (0.7, True, True)]
# Clean batches of a quarter of the batch at most, or "merged" would be "layerwise".
SIZES = ((12, 3), (8, 2))
with torch.random.fork_rng(devices=[]):
    torch.manual_seed(1)
    GENERATOR = torch.get_rng_state()  # takes less time to set than a seed


def first(n: int, X: Any) -> Any:
    """The first n examples of inputs of any form."""
    if isinstance(X, dict):
        return {name: first(n, x) for name, x in X.items()}
    return tuple(first(n, x) for x in X) if isinstance(X, tuple) else X[:n]


def make(name: str, other: bool = False, dtype: torch.dtype = f64) -> z.Problem:
    """A problem of the zoo; or another batch for a module that has been trained."""
    problem = build(ZOO[name], dtype)
    batches = build(ZOO[name], dtype, seed=11)[2:] if other else problem[2:]
    batch, clean_batch = (first(n, b) for n, b in zip(SIZES[other], batches, strict=True))
    if other:
        for p in problem.module.parameters():
            p.data.mul_(1.1)
    return problem._replace(batch=batch, clean_batch=clean_batch)


start = cache(make)  # not to be trained


@cache
def oracle(name: str, clean_loss_weight: float, scale: bool, other: bool) -> Step:
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(GENERATOR)
        return composed_step(*for_oracle(start(name, other)), clean_loss_weight, scale)


class Pass(NamedTuple):
    """What one pass over a training batch puts out, and what it leaves."""

    output: Any
    losses: Tensor
    buffers: list[Tensor]
    generator: Tensor


def one_pass(problem: z.Problem, batch: Any) -> Pass:
    X, y = batch
    args, kwargs = ((), X) if isinstance(X, dict) else (X if isinstance(X, tuple) else (X,), {})
    output = problem.module(*args, **kwargs)
    losses = problem.loss(output[0] if isinstance(output, tuple) else output, y).detach()
    losses = losses.reshape(len(y), -1).mean(1)
    return Pass(output, losses, [*problem.module.buffers()], torch.get_rng_state())


@cache
def plain_pass(name: str, other: bool) -> Pass:
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(GENERATOR)
        problem = for_oracle(make(name, other))
        return one_pass(problem, problem.batch)


def state(module: nn.Module) -> list[Tensor]:
    return [tensor.data for tensor in (*module.parameters(), *module.buffers())]


def begin(module: nn.Module, other: nn.Module) -> None:
    """Values and generator as they are at first, and gradients from a step before."""
    for tensor, value in zip(state(module), state(other), strict=True):
        tensor.copy_(value)
    for i, p in enumerate(module.parameters()):
        p.grad = torch.full_like(p, 0.5) if i % 2 else None
    torch.set_rng_state(GENERATOR)


def gradients(module: nn.Module) -> dict[str, Tensor]:
    """What was added to the gradients that `begin` gave the parameters."""
    found = {}
    for i, (name, p) in enumerate(module.named_parameters()):
        if p.requires_grad:
            g = torch.zeros_like(p) if p.grad is None else p.grad
            found[name] = (g.to_dense() if g.is_sparse else g) - (0.5 if i % 2 else 0.0)
    return found


# A way that is wrong is refused: here it has to be right.
PLAIN = ("mlp", "lenet", "layer_norm", "group_norm", "frozen_parameters", "same_layer_twice")


def step_unless_refused(name: str, problem: z.Problem, way: str, **parts: Any) -> Any:
    by_hand = {} if name in PLAIN else {"merged": "", "layerwise": ""}
    refused = {**by_hand, **ZOO[name].refused}
    compute = partial(reweighted_backward, *problem, meta_gradient=way, **parts)
    return unless_refused(refused, way, compute)


def assert_step(step: Any, problem: z.Problem, expected: Step, atol: float) -> None:
    assert_close(step.weights, expected.weights, atol)
    assert_close(step.loss, expected.loss, atol)
    found = gradients(problem.module)  # what is compiled has other names
    for g, right in zip(found.values(), expected.gradients.values(), strict=True):
        assert_close(g, right, atol)
    results = (step.weights, step.losses, step.loss, step.clean_loss)
    assert not any(tensor.requires_grad for tensor in results)


def assert_left(step: Any, problem: z.Problem, expected: Pass) -> None:
    """Output, losses, buffers and generator are those of one training pass."""
    assert torch.equal(torch.get_rng_state(), expected.generator)
    assert_close(step.losses, expected.losses, 1e-9)
    outputs = [x if isinstance(x, tuple) else (x,) for x in (step.output, expected.output)]
    for got, right in zip(*outputs, strict=True):
        assert (got is None) == (right is None)
        if right is not None:
            assert_close(got, right, 1e-9)
    for buffer, right in zip(problem.module.buffers(), expected.buffers, strict=True):
        torch.testing.assert_close(buffer, right, rtol=0, atol=1e-9)


# Agreement with the oracle


# Of each kind of module, the ways that are tried with every commit; the others take half a minute.
SHORT = (*PLAIN, "batch_norm_2d", "dropout", "lstm", "attention", "sparse_embedding")
CASES = [
    pytest.param(name, way, marks=[] if way == "auto" or name in SHORT else pytest.mark.slow)
    for name in ZOO
    for way in ("auto", *EXACT_WAYS)
]


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize(("name", "way"), CASES)
def test_every_way_takes_the_step_of_the_oracle(name: str, way: str) -> None:
    problem = make(name)
    for clean_loss_weight, scale, other in STEPS:
        now = start(name, other)
        begin(problem.module, now.module)
        given = now._replace(module=problem.module)
        parts = {"clean_loss_weight": clean_loss_weight, "scale_slopes": scale}
        step = step_unless_refused(name, given, way, **parts)
        if step is None:
            break
        assert_step(step, given, oracle(name, clean_loss_weight, scale, other), 1e-9)
        assert_left(step, given, plain_pass(name, other))


@pytest.mark.parametrize("name", ["mlp", "lenet", "batch_norm_2d", "lstm", "attention", "autocast"])
def test_in_single_precision(name: str) -> None:
    problem = make(name, dtype=torch.float32)
    for clean_loss_weight in (0.7, 0.0):
        begin(problem.module, start(name).module)
        step = reweighted_backward(*problem, clean_loss_weight=clean_loss_weight)
        atol = min(10 * ZOO[name].tolerance, 0.03)  # the largest weights are five times as much
        assert_step(step, problem, oracle(name, clean_loss_weight, True, False), atol)


@pytest.mark.parametrize("name", ZOO)
def test_the_oracle_is_not_trivial(name: str) -> None:
    """Weights of all sorts; clean term and scale make a difference."""
    step, plain = oracle(name, 0.7, True, False), oracle(name, 0.0, True, False)
    assert step.weights.sum().item() == pytest.approx(1)
    assert (step.weights > 1e-3).sum() >= 2
    unscaled = oracle(name, 0.7, False, False).weights
    assert (step.weights - unscaled).abs().max() > 1e-3
    assert torch.equal(step.weights, plain.weights)
    assert (step.loss - plain.loss).abs() > 0.1
    pairs = zip(step.gradients.values(), plain.gradients.values(), strict=True)
    assert max(float((a - b).abs().max()) for a, b in pairs) > 1e-2


@pytest.mark.parametrize("way", ["auto", *EXACT_WAYS])
@pytest.mark.parametrize("name", ["mlp", "batch_norm_1d", "lenet", "frozen_parameters"])
def test_weights_over_the_last_layer_and_a_clean_term_over_all(name: str, way: str) -> None:
    problem = make(name)
    trained = [key for key, p in problem.module.named_parameters() if p.requires_grad]
    last = [key for key in trained if key.split(".")[0] == trained[-1].split(".")[0]]
    expected = composed_step(*problem, 0.7, True, over=last)
    assert not torch.allclose(expected.weights, oracle(name, 0.7, True, False).weights, atol=1e-4)
    for _ in range(2):
        begin(problem.module, start(name).module)
        step = step_unless_refused(
            name, problem, way, clean_loss_weight=0.7, meta_parameters="last"
        )
        if step is None:
            break
        assert_step(step, problem, expected, 1e-9)


@pytest.mark.parametrize("name", ["mlp", "dropout_and_batch_norm", "counting_buffer"])
def test_mean_loss_of_the_clean_batch(name: str, way: str) -> None:
    """That of a pass of its own; the buffers are those before the step, masks are its own."""
    problem = make(name)
    begin(problem.module, start(name).module)
    step = step_unless_refused(name, problem, way)
    if step is None:
        pytest.skip("refused")
    begin(problem.module, start(name).module)
    if name == "dropout_and_batch_norm":
        torch.manual_seed(int(torch.empty((), dtype=torch.int64).random_()))
    expected = one_pass(problem, problem.clean_batch).losses.mean()
    assert_close(step.clean_loss, expected, 1e-9)


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("name", ZOO)
def test_parts_of_the_paper_are_the_weights_of_the_paper(name: str) -> None:
    problem = make(name)
    for _ in range(2):
        begin(problem.module, start(name).module)
        weights = example_weights(*problem)
        assert torch.equal(reweighted_backward(*problem, **PAPER).weights, weights)


def test_defaults_are_those_of_the_estimators() -> None:
    problem = make("mlp")
    expected = composed_step(*problem, 0.3, True)
    begin(problem.module, start("mlp").module)
    assert_step(reweighted_backward(*problem), problem, expected, 1e-12)


def test_a_clean_term_where_no_example_helps(way: str) -> None:
    """All weights are 0, and the step is on the clean loss alone."""
    module = nn.Linear(1, 2, dtype=f64)
    X, y = torch.ones(5, 1, dtype=f64), torch.zeros(5, dtype=torch.int64)
    clean_loss = CROSS_ENTROPY(module(X), 1 - y).mean()
    clean_loss.backward()
    expected = [0.7 * p.grad for p in module.parameters() if p.grad is not None]
    module.zero_grad()
    problem = z.Problem(module, CROSS_ENTROPY, (X, y), (X, 1 - y))
    step = reweighted_backward(*problem, clean_loss_weight=0.7, meta_gradient=way)
    assert step.weights.tolist() == [0.0] * 5
    assert_close(step.loss, 0.7 * clean_loss.detach(), 1e-12)
    for p, g in zip(module.parameters(), expected, strict=True):
        assert p.grad is not None
        assert_close(p.grad, g, 1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("name", ["mlp", "batch_norm_1d", "attention", "ignored_labels"])
def test_scale_of_the_losses_does_not_matter(name: str, scale: float) -> None:
    """For the weights, which are ratios; an example whose loss is constant has none."""
    problem = make(name)
    loss = problem.loss
    scaled = problem._replace(loss=lambda output, y: scale * loss(output, y))
    torch.set_rng_state(GENERATOR)
    weights = reweighted_backward(*scaled).weights
    assert_close(weights, oracle(name, 0.7, True, False).weights, 1e-9)
