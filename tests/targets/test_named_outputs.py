"""Modules that return a dict, a dataclass or a ModelOutput: what counts of it are its logits."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skorch import NeuralNet
from skorch.callbacks import EpochScoring
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMixin,
    L2RWMultilabelClassifier,
    L2RWRegressor,
    example_weights,
    rank_label_errors,
    reweighted_backward,
)
from tests.small import MLP, SETTINGS, X_CLEAN, Y_CLEAN, Y_NOISY, Record, X, Y, make_net


@dataclass
class Out:
    logits: Tensor
    hidden: Tensor


@dataclass
class LossFirst:
    loss: Tensor | None
    logits: Tensor


class ModelOutput(OrderedDict[str, Any]):
    """As transformers': a mapping whose entries are attributes, and whose first entry may be one
    that the loss is not of."""

    __getattr__ = OrderedDict.__getitem__


Pair = namedtuple("Pair", ["hidden", "logits"])

FORMS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "dict": lambda z, h: {"logits": z, "hidden": h},
    "logits not first": lambda z, h: {"hidden": h, "logits": z},
    "only entry": lambda z, h: {"out": z},
    "dataclass": lambda z, h: Out(z, h),
    "no loss": lambda z, h: LossFirst(None, z),
    "a loss": lambda z, h: LossFirst(z.sum(), z),
    "ModelOutput": lambda z, h: ModelOutput(hidden=h, logits=z, attentions=None),
    "named tuple": lambda z, h: Pair(h, z),
}


class Named(MLP):
    """Logits under a name."""

    def __init__(self, form: str = "dict", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.form = form

    def forward(self, X: Tensor) -> Any:
        return FORMS[self.form](super().forward(X), self.inner(X))


class Bert(nn.Module):
    """Entries, none of which is logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, X: Tensor) -> Any:
        return ModelOutput(last_hidden_state=self.layer(X), pooler_output=self.layer(X))


BATCH = torch.as_tensor(X), torch.as_tensor(Y_NOISY)
CLEAN = torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN)
WHOLE: dict[str, Any] = {"clean_loss_weight": 0.3, "scale_slopes": True, "average": 0.5}


@pytest.mark.parametrize("form", FORMS)
def test_classifier_trains_and_predicts_as_on_logits(form: str) -> None:
    plain = make_net(**WHOLE).fit(X, Y_NOISY)
    net = make_net(Named, module__form=form, **WHOLE).fit(X, Y_NOISY)
    for name in ("predict_proba", "predict", "decision_function"):
        np.testing.assert_array_equal(getattr(net, name)(X), getattr(plain, name)(X))
    assert torch.equal(net.forward(X), plain.forward(X))
    np.testing.assert_array_equal(net.example_weights_, plain.example_weights_)
    assert net.score(X, Y) == plain.score(X, Y)


def test_callbacks_validation_and_ranking_see_logits() -> None:
    seen: list[Any] = []

    class Watch(Record):
        def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
            seen.append(kwargs["y_pred"])

    valid = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    net = make_net(
        Named,
        train_split=predefined_split(valid),
        callbacks=[Watch(), EpochScoring("accuracy", name="acc", lower_is_better=False)],
    ).fit(X, Y_NOISY)
    assert all(isinstance(y, Tensor) and y.shape[1] == 2 for y in seen)
    assert {"valid_loss", "valid_acc", "acc"} <= set(net.history[-1])
    assert len(rank_label_errors(net, X, Y_NOISY).indices) == len(X)


@pytest.mark.parametrize(
    ("estimator", "n_outputs", "y", "y_clean"),
    [
        (L2RWBinaryClassifier, 1, Y, Y_CLEAN),
        (L2RWMultilabelClassifier, 2, np.eye(2)[Y], np.eye(2)[Y_CLEAN]),
        (L2RWRegressor, 1, Y.astype(np.float32), Y_CLEAN.astype(np.float32)),
    ],
)
def test_siblings(estimator: Any, n_outputs: int, y: Any, y_clean: Any) -> None:
    settings = {
        **SETTINGS,
        **WHOLE,
        "module__n_outputs": n_outputs,
        "clean_set": (X_CLEAN, y_clean),
    }
    plain = estimator(MLP, **settings).fit(X, y)
    net = estimator(Named, module__form="ModelOutput", **settings).fit(X, y)
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    if estimator is L2RWBinaryClassifier:
        np.testing.assert_array_equal(net.decision_function(X), plain.decision_function(X))


