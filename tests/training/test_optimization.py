"""Optimisation: skorch's ways to step, schedule, freeze and clip, with exact weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import (
    Callback,
    Freezer,
    GradientNormClipping,
    Initializer,
    LRScheduler,
    ParamMapper,
)
from torch import nn

from sklearn_l2rw import L2RWClassifier
from tests.reference import literal_weights
from tests.small import (
    MLP,
    SETTINGS,
    X_CLEAN,
    Y_CLEAN,
    Y_NOISY,
    Record,
    X,
    Y,
    make_net,
    same_state,
    state_of,
)

CLEAN = (torch.as_tensor(X_CLEAN).double(), torch.as_tensor(Y_CLEAN))
PER_EXAMPLE = nn.CrossEntropyLoss(reduction="none")


class CountingSGD(torch.optim.SGD):
    n_steps = 0

    def step(self, closure: Any = None) -> Any:
        CountingSGD.n_steps += 1
        return super().step(closure)


class Accumulating(L2RWClassifier):
    """Gradient accumulation as skorch's FAQ has it."""

    acc_steps = 2

    def get_loss(self, *args: Any, **kwargs: Any) -> Any:
        return super().get_loss(*args, **kwargs) / self.acc_steps

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        n_train_batches = len(self.history[-1, "batches"])
        step = self.train_step_single(batch, **fit_params)
        if n_train_batches % self.acc_steps == 0:
            self.optimizer_.step()
            self.optimizer_.zero_grad()
        return step


def test_gradient_accumulation() -> None:
    CountingSGD.n_steps = 0
    record = Record()
    settings = {
        **SETTINGS,
        "module__dtype": torch.float64,
        "optimizer": CountingSGD,
        "batch_size": 11,
        "callbacks": [("record", record)],
        "max_epochs": 3,
        "random_state": None,
    }
    torch.manual_seed(1)
    net = Accumulating(MLP, **settings).fit(X, Y_NOISY)
    assert CountingSGD.n_steps == 6
    torch.manual_seed(1)
    module = MLP(dtype=torch.float64)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for step, (rows, y) in enumerate(record.batches):
        w = literal_weights(module, PER_EXAMPLE, (rows.double(), y), CLEAN)
        torch.testing.assert_close(record.weights[step], w, rtol=0, atol=1e-9)
        (w * PER_EXAMPLE(module(rows.double()), y) / 2).sum().backward()
        if step % 2 == 1:
            optimizer.step()
            optimizer.zero_grad()
    assert same_state(state_of(net.module_), state_of(module), atol=1e-9)
    assert len(net.history) == 3
    assert "effective_sample_size" in net.history[-1]


@pytest.mark.parametrize("meta_gradient", ["auto", "double_backward"])
def test_lbfgs_keeps_the_weights_within_a_step(meta_gradient: str) -> None:
    evaluations: list[list[Any]] = []

    class Watching(L2RWClassifier):
        def train_step(self, batch: Any, **fit_params: Any) -> Any:
            evaluations.append([])
            return super().train_step(batch, **fit_params)

        def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
            step = super().train_step_single(batch, **fit_params)
            evaluations[-1].append((step["weights"].clone(), float(step["loss"].detach())))
            return step

    settings = {**SETTINGS, "meta_gradient": meta_gradient, "batch_size": -1, "max_epochs": 3}
    settings["optimizer"] = torch.optim.LBFGS
    net = Watching(MLP, **settings, optimizer__max_iter=5).fit(X, Y_NOISY)
    assert len(evaluations) == 3
    for step in evaluations:
        weights, losses = zip(*step, strict=True)
        assert len(step) > 2
        assert all(torch.equal(w, weights[0]) for w in weights)
        assert len(set(losses)) == len(losses)
    assert not torch.equal(evaluations[0][0][0], evaluations[1][0][0])
    assert net.history[:, "train_loss"] == pytest.approx([step[0][1] for step in evaluations])


