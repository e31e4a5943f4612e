"""Training: equal to the literal algorithm, step by step, and reproducible."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.reference import literal_training, literal_weights
from tests.small import (
    MLP,
    X_CLEAN,
    Y_CLEAN,
    Y_NOISY,
    CountSteps,
    Record,
    Watched,
    X,
    Y,
    clean_rows_by_step,
    make_net,
    same_state,
    state_of,
)

PER_EXAMPLE = nn.CrossEntropyLoss(reduction="none")
DOUBLE = {"module__dtype": torch.float64, "optimizer__momentum": 0.9}
WHOLE_CLEAN_BATCH = (torch.as_tensor(X_CLEAN).double(), torch.as_tensor(Y_CLEAN))
SEED = 11


def shuffled_batches(epochs: int) -> list[Any]:
    """Batches of a fit, as torch's own loader draws them."""
    rows = TensorDataset(torch.as_tensor(X).double(), torch.as_tensor(Y_NOISY))
    loader = DataLoader(rows, batch_size=16, shuffle=True)
    return [tuple(batch) for _ in range(epochs) for batch in loader]


def watched(
    batches: list[Any], module: nn.Module, seen: list[Any], states: list[Tensor] | None = None
) -> Iterator[Any]:
    """Batches for a plain loop: remembers the module after each step, sets the generator."""
    for step, batch in enumerate(batches):
        if states is not None:
            torch.set_rng_state(states[step])
        yield batch[0].double(), batch[1]
        seen.append(state_of(module))