def test_mixin_on_a_net_of_the_users() -> None:
    class Net(L2RWMixin, NeuralNet):
        pass

    settings = {**SETTINGS, "criterion": nn.CrossEntropyLoss}
    plain, net = (Net(module, **settings).fit(X, Y) for module in (MLP, Named))
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))


def test_no_logits_is_an_error_before_training() -> None:
    net = make_net().fit(X, Y)
    expected = net.predict_proba(X)
    net.set_params(module=Bert)
    with pytest.raises(ValueError, match=r"'last_hidden_state', 'pooler_output'.*'logits'.*head"):
        net.fit(X, Y)
    assert len(net.history) == 2
    np.testing.assert_array_equal(net.set_params(module=MLP).fit(X, Y).predict_proba(X), expected)


# Functions


@pytest.mark.parametrize("form", FORMS)
def test_a_loss_of_torchs_gets_the_logits(form: str) -> None:
    torch.manual_seed(0)
    named = Named(form)
    plain = MLP()
    plain.load_state_dict(named.state_dict())
    loss = nn.CrossEntropyLoss(reduction="none")
    torch.testing.assert_close(
        example_weights(named, loss, BATCH, CLEAN), example_weights(plain, loss, BATCH, CLEAN)
    )
    steps = [reweighted_backward(m, loss, BATCH, CLEAN) for m in (named, plain)]
    torch.testing.assert_close(steps[0].weights, steps[1].weights)
    for a, b in zip(named.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    assert type(steps[0].output) is type(FORMS[form](BATCH[0], BATCH[0]))  # as it came


def test_a_loss_of_the_users_gets_the_whole() -> None:
    """It may want the hidden states, too."""
    torch.manual_seed(0)
    module = Named("ModelOutput")

    def loss(output: Any, y: Tensor) -> Tensor:
        entropy = F.cross_entropy(output.logits, y, reduction="none")
        total: Tensor = entropy + output.hidden.square().mean(1)
        return total

    step = reweighted_backward(module, loss, BATCH, CLEAN)
    expected = loss(module(BATCH[0]), BATCH[1])
    torch.testing.assert_close(step.losses, expected.detach())


def test_any_loss_gets_the_logits_of_a_named_tuple() -> None:
    """As the first of a tuple; torchvision's nets with auxiliary classifiers return such."""
    torch.manual_seed(0)
    step = reweighted_backward(
        Named("named tuple"), partial(F.cross_entropy, reduction="none"), BATCH, CLEAN
    )
    expected = F.cross_entropy(step.output.logits, BATCH[1], reduction="none")
    torch.testing.assert_close(step.losses, expected.detach())


def test_a_loss_that_cannot_take_the_whole() -> None:
    with pytest.raises(TypeError, match="must be Tensor, not dict") as raised:
        example_weights(Named(), partial(F.cross_entropy, reduction="none"), BATCH, CLEAN)
    assert any("['logits', 'hidden']" in note for note in raised.value.__notes__)


def test_no_logits_in_a_loop_of_ones_own() -> None:
    loss = nn.CrossEntropyLoss(reduction="none")
    for function in (example_weights, reweighted_backward):
        with pytest.raises(ValueError, match=r"'last_hidden_state', 'pooler_output'"):
            function(Bert(), loss, BATCH, CLEAN)


def test_estimator_of_no_names_is_unharmed() -> None:
    """Tuples go by position, as in skorch."""

    class Two(MLP):
        def forward(self, X: Tensor) -> Any:
            return super().forward(X), self.inner(X)

    net = L2RWClassifier(Two, **SETTINGS).fit(X, Y)
    first, second = net.forward(X)
    assert (first.shape, second.shape) == ((42, 2), (42, 6))
