"""A fit takes the steps of the literal oracle: clean term, scaled slopes, bound, and optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import ALGORITHM_1, L2RWClassifier, L2RWMixin
from tests.reference import Step, composed_step
from tests.small import (
    MLP,
    SETTINGS,
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

f64 = torch.float64
PARTS: dict[str, Any] = {"clean_loss_weight": 0.7, "scale_slopes": True}
DOUBLE: dict[str, Any] = {
    "module__dtype": f64, "optimizer__momentum": 0.9, "random_state": None, "average": None
}  # fmt: skip
CLEAN = torch.as_tensor(X_CLEAN).double(), torch.as_tensor(Y_CLEAN)
SEED = 11
ROWS = {x: i for i, x in enumerate(X[:, 0].tolist())}


def counted(output: Tensor, y: Tensor) -> Tensor:
    """Cross entropy times what an example counts: targets are labels beside counts."""
    losses = nn.functional.cross_entropy(output, y[:, 0].long(), reduction="none")
    return losses * y[:, 1]


def with_counts(batch: Any, counts: Any = None) -> tuple[Tensor, Tensor]:
    rows, y = batch[0].double(), batch[1].double()
    c = torch.ones_like(y) if counts is None else torch.as_tensor(counts, dtype=f64)
    return rows, torch.stack([y, c], 1)


def literal_run(
    module: nn.Module,
    record: Record,
    clean_batches: Sequence[Any],
    counts: Any = None,
    *,
    max_norm: float | None,
    clean_loss_weight: float = 0.7,
    scale_slopes: bool = True,
) -> tuple[list[Step], list[dict[str, Tensor]]]:
    """Steps, and what the module is behind each, of a plain loop over the batches of a fit."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    steps, states = [], []
    for batch, clean, generator in zip(
        record.batches, clean_batches, record.generator_states, strict=True
    ):
        torch.set_rng_state(generator)
        p = None
        if counts is not None:
            p = torch.as_tensor(counts, dtype=f64)[[ROWS[x] for x in batch[0][:, 0].tolist()]]
        given = with_counts(batch)
        parts = clean_loss_weight, scale_slopes
        steps.append(composed_step(module, counted, given, clean, *parts, counts=p))
        for name, parameter in module.named_parameters():
            parameter.grad = steps[-1].gradients[name].clone()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), max_norm)
        module(given[0])  # BatchNorm sees the batch once
        optimizer.step()
        states.append(state_of(module))
    return steps, states


def initial(**settings: Any) -> MLP:
    torch.manual_seed(SEED)
    return MLP(dtype=f64, **settings)


def assert_same_run(net: Any, record: Record, steps: list[Step], states: list[Any]) -> None:
    assert len(record.weights) == len(steps) == 6
    for ours, theirs in zip(record.weights, steps, strict=True):
        torch.testing.assert_close(ours, theirs.weights, rtol=0, atol=1e-9)
    for t, state in enumerate(states):
        assert same_state(record.parameters[t], state, atol=1e-9), f"step {t}"
    assert same_state(state_of(net.module_), states[-1], atol=1e-9)
    losses = [batch["train_loss"] for epoch in net.history for batch in epoch["batches"]]
    np.testing.assert_allclose(losses, [float(step.loss) for step in steps], atol=1e-9)


def fitted(record: Record, module: Any = MLP, **settings: Any) -> L2RWClassifier:
    weight, data = settings.pop("sample_weight", None), settings.pop("data", (X, Y_NOISY))
    net = make_net(module, **{**DOUBLE, **PARTS, **settings}, callbacks=[("record", record)])
    torch.manual_seed(SEED)
    net.fit(data[0], data[1], sample_weight=weight)
    return net


MODULES: dict[str, dict[str, Any]] = {
    "mlp": {},
    "batch_norm": {"batch_norm": True},
    "dropout": {"dropout": 0.5},
    "both": {"batch_norm": True, "dropout": 0.5},
}


@pytest.mark.parametrize("way", ["auto", "double_backward"])
@pytest.mark.parametrize("max_norm", [0.5, None])
@pytest.mark.parametrize("name", MODULES)
def test_a_fit_equals_the_literal_loop(name: str, max_norm: float | None, way: str) -> None:
    record, module = Record(), MODULES[name]
    settings = {f"module__{key}": value for key, value in module.items()}
    net = fitted(record, max_grad_norm=max_norm, meta_gradient=way, **settings)
    clean_batches = [with_counts(CLEAN)] * 6
    steps, states = literal_run(initial(**module), record, clean_batches, max_norm=max_norm)
    assert_same_run(net, record, steps, states)
    gradient = [torch.cat([g.flatten() for g in step.gradients.values()]) for step in steps]
    assert max(float(g.norm()) for g in gradient) > 0.5  # the bound binds


