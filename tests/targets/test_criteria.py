"""Criteria: any with a `reduction`, as the user gave it and left as it was."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from skorch.dataset import ValidSplit
from torch import Tensor, nn
from torch.nn import functional as F

from sklearn_l2rw import L2RWClassifier, example_weights
from tests.reference import literal_training
from tests.small import (
    MLP,
    SETTINGS,
    X_CLEAN,
    Y_CLEAN,
    Y_NOISY,
    Probabilities,
    Record,
    X,
    Y,
    make_net,
    same_state,
    state_of,
)

CLEAN = (torch.as_tensor(X_CLEAN).double(), torch.as_tensor(Y_CLEAN))
CLASS_WEIGHTS = torch.tensor([1.0, 3.0], dtype=torch.float64)


class Focal(nn.Module):
    """A criterion of the user's own, with a reduction."""

    def __init__(self, gamma: float = 2.0, reduction: str = "mean") -> None:
        super().__init__()
        self.gamma = gamma
        self.reduction = reduction

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        losses = F.cross_entropy(output, y, reduction="none")
        losses = (1 - torch.exp(-losses)) ** self.gamma * losses
        if self.reduction == "none":
            return losses
        return losses.mean() if self.reduction == "mean" else losses.sum()


def per_example(criterion: Any, **kwargs: Any) -> Any:
    return criterion(**kwargs, reduction="none")


def log_of_probabilities(output: Tensor, y: Tensor) -> Tensor:
    """NLLLoss in skorch."""
    return F.nll_loss(torch.log(output + torch.finfo(output.dtype).eps), y, reduction="none")


def first_logits(output: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(output, y, reduction="none")


def criteria() -> dict[str, tuple[dict[str, Any], Any]]:
    """Settings of the estimator; the per-example loss that they stand for."""
    weighted = per_example(nn.CrossEntropyLoss, weight=CLASS_WEIGHTS)
    smooth = per_example(nn.CrossEntropyLoss, label_smoothing=0.2)
    return {
        "default": ({}, first_logits),
        "class": ({"criterion": nn.CrossEntropyLoss}, first_logits),
        "instance": ({"criterion": nn.CrossEntropyLoss()}, first_logits),
        "sum": ({"criterion": nn.CrossEntropyLoss(reduction="sum")}, first_logits),
        "none": ({"criterion": nn.CrossEntropyLoss(reduction="none")}, first_logits),
        "reduction by name": ({"criterion__reduction": "sum"}, first_logits),
        "weight": ({"criterion": nn.CrossEntropyLoss(weight=CLASS_WEIGHTS)}, weighted),
        "weight by name": ({"criterion__weight": CLASS_WEIGHTS}, weighted),
        "smoothing": ({"criterion": nn.CrossEntropyLoss(label_smoothing=0.2)}, smooth),
        "smoothing by name": ({"criterion__label_smoothing": 0.2}, smooth),
        "own class": ({"criterion": Focal}, per_example(Focal)),
        "own instance": ({"criterion": Focal(1.0, "sum")}, per_example(Focal, gamma=1.0)),
        "own by name": ({"criterion": Focal, "criterion__gamma": 1.0}, per_example(Focal, gamma=1)),
        "NLL": ({"module": Probabilities, "criterion": nn.NLLLoss}, log_of_probabilities),
        "NLL instance": (
            {"module": Probabilities, "criterion": nn.NLLLoss(reduction="sum")},
            log_of_probabilities,
        ),
    }


@pytest.mark.parametrize("name", list(criteria()))
@pytest.mark.parametrize("meta_gradient", ["auto", "double_backward"])
def test_training_equals_the_literal_algorithm(name: str, meta_gradient: str) -> None:
    settings, loss = criteria()[name]
    record = Record()
    net = make_net(
        **{"module": MLP, **settings}, module__dtype=torch.float64, optimizer__momentum=0.9,
        callbacks=[("record", record)], random_state=None, meta_gradient=meta_gradient,
    )  # fmt: skip
    torch.manual_seed(2)
    net.fit(X, Y_NOISY)
    torch.manual_seed(2)
    module = settings.get("module", MLP)(dtype=torch.float64)
    batches = [(rows.double(), y) for rows, y in record.batches]
    weights = literal_training(
        module, loss, batches, [CLEAN] * len(batches), lr=0.1, momentum=0.9, max_norm=1.0
    )
    assert len(weights) == 6
    torch.testing.assert_close(record.weights, weights, rtol=0, atol=1e-9)
    assert same_state(state_of(net.module_), state_of(module), atol=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_criterion_is_not_altered(reduction: str) -> None:
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]), reduction=reduction)
    before = copy.deepcopy(vars(criterion))
    net = make_net(criterion=criterion, train_split=None).fit(X, Y)
    assert criterion.reduction == reduction
    assert net.criterion_ is not criterion
    assert net.criterion_.reduction == reduction  # after the fit
    assert net.criterion is criterion
    assert vars(criterion).keys() == before.keys()
    assert torch.equal(criterion.weight, torch.tensor([1.0, 2.0]))


def test_validation_loss_is_that_of_the_criterion() -> None:
    losses = {}
    for reduction in ("mean", "sum", "none"):
        criterion = nn.CrossEntropyLoss(reduction=reduction)
        net = make_net(criterion=criterion, train_split=ValidSplit(3), max_epochs=1).fit(X, Y)
        losses[reduction] = net.history[0, "valid_loss"]
    np.testing.assert_allclose(losses["none"], losses["mean"], rtol=1e-5)
    np.testing.assert_allclose(losses["sum"], 14 * losses["mean"], rtol=1e-5)


