"""What `fit` is given beside the data goes to the module's forward, clean passes included."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from sklearn_l2rw import L2RWClassifier, L2RWRegressor
from tests.small import MLP, SETTINGS, X_CLEAN, Y_NOISY, X, make_net, same_state, state_of


class Scaled(MLP):
    """Its forward cannot do without a factor."""

    seen: list[tuple[int, float]]

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.seen = []

    def forward(self, X: Tensor, scale: float) -> Tensor:  # type: ignore[override]
        self.seen.append((len(X), scale))
        return super().forward(scale * X)


class Doubled(MLP):
    def forward(self, X: Tensor) -> Tensor:
        return super().forward(2.0 * X)


@pytest.mark.parametrize("way", ["auto", "layerwise", "forward", "double_backward"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_argument_that_forward_requires(method: str, way: str) -> None:
    net = make_net(Scaled, meta_gradient=way, clean_batch_size=7)
    assert getattr(net, method)(X, Y_NOISY, scale=2.0) is net
    expected = make_net(Doubled, meta_gradient=way, clean_batch_size=7).fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), state_of(expected.module_))


def test_clean_passes_get_the_argument_too() -> None:
    net = make_net(Scaled, clean_batch_size=7).fit(X, Y_NOISY, scale=2.0)
    assert {scale for _, scale in net.module_.seen} == {2.0}
    assert {7, 16} <= {n for n, _ in net.module_.seen}  # clean batches and others


def test_argument_may_differ_from_call_to_call() -> None:
    net = make_net(Scaled).fit(X, Y_NOISY, scale=2.0)
    net.module_.seen.clear()
    net.partial_fit(X, Y_NOISY, scale=0.5)
    assert {scale for _, scale in net.module_.seen} == {0.5}


def test_argument_of_the_validation_pass() -> None:
    def split(dataset: Any, y: Any = None, **fit_params: Any) -> Any:
        return dataset, dataset

    net = make_net(Scaled, train_split=split).fit(X, Y_NOISY, scale=2.0)
    assert {scale for _, scale in net.module_.seen} == {2.0}
    assert all(row["valid_loss"] > 0 for row in net.history)


def test_argument_in_the_regressor() -> None:
    settings = {**SETTINGS, "clean_set": (X_CLEAN, X_CLEAN[:, 0]), "module__n_outputs": 1}
    net = L2RWRegressor(Scaled, **settings).fit(X, X[:, 0], scale=2.0)
    expected = L2RWRegressor(Doubled, **settings).fit(X, X[:, 0])
    assert same_state(state_of(net.module_), state_of(expected.module_))


def test_argument_that_forward_lacks_is_told_as_python_tells_it() -> None:
    net: L2RWClassifier = make_net(Scaled)
    with pytest.raises(TypeError, match="scale"):
        net.fit(X, Y_NOISY)
    assert not hasattr(net, "module_")