@pytest.mark.parametrize("parts", [(0.0, True), (0.7, False), (0.0, False)])
def test_each_part_alone(parts: tuple[float, bool]) -> None:
    record = Record()
    given: dict[str, Any] = dict(zip(PARTS, parts, strict=True))
    net = fitted(record, max_grad_norm=None, **given)
    clean_batches = [with_counts(CLEAN)] * 6
    run = literal_run(initial(), record, clean_batches, max_norm=None, **given)
    assert_same_run(net, record, *run)
    _, others = literal_run(initial(), record, clean_batches, max_norm=None)
    assert not same_state(run[1][-1], others[-1], atol=1e-3)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_clean_batches_that_are_drawn(batch_norm: bool) -> None:
    record = CountSteps()
    settings = {"clean_batch_size": 3, "module__batch_norm": batch_norm, "max_grad_norm": 0.5}
    net = fitted(record, Watched, **settings)
    drawn = [list(rows) for rows in clean_rows_by_step()]
    assert all(len(set(rows)) == 3 for rows in drawn)
    assert len({tuple(sorted(rows)) for rows in drawn}) > 1
    clean_batches = [with_counts((CLEAN[0][rows], CLEAN[1][rows])) for rows in drawn]
    run = literal_run(initial(batch_norm=batch_norm), record, clean_batches, max_norm=0.5)
    assert_same_run(net, record, *run)


# Counts whose mean is 1 are exact in single precision where they are fractions of a power of 2.
WEIGHT = np.where(np.arange(len(X)) % 2 == 0, 0.25, 1.75)


@pytest.mark.parametrize("clean_batch_size", [None, 3])
def test_sample_weight(clean_batch_size: int | None) -> None:
    """It multiplies slopes that are scaled: the norms are those of the losses without it."""
    record = CountSteps()
    given = {"max_grad_norm": None, "clean_batch_size": clean_batch_size}
    net = fitted(record, Watched, sample_weight=WEIGHT, **given)
    drawn = [list(rows) for rows in clean_rows_by_step()]
    clean_batches = [with_counts((CLEAN[0][rows], CLEAN[1][rows])) for rows in drawn]
    run = literal_run(initial(), record, clean_batches, WEIGHT, max_norm=None)
    assert_same_run(net, record, *run)


def test_balanced_class_weight() -> None:
    """By the frequencies of training and of clean rows, each of their own."""
    y = (np.arange(40) % 5 == 2).astype(np.int64)  # 8 of 40 count 2.5, the others 0.625
    few = np.array([0, 1, 2, 4, 6])  # one of five is of the second class: the same
    record = Record()
    clean_set = X_CLEAN[few], Y_CLEAN[few]
    settings = {"clean_set": clean_set, "class_weight": "balanced", "max_grad_norm": None}
    net = fitted(record, data=(X[:40], y), **settings)
    clean = with_counts((CLEAN[0][few], CLEAN[1][few]), np.where(clean_set[1] == 1, 2.5, 0.625))
    counts = np.where(y == 1, 2.5, 0.625)
    run = literal_run(initial(), record, [clean] * 6, counts, max_norm=None)
    assert_same_run(net, record, *run)


# The paper's setting

# Of 6 steps without shuffling, computed by the package before it had other parts.
RECORDED = {
    "inner.weight": [-0.9040122784957672, -0.5947646020367391, -0.6622860496583819],
    "inner.bias": [-0.8293312649483485, -0.5772477701922071, -0.22243091227627745],
    "outer.weight": [-0.7742089575433992, -0.6653609017693687, -0.5704565925583551],
    "outer.bias": [-0.7552867411747355, 0.6893159224467749],
}


def test_the_papers_setting_is_what_it_was() -> None:
    assert dict(ALGORITHM_1) == {
        "clean_loss_weight": 0.0, "scale_slopes": False, "average": None, "max_grad_norm": None
    }  # fmt: skip
    module = MLP(dtype=f64)
    for p in module.parameters():
        p.data = torch.linspace(-0.9, 0.8, p.numel(), dtype=f64).sin().reshape(p.shape)
    net = L2RWClassifier(module, **{**SETTINGS, **ALGORITHM_1}, iterator_train__shuffle=False)
    net.set_params(optimizer__momentum=0.9).fit(X, Y_NOISY)
    found = {name: p.flatten().tolist() for name, p in net.module_.named_parameters()}
    for name, values in RECORDED.items():
        np.testing.assert_allclose(found[name][: len(values)], values, rtol=0, atol=1e-12)
    assert len(RECORDED) == 4


