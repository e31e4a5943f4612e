"""CONTRIBUTING's recipes, followed: a way and an estimator that are not in the package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skorch import NeuralNetRegressor
from torch import Tensor, nn

from sklearn_l2rw import L2RWMixin, example_weights
from sklearn_l2rw.meta_gradient import choice, weights
from sklearn_l2rw.meta_gradient.algorithm import Wanted, Weighed
from sklearn_l2rw.meta_gradient.gradients import Clean
from sklearn_l2rw.meta_gradient.ways import WAYS, Way
from sklearn_l2rw.targets.targets import Targets
from tests.oracle import assert_close, oracle
from tests.zoo import ZOO, build

# A way: gradients of all examples in one batched call of autograd


def jacobian(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Any, wanted: Wanted
) -> Weighed:
    """``u = J v``, with the Jacobian ``J`` written out."""
    clean = Clean(objective, clean_batch, parameters, wanted)
    losses, output = objective(batch)
    rows = torch.autograd.grad(
        losses, [parameters[name] for name in clean.v], torch.eye(len(losses)).to(losses),
        retain_graph=True, is_grads_batched=True,
    )  # fmt: skip
    pairs = zip(rows, clean.v.values(), strict=True)
    slopes = sum(J.flatten(1) @ t.flatten() for J, t in pairs)
    assert isinstance(slopes, Tensor)
    return clean.weighed(slopes, losses, output)


@pytest.mark.parametrize("name", ["mlp", "batch_norm_1d", "group_norm"])
def test_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WAYS, "jacobian", Way(jacobian))
    for module in (choice, weights):
        monkeypatch.setattr(module, "META_GRADIENTS", ("auto", *WAYS))
    problem = build(ZOO[name], torch.float64)
    torch.manual_seed(0)
    found = example_weights(*problem, meta_gradient="jacobian")
    assert_close(found, oracle(name), atol=1e-10)


# An estimator: counts, whose logarithm the module returns


class Counts(Targets):
    """Whole numbers of at least 0."""

    n_outputs = 1
    reshapes = True

    def learn(self, y: Any, *, in_dataset: bool, before: Any = None, classes: Any = None) -> Any:
        y = super().learn(y, in_dataset=in_dataset, before=before, classes=classes)
        if y is not None and not (np.mod(y, 1) == 0).all():
            raise ValueError(f"Got y={y}, but expected counts.")
        return y

    def encode(self, y: Any) -> Tensor:
        return torch.as_tensor(np.asarray(y, dtype=np.float32))


class L2RWCounts(L2RWMixin, NeuralNetRegressor):
    """Poisson regression with learned weights."""

    def __init__(self, module: Any = None, **kwargs: Any) -> None:
        super().__init__(module, criterion=nn.PoissonNLLLoss, **kwargs)

    def _make_targets(self) -> Counts:
        return Counts(type(self).__name__)

    def predict(self, X: Any) -> NDArray[Any]:
        return np.asarray(np.exp(super().predict(X)).ravel())


def test_estimator() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (600, 1)).astype("float32")
    means = np.exp(1 + X[:, 0])
    y = rng.poisson(means)
    y[100:][::3] = 20  # a third of the counts to learn from is wrong
    net = L2RWCounts(clean_set=(X[:100], y[:100]), lr=0.03, random_state=0, verbose=0)
    net.fit(X[100:], y[100:])
    assert np.abs(net.predict(X) - means).mean() < 0.5  # plain training ends at 5
    with pytest.raises(ValueError, match="expected counts"):
        net.fit(X, y + 0.5)