def test_criterion_without_a_second_derivative() -> None:
    net = make_net(criterion=nn.MultiMarginLoss, max_epochs=10).fit(X, Y)
    assert net.meta_gradient_ in ("merged", "layerwise", "forward")
    assert net.score(X, Y) > 0.7


class Tempered(nn.Module):
    """A criterion with something to learn."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.reduction = reduction

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output * self.log_scale.exp(), y, reduction=self.reduction)


class TemperedMLP(MLP):
    """The net and the parameter of its criterion in one module."""

    def __init__(self) -> None:
        super().__init__(dtype=torch.float64)
        self.log_scale = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X) * self.log_scale.exp()


@pytest.mark.parametrize("meta_gradient", ["auto", "forward", "double_backward"])
@pytest.mark.parametrize("criterion", [Tempered, Tempered("sum")])
def test_criterion_that_learns(criterion: Any, meta_gradient: str) -> None:
    record = Record()
    net = make_net(
        criterion=criterion, module__dtype=torch.float64, optimizer__momentum=0.9,
        callbacks=[("record", record)], random_state=None, meta_gradient=meta_gradient,
    )  # fmt: skip
    torch.manual_seed(2)
    net.fit(X, Y_NOISY)
    torch.manual_seed(2)
    joint = TemperedMLP()
    batches = [(rows.double(), y) for rows, y in record.batches]
    weights = literal_training(
        joint, first_logits, batches, [CLEAN] * 6, lr=0.1, momentum=0.9, max_norm=1.0
    )
    torch.testing.assert_close(record.weights, weights, rtol=0, atol=1e-9)
    assert float(net.criterion_.log_scale.detach()) == pytest.approx(
        float(joint.log_scale.detach()), abs=1e-9
    )
    assert abs(float(net.criterion_.log_scale.detach())) > 1e-3
    if isinstance(criterion, Tempered):
        assert float(criterion.log_scale.detach()) == 0
        assert criterion.log_scale.grad is None


# Modules


class WithHidden(MLP):
    """Returns more than logits."""

    def forward(self, X: Tensor) -> Any:
        return super().forward(X), torch.tanh(self.inner(X))


def test_module_that_returns_a_tuple() -> None:
    plain = make_net().fit(X, Y)
    net = make_net(WithHidden).fit(X, Y)
    assert same_state(state_of(net.module_), state_of(plain.module_), atol=1e-6)
    np.testing.assert_allclose(net.predict_proba(X), plain.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    logits, hidden = net.forward(X)
    assert (logits.shape, hidden.shape) == ((42, 2), (42, 6))
    net = make_net(WithHidden, train_split=lambda data, y, **kwargs: (data, data)).fit(X, Y)
    assert net.history[-1, "valid_acc"] == net.score(X, Y)


def test_tuple_with_a_loss_of_the_user() -> None:
    """A net whose loss uses all that the module returns, as in skorch's documentation."""

    class Regularized(L2RWClassifier):
        def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Any:
            logits, hidden = y_pred
            loss = super().get_loss(logits, y_true, *args, **kwargs)
            return loss + 0.1 * hidden.square().mean(1 if loss.ndim else None)

    plain = make_net(WithHidden).fit(X, Y)
    net = Regularized(WithHidden, **SETTINGS).fit(X, Y)
    assert not same_state(state_of(net.module_), state_of(plain.module_), atol=1e-4)
    record = Record()
    net.set_params(callbacks=[("record", record)], max_epochs=1, batch_size=42).fit(X, Y)
    module = Regularized(WithHidden, **{**SETTINGS, "max_epochs": 0}).fit(X, Y).module_
    expected = example_weights(
        _Joint(module),
        lambda losses, y: losses,
        (record.batches[0], torch.zeros(42)),
        ((torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN)), torch.zeros(8)),
    )
    torch.testing.assert_close(record.weights[0], expected, rtol=1e-4, atol=1e-6)


class _Joint(nn.Module):
    """Losses of a batch as the output of a module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, X: Tensor, y: Tensor) -> Tensor:
        logits, hidden = self.module(X)
        penalty: Tensor = 0.1 * hidden.square().mean(1)
        return F.cross_entropy(logits, y, reduction="none") + penalty


def test_the_module_instance_is_not_altered() -> None:
    module = MLP(batch_norm=True)
    module.eval()
    before = state_of(module)
    modules = list(module.modules())
    net = make_net(module).fit(X, Y)
    assert net.module is module
    assert net.module_ is not module
    assert same_state(before, state_of(module))
    assert not any(part.training for part in module.modules())
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    assert list(module.modules()) == modules
    assert not any(part._forward_hooks or part._backward_hooks for part in modules)
    assert not any(part._forward_hooks or part._backward_hooks for part in net.module_.modules())
    assert not same_state(before, state_of(net.module_), atol=1e-3)
    assert same_state(state_of(net.module_), state_of(make_net(module).fit(X, Y).module_))


def test_a_module_instance_with_parameters_of_its_class() -> None:
    """skorch makes a new instance then."""
    net = make_net(MLP(hidden=3), module__hidden=5).fit(X, Y)
    assert net.module_.inner.out_features == 5
    assert net.module.inner.out_features == 3