@pytest.mark.parametrize("estimator", [L2RWClassifier, L2RWMixin])
def test_defaults(estimator: Any) -> None:
    parameters = inspect.signature(estimator).parameters
    defaults = {name: parameters[name].default for name in ALGORITHM_1}
    assert defaults == {
        "clean_loss_weight": 0.3, "scale_slopes": True, "average": 0.5, "max_grad_norm": 1.0
    }  # fmt: skip


# Optimizers that look at a batch several times


@pytest.mark.parametrize("clean_batch_size", [None, 3])
def test_lbfgs_sees_one_function_within_a_step(clean_batch_size: int | None) -> None:
    """Of the parameters: the weights and the clean batch are those of its first evaluation."""
    record = CountSteps()
    options = {"lr": 0.1, "max_iter": 4}
    settings: dict[str, Any] = {f"optimizer__{key}": value for key, value in options.items()}
    net = make_net(
        Watched, **PARTS, **settings, module__dtype=f64, random_state=None, average=None,
        optimizer=torch.optim.LBFGS, lr=0.1, clean_batch_size=clean_batch_size,
        callbacks=[("record", record)], max_grad_norm=None,  # with which it is ill-conditioned
    )  # fmt: skip
    torch.manual_seed(SEED)
    net.fit(X, Y_NOISY)
    drawn = [list(rows) for rows in clean_rows_by_step()]
    module = initial()
    plain = torch.optim.LBFGS(module.parameters(), **options)  # type: ignore[arg-type]
    for t, (batch, rows) in enumerate(zip(record.batches, drawn, strict=True)):
        given, clean = with_counts(batch), with_counts((CLEAN[0][rows], CLEAN[1][rows]))
        w = composed_step(module, counted, given, clean, 0.7, True).weights
        evaluations: list[float] = []

        def closure(given: Any = given, clean: Any = clean, w: Tensor = w) -> float:
            plain.zero_grad()
            loss = (w * counted(module(given[0]), given[1])).sum()
            loss = loss + 0.7 * counted(module(clean[0]), clean[1]).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            evaluations.append(float(loss.detach()))  # noqa: B023
            return evaluations[-1]  # noqa: B023

        plain.step(closure)  # type: ignore[no-untyped-call]
        assert len(evaluations) > 1
        assert same_state(record.parameters[t], state_of(module), atol=1e-9), f"step {t}"
        torch.testing.assert_close(record.weights[t], w, rtol=0, atol=1e-9)
    assert len(drawn) == 6


# Steps to which no example contributes


class Flat(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 2, dtype=f64)
        nn.init.zeros_(self.weight), nn.init.zeros_(self.bias)


@pytest.mark.parametrize("clean_loss_weight", [0.0, 0.7])
def test_a_batch_that_does_not_help_leaves_the_clean_term(clean_loss_weight: float) -> None:
    sides = np.where(np.arange(16) % 2 == 0, 1, -1)[:, None]
    rows = (sides * np.ones((16, 4))).astype(np.float32)
    labels = np.arange(16) % 2
    record = Record()
    net = make_net(
        Flat, clean_set=(rows[:6], labels[:6]), clean_loss_weight=clean_loss_weight,
        max_grad_norm=None, max_epochs=1, callbacks=[("record", record)],
    )  # fmt: skip
    net.fit(rows, 1 - labels)
    assert record.weights[0].tolist() == [0.0] * 16
    # d f / d logits = (1/2 - 1, 1/2) where features are 1, and the opposite where they are -1
    step = 0.1 * clean_loss_weight * 0.5
    expected = torch.tensor([[step] * 4, [-step] * 4], dtype=f64)
    torch.testing.assert_close(net.module_.weight.detach(), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(net.module_.bias.detach(), torch.zeros(2, dtype=f64))
    assert net.history[-1, "train_loss"] == pytest.approx(clean_loss_weight * np.log(2))
    assert net.history[-1, "zero_batches"] == 1


# Bad input


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"clean_loss_weight": -1.0}, ValueError),
        ({"clean_loss_weight": np.nan}, ValueError),
        ({"clean_loss_weight": np.inf}, ValueError),
        ({"clean_loss_weight": None}, TypeError),
        ({"clean_loss_weight": True}, TypeError),
        ({"scale_slopes": "yes"}, TypeError),
        ({"scale_slopes": None}, TypeError),
    ],
)
def test_bad_parts(bad: dict[str, Any], error: type[Exception]) -> None:
    ((name, value),) = bad.items()
    net = make_net(**bad)
    with pytest.raises(error, match=rf"Got {name}={value!r}, but expected"):
        net.fit(X, Y)
    assert not net.initialized_
