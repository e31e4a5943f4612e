"""Modules that are given as instances: copied before training, whatever they have in them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import Tensor, nn

from sklearn_l2rw.training.copying import copy_of, lazily_cloned
from tests.small import MLP, Explode, X, Y, make_net, same_state, state_of

OLD_NORMS = {"weight_norm": nn.utils.weight_norm, "spectral_norm": nn.utils.spectral_norm}
DEPRECATED = r"ignore:.*(weight|spectral)_norm.*:FutureWarning"


def normed(name: str) -> nn.Module:
    torch.manual_seed(0)
    module = MLP()
    OLD_NORMS[name](module.inner)  # type: ignore[operator]
    module(torch.as_tensor(X))  # now it has a weight with a graph
    return module


@pytest.mark.filterwarnings(DEPRECATED)
@pytest.mark.parametrize("name", OLD_NORMS)
def test_old_style_norms(name: str) -> None:
    module = normed(name)
    before = state_of(module)
    net = make_net(module).fit(X, Y)
    assert same_state(state_of(module), before)
    made = normed(name)
    expected = make_net(lambda: made).fit(X, Y)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)
    assert not same_state(state_of(net.module_), before)
    assert same_state(state_of(clone(net).fit(X, Y).module_), state_of(net.module_))
    assert GridSearchCV(net, {"lr": [0.1]}, cv=2, error_score="raise").fit(X, Y).score(X, Y) > 0


class Caching(MLP):
    """Keeps what it computed last."""

    def forward(self, X: Tensor) -> Tensor:
        self.cache = [super().forward(X)]
        return self.cache[0]


def test_what_torch_cannot_copy_is_named() -> None:
    module = Caching()
    module(torch.as_tensor(X))
    net = make_net().fit(X, Y)
    expected = net.predict_proba(X)
    net.module = module
    with pytest.raises(ValueError, match=r"Caching, which torch cannot copy.*make_net"):
        net.fit(X, Y)
    np.testing.assert_array_equal(net.predict_proba(X), expected)


# What is frozen


def frozen() -> MLP:
    torch.manual_seed(0)
    module = MLP(hidden=16, batch_norm=True)
    module.inner.requires_grad_(False)
    return module


def is_shared(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have one memory until one of them is written."""
    is_lazy: Any = vars(torch._C)["_is_cow_tensor"]
    return bool(is_lazy(a) and is_lazy(b))


@pytest.mark.skipif("_is_cow_tensor" not in vars(torch._C), reason="torch does not say")
def test_frozen_parameters_are_not_copied_before_they_are_written() -> None:
    module = frozen()
    before = state_of(module)
    net = make_net(module, average=0.5).fit(X, Y)
    assert is_shared(module.inner.weight, net.module_.inner.weight)
    assert not is_shared(module.outer.weight, net.module_.outer.weight)
    assert same_state(state_of(module), before)
    assert not torch.equal(net.module_.outer.weight, module.outer.weight)
    net.module_.inner.weight.data += 1  # as merging an adapter does
    assert same_state(state_of(module), before)
    changed = net.module_.inner.weight.clone()
    module.inner.weight.data.zero_()
    assert torch.equal(net.module_.inner.weight, changed)


def test_thawed_on_the_way() -> None:
    module = frozen()
    before = state_of(module)
    net = make_net(module).fit(X, Y)
    net.module_.inner.requires_grad_(True)
    net.partial_fit(X, Y)
    assert not torch.equal(net.module_.inner.weight, before["inner.weight"])
    assert same_state(state_of(module), before)


def test_loaded_and_pickled() -> None:
    module = frozen()
    before = state_of(module)
    net = make_net(module).fit(X, Y)
    expected = net.predict_proba(X)
    other = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(other.predict_proba(X), expected)
    net.module_.load_state_dict(state_of(MLP(hidden=16, batch_norm=True)))
    assert same_state(state_of(module), before)


def test_a_failed_fit_puts_back_what_was_frozen() -> None:
    class Overwrite(Explode):
        step = 2

        def on_batch_end(self, net: Any, **kwargs: Any) -> None:
            net.module_.inner.weight.data.fill_(7.0)
            super().on_batch_end(net, **kwargs)

    net = make_net(frozen()).fit(X, Y)
    before = state_of(net.module_)
    net.callbacks_ = [*net.callbacks_, ("overwrite", Overwrite())]
    with pytest.raises(RuntimeError, match="as told"):
        net.partial_fit(X, Y)
    assert same_state(state_of(net.module_), before)


@pytest.mark.parametrize("kind", ["numpy", "shared"])
def test_memory_that_cannot_be_shared_so(kind: str) -> None:
    memory: Any = torch.from_numpy(np.ones(3)) if kind == "numpy" else torch.ones(3)
    if kind == "shared":
        memory.share_memory_()
    twin = lazily_cloned(memory)
    twin += 1
    assert memory.tolist() == [1, 1, 1]


def test_tied_and_lazy_parameters() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.LazyLinear(2))
    module[0].requires_grad_(False)
    module.append(module[0])
    module[1].weight = nn.UninitializedParameter(requires_grad=False)
    twin: Any = copy_of(module)
    assert twin[0].weight is twin[2].weight
    assert type(twin[1].weight) is nn.UninitializedParameter