@pytest.mark.parametrize(
    "optimizer", [torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.NAdam]
)
def test_optimizers_learn(optimizer: Any) -> None:
    net = make_net(optimizer=optimizer, lr=0.01, max_epochs=15).fit(X, Y_NOISY)
    assert net.score(X, Y) > 0.75
    assert isinstance(net.optimizer_, optimizer)


def test_parameter_groups() -> None:
    net = make_net(optimizer__param_groups=[("inner.*", {"lr": 0.0}), ("outer.bias", {"lr": 0.5})])
    net.fit(X, Y)
    start = state_of(make_net(max_epochs=0).fit(X, Y).module_)
    end = state_of(net.module_)
    assert [group["lr"] for group in net.optimizer_.param_groups] == [0.0, 0.5, 0.1]
    assert torch.equal(start["inner.weight"], end["inner.weight"])
    assert not torch.equal(start["outer.weight"], end["outer.weight"])


def test_freezer() -> None:
    """Frozen parameters do not move, and play no part in the weights."""
    record = Record()
    settings: dict[str, Any] = {"module__dtype": torch.float64, "random_state": None}
    net = make_net(
        **settings, callbacks=[("freeze", Freezer("inner.*")), ("record", record)], max_epochs=1
    )
    torch.manual_seed(2)
    net.fit(X, Y_NOISY)
    torch.manual_seed(2)
    module = MLP(dtype=torch.float64)
    start = state_of(module)
    module.inner.requires_grad_(False)
    rows, y = record.batches[0]
    expected = literal_weights(module, PER_EXAMPLE, (rows.double(), y), CLEAN)
    torch.testing.assert_close(record.weights[0], expected, rtol=0, atol=1e-9)
    module.inner.requires_grad_(True)
    other = literal_weights(module, PER_EXAMPLE, (rows.double(), y), CLEAN)
    assert not torch.allclose(record.weights[0], other, atol=1e-4)
    end = state_of(net.module_)
    assert torch.equal(start["inner.weight"], end["inner.weight"])
    assert not torch.equal(start["outer.weight"], end["outer.weight"])


@pytest.mark.parametrize("meta_parameters", ["last", ["outer.*"], lambda name, p: "outer" in name])
def test_meta_parameters(meta_parameters: Any) -> None:
    """The meta-gradient is taken over some parameters, and all are trained."""
    record = Record()
    net = make_net(
        module__dtype=torch.float64, batch_size=-1, iterator_train__shuffle=False,
        meta_parameters=meta_parameters, callbacks=[("record", record)],
    ).fit(X, Y_NOISY)  # fmt: skip
    module = MLP(dtype=torch.float64)
    module.load_state_dict(record.parameters[0])
    module.inner.requires_grad_(False)
    batch = (torch.as_tensor(X).double(), torch.as_tensor(Y_NOISY))
    expected = literal_weights(module, PER_EXAMPLE, batch, CLEAN)
    torch.testing.assert_close(record.weights[1], expected, rtol=0, atol=1e-9)
    inner = [state["inner.weight"] for state in record.parameters]
    assert not torch.equal(inner[0], inner[1])
    assert len(net.history) == 2


def test_freezing_and_thawing_between_epochs() -> None:
    """Each step's weights are over the parameters that are free at that step."""
    record = Record()
    mapper = ParamMapper("inner.*", schedule=_frozen_in_epoch_2)
    net = make_net(
        module__dtype=torch.float64, batch_size=-1, iterator_train__shuffle=False, max_epochs=3,
        callbacks=[("map", mapper), ("record", record)],
    ).fit(X, Y_NOISY)  # fmt: skip
    batch = (torch.as_tensor(X).double(), torch.as_tensor(Y_NOISY))
    for epoch, frozen in ((1, True), (2, False)):
        module = MLP(dtype=torch.float64)
        module.load_state_dict(record.parameters[epoch - 1])
        module.inner.requires_grad_(not frozen)
        expected = literal_weights(module, PER_EXAMPLE, batch, CLEAN)
        torch.testing.assert_close(record.weights[epoch], expected, rtol=0, atol=1e-9)
    inner = [state["inner.weight"] for state in record.parameters]
    assert torch.equal(inner[0], inner[1])
    assert not torch.equal(inner[1], inner[2])
    assert len(net.history) == 3