def literal_run(
    module: nn.Module,
    batches: list[Any],
    clean_batches: list[Any],
    states: list[Tensor] | None = None,
    **options: Any,
) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Weights, and parameters and buffers, of every step of the literal algorithm."""
    seen: list[dict[str, Tensor]] = []
    batches_seen: Any = watched(batches, module, seen, states)
    options = {"lr": 0.1, "momentum": 0.9, "max_norm": 1.0, **options}
    # The clean batches come first in the zip, or the last step would not be seen.
    weights = literal_training(module, PER_EXAMPLE, batches_seen, clean_batches, **options)
    return weights, seen


def assert_same_run(record: Record, weights: list[Tensor], states: list[Any]) -> None:
    assert len(record.weights) == len(weights) == len(states)
    for step, (weight, state) in enumerate(zip(weights, states, strict=True)):
        torch.testing.assert_close(record.weights[step], weight, rtol=0, atol=1e-9)
        assert same_state(record.parameters[step], state, atol=1e-9), f"step {step}"


@pytest.mark.parametrize(
    ("meta_gradient", "batch_norm"),
    [
        ("auto", False),
        ("auto", True),
        ("layerwise", False),
        ("forward", False),
        ("forward", True),
        ("double_backward", False),
        ("double_backward", True),
    ],
)
@pytest.mark.parametrize("max_norm", [1.0, None])
def test_equals_the_literal_algorithm(
    max_norm: float | None, batch_norm: bool, meta_gradient: str
) -> None:
    torch.manual_seed(SEED)
    module = MLP(dtype=torch.float64, batch_norm=batch_norm)
    batches = shuffled_batches(epochs=3)
    weights, states = literal_run(
        module, batches, [WHOLE_CLEAN_BATCH] * len(batches), max_norm=max_norm
    )

    record = Record()
    settings: dict[str, Any] = {} if max_norm else {"max_grad_norm": None}
    net = make_net(
        **DOUBLE, **settings, random_state=None, max_epochs=3, callbacks=[("record", record)],
        module__batch_norm=batch_norm, meta_gradient=meta_gradient,
    )  # fmt: skip
    torch.manual_seed(SEED)
    net.fit(X, Y_NOISY)
    assert len(weights) == 9
    assert_same_run(record, weights, states)


def test_bound_of_the_clipping() -> None:
    torch.manual_seed(SEED)
    module = MLP(dtype=torch.float64)
    batches = shuffled_batches(epochs=2)
    weights, states = literal_run(
        module, batches, [WHOLE_CLEAN_BATCH] * len(batches), max_norm=0.05
    )
    record = Record()
    net = make_net(
        **DOUBLE, random_state=None, callbacks=[("record", record)],
        max_grad_norm=0.05,
    )  # fmt: skip
    torch.manual_seed(SEED)
    net.fit(X, Y_NOISY)
    assert_same_run(record, weights, states)


@pytest.mark.parametrize("meta_gradient", ["auto", "double_backward"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_equals_the_literal_algorithm_on_drawn_clean_batches(
    batch_norm: bool, meta_gradient: str
) -> None:
    record = CountSteps()
    net = make_net(
        Watched, **DOUBLE, random_state=None, max_epochs=3, clean_batch_size=3,
        callbacks=[("record", record)], module__batch_norm=batch_norm,
        meta_gradient=meta_gradient,
    )  # fmt: skip
    torch.manual_seed(SEED)
    net.fit(X, Y_NOISY)

    drawn = [list(rows) for rows in clean_rows_by_step()]
    assert len(drawn) == 9
    assert all(len(set(rows)) == 3 for rows in drawn)
    clean_batches = [(WHOLE_CLEAN_BATCH[0][rows], WHOLE_CLEAN_BATCH[1][rows]) for rows in drawn]
    torch.manual_seed(SEED)
    module = MLP(dtype=torch.float64, batch_norm=batch_norm)
    weights, states = literal_run(module, shuffled_batches(epochs=3), clean_batches)
    assert_same_run(record, weights, states)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_equals_the_literal_algorithm_with_dropout(batch_norm: bool) -> None:
    record = Record()
    net = make_net(
        **DOUBLE, random_state=None, callbacks=[("record", record)],
        module__dropout=0.5, module__batch_norm=batch_norm,
    )  # fmt: skip
    torch.manual_seed(SEED)
    net.fit(X, Y_NOISY)
    torch.manual_seed(SEED)
    module = MLP(dropout=0.5, batch_norm=batch_norm, dtype=torch.float64)
    n_steps = len(record.batches)
    weights, states = literal_run(
        module, record.batches, [WHOLE_CLEAN_BATCH] * n_steps, record.generator_states
    )
    assert n_steps == 6
    assert_same_run(record, weights, states)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (torch.optim.Adam, {"lr": 0.01}),
        (torch.optim.LBFGS, {"lr": 0.1, "max_iter": 4}),
    ],
)
def test_other_optimizers(optimizer: type[torch.optim.Optimizer], options: Any) -> None:
    torch.manual_seed(SEED)
    module = MLP(dtype=torch.float64)
    plain = optimizer(module.parameters(), **options)
    weights, states = [], []
    for batch in shuffled_batches(epochs=2):
        w = literal_weights(module, PER_EXAMPLE, batch, WHOLE_CLEAN_BATCH)

        def closure(batch: Any = batch, w: Tensor = w) -> float:
            plain.zero_grad()
            loss = (w * PER_EXAMPLE(module(batch[0]), batch[1])).sum()
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            return float(loss.detach())

        plain.step(closure)
        weights.append(w)
        states.append(state_of(module))

    record = Record()
    net = make_net(
        module__dtype=torch.float64, random_state=None, callbacks=[("record", record)],
        optimizer=optimizer, **{f"optimizer__{key}": v for key, v in options.items()},
        lr=options["lr"],
    )  # fmt: skip
    torch.manual_seed(SEED)
    net.fit(X, Y_NOISY)
    assert_same_run(record, weights, states)


# Reproducibility, generators


def trained(**settings: Any) -> dict[str, Tensor]:
    net = make_net(module__dropout=0.3, clean_batch_size=5, **settings)
    return state_of(net.fit(X, Y_NOISY).module_)


def test_random_state_makes_a_fit_reproducible() -> None:
    torch.manual_seed(1)
    first = trained(random_state=3)
    torch.manual_seed(2)
    assert same_state(first, trained(random_state=3))
    assert not same_state(first, trained(random_state=4))


def test_refit_of_one_estimator() -> None:
    net = make_net(module__dropout=0.3, clean_batch_size=5, optimizer__momentum=0.9)
    first = state_of(net.fit(X, Y_NOISY).module_)
    losses = net.history[:, "train_loss"]
    assert same_state(first, state_of(net.fit(X, Y_NOISY).module_))
    assert net.history[:, "train_loss"] == losses
    assert len(losses) == 2


def test_random_state_instance() -> None:
    assert same_state(
        trained(random_state=np.random.RandomState(5)),
        trained(random_state=np.random.RandomState(5)),
    )
    net = make_net(random_state=np.random.RandomState(5))
    first = state_of(net.fit(X, Y).module_)
    assert not same_state(first, state_of(net.fit(X, Y).module_))  # it moves on


def test_without_random_state_the_global_generator_is_in_charge() -> None:
    torch.manual_seed(3)
    first = trained(random_state=None)
    torch.manual_seed(3)
    assert same_state(first, trained(random_state=None))
    assert not same_state(first, trained(random_state=None))


def generators() -> tuple[Any, ...]:
    _, keys, *rest = np.random.get_state(legacy=True)
    numpy_state = (np.asarray(keys).tolist(), rest)
    return torch.get_rng_state().tolist(), numpy_state, random.getstate(), sklearn.get_config()


def test_global_generators_and_configuration_are_as_they_were() -> None:
    before = generators()
    net = make_net(module__dropout=0.3, clean_batch_size=3).fit(X, Y)
    assert generators() == before
    net.partial_fit(X, Y)
    assert generators() == before
    net.set_params(warm_start=True).fit(X, Y)
    assert generators() == before
    net.predict(X)
    net.predict_proba(X)
    assert generators() == before
    net.set_params(module__hidden=3)  # skorch makes a new module at once
    assert generators() == before


def test_initialize_follows_the_random_state() -> None:
    before = generators()
    first = state_of(make_net().initialize().module_)
    torch.manual_seed(5)
    assert same_state(first, state_of(make_net().initialize().module_))
    torch.manual_seed(5)
    state = generators()
    make_net().initialize()
    assert generators() == state
    assert before[1:] == state[1:]


# Continued training


@pytest.mark.parametrize("clean_batch_size", [None, 3])
@pytest.mark.parametrize("random_state", [0, None])
def test_partial_fit_continues_as_if_never_stopped(
    random_state: int | None, clean_batch_size: int | None
) -> None:
    settings = {
        "clean_batch_size": clean_batch_size,
        "random_state": random_state,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "module__dropout": 0.3,
    }
    torch.manual_seed(0)
    whole = make_net(max_epochs=4, **settings).fit(X, Y_NOISY)
    torch.manual_seed(0)
    halves = make_net(max_epochs=2, **settings).fit(X, Y_NOISY).partial_fit(X, Y_NOISY)
    assert len(halves.history) == 4
    assert same_state(state_of(whole.module_), state_of(halves.module_))


def test_warm_start_continues() -> None:
    halves = make_net(warm_start=True).fit(X, Y_NOISY).fit(X, Y_NOISY)
    continued = make_net().fit(X, Y_NOISY).partial_fit(X, Y_NOISY)
    assert len(halves.history) == 4
    assert same_state(state_of(halves.module_), state_of(continued.module_))


def test_training_after_initialize_is_a_fit() -> None:
    net = make_net(module__dropout=0.3).initialize().partial_fit(X, Y_NOISY)
    expected = make_net(module__dropout=0.3).fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), state_of(expected.module_))


def test_first_partial_fit_is_a_fit() -> None:
    first = make_net().partial_fit(X, Y_NOISY)
    assert same_state(state_of(first.module_), state_of(make_net().fit(X, Y_NOISY).module_))


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_training_goes_on_from_initialized_parameters(how: str) -> None:
    net = make_net(warm_start=True, max_epochs=1).initialize()
    with torch.no_grad():
        for p in net.module_.parameters():
            p.fill_(0.01)
    before = state_of(net.module_)
    net = net.partial_fit(X, Y) if how == "partial_fit" else net.fit(X, Y)
    assert max(float((before[n] - p).abs().max()) for n, p in state_of(net.module_).items()) < 0.4
    assert net.score(X, Y) >= 0.0
    assert net.classes_.tolist() == [0, 1]