def _freeze(parameter: Any) -> None:
    parameter.requires_grad = False


def _thaw(parameter: Any) -> None:
    parameter.requires_grad = True


def _frozen_in_epoch_2(net: Any) -> Any:
    return {2: _freeze, 3: _thaw}.get(len(net.history), lambda parameter: None)


def test_initializer() -> None:
    net = make_net(
        callbacks=[Initializer("outer.*", fn=nn.init.zeros_)], lr=1e-9, max_epochs=1
    ).fit(X, Y)  # fmt: skip
    assert float(net.module_.outer.weight.detach().abs().max()) < 1e-6


def test_schedulers() -> None:
    rates: list[float] = []

    class Look(Callback):
        def on_batch_end(self, net: Any, **kwargs: Any) -> None:
            rates.append(net.optimizer_.param_groups[0]["lr"])

    schedule = LRScheduler("StepLR", step_size=1, gamma=0.1)
    make_net(callbacks=[Look(), schedule], lr=1.0, max_epochs=3).fit(X, Y)
    np.testing.assert_allclose(rates, [1] * 3 + [0.1] * 3 + [0.01] * 3)
    plateau = LRScheduler("ReduceLROnPlateau", monitor="clean_loss", patience=0, threshold=10.0)
    net = make_net(callbacks=[plateau], lr=1.0, max_epochs=4).fit(X, Y)
    assert net.optimizer_.param_groups[0]["lr"] < 0.1
    by_batch = LRScheduler("CyclicLR", base_lr=0.1, max_lr=1.0, step_every="batch", step_size_up=3)
    net = make_net(callbacks=[by_batch], optimizer__momentum=0.9, max_epochs=2).fit(X, Y)
    assert len(net.history[:, "batches", :, "event_lr"][0]) == 3


def test_norm_of_the_gradient_that_a_step_is_taken_with() -> None:
    norms: list[float] = []

    class Look(Callback):
        def on_batch_end(self, net: Any, **kwargs: Any) -> None:
            grads = [p.grad for p in net.module_.parameters()]
            norms.append(float(torch.linalg.vector_norm(torch.stack([g.norm() for g in grads]))))

    scaled: Any = {"clean_set": (50 * X_CLEAN, Y_CLEAN), "callbacks": [("look", Look())]}
    make_net(**scaled).fit(50 * X, Y)
    assert max(norms) == pytest.approx(1, rel=1e-3)
    norms.clear()
    make_net(**scaled, max_grad_norm=None).fit(50 * X, Y)
    assert max(norms) > 2
    norms.clear()
    own = [*scaled.pop("callbacks"), GradientNormClipping(0.25)]
    make_net(**scaled, callbacks=own).fit(50 * X, Y)
    assert max(norms) == pytest.approx(0.25, rel=1e-3)


def test_no_gradients_are_left_from_the_clean_batch() -> None:
    """The gradient of a step is that of the weighted loss alone."""
    found: list[Any] = []

    class Look(Callback):
        def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
            found.append([p.grad.clone() for _, p in named_parameters])

    record = Record()
    net = make_net(
        module__dtype=torch.float64, callbacks=[Look(), record], batch_size=-1, max_epochs=2,
        iterator_train__shuffle=False, max_grad_norm=None,
    ).fit(X, Y_NOISY)  # fmt: skip
    module = MLP(dtype=torch.float64)
    module.load_state_dict(record.parameters[0])
    losses = PER_EXAMPLE(module(torch.as_tensor(X).double()), torch.as_tensor(Y_NOISY))
    (record.weights[1] * losses).sum().backward()
    for grad, p in zip(found[1], module.parameters(), strict=True):
        torch.testing.assert_close(grad, p.grad, rtol=0, atol=1e-9)
    assert len(net.history) == 2
