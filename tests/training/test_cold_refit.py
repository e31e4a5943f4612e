"""A fit that begins anew does not touch what an earlier one left, and nobody calls its inside."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from tests.small import MLP, X, Y, make_net, same_state, state_of

COPIED: list[str] = []


class Counted(MLP):
    """Says when its parameters are copied."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        COPIED.append("module")
        return super().state_dict(*args, **kwargs)

    def __deepcopy__(self, memo: Any) -> Any:
        COPIED.append("module")
        raise AssertionError("a class is given, so that there is no instance to copy")


class CountedSGD(torch.optim.SGD):
    def state_dict(self) -> Any:
        COPIED.append("optimizer")
        return super().state_dict()


class CountedLoss(nn.CrossEntropyLoss):
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        COPIED.append("criterion")
        return super().state_dict(*args, **kwargs)


def test_cold_refit_copies_nothing_of_the_fit_before() -> None:
    net = make_net(Counted, optimizer=CountedSGD, optimizer__momentum=0.9, criterion=CountedLoss)
    net.fit(X, Y)
    COPIED.clear()
    net.fit(X, Y)
    assert COPIED == []


class Fails(Callback):
    armed = False

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.armed:
            raise KeyError("as told")


def test_cold_refit_that_fails_gives_the_module_back_untouched() -> None:
    fails = Fails()
    net = make_net(callbacks=[fails]).fit(X, Y)
    module, optimizer, state = net.module_, net.optimizer_, state_of(net.module_)
    fails.armed = True
    with pytest.raises(KeyError, match="as told"):
        net.fit(X, Y)
    assert net.module_ is module
    assert net.optimizer_ is optimizer
    assert same_state(state_of(module), state)


@pytest.mark.parametrize("prepare", ["new", "initialized", "fitted"])
def test_fit_loop_is_not_to_be_called(prepare: str) -> None:
    net = make_net(classes=[0, 1])
    if prepare == "initialized":
        net.initialize()
    elif prepare == "fitted":
        net.fit(X, Y)
    with pytest.raises((RuntimeError, ValueError), match=r"fit_loop.*(`fit`|partial_fit)"):
        net.fit_loop(X, Y)


def test_fit_loop_that_was_refused_leaves_the_net_as_it_was() -> None:
    net = make_net().fit(X, Y)
    state, n_epochs = state_of(net.module_), len(net.history)
    with pytest.raises((RuntimeError, ValueError)):
        net.fit_loop(X, Y)
    assert same_state(state_of(net.module_), state)
    assert len(net.history) == n_epochs
    assert len(net.partial_fit(X, Y).history) == 2 * n_epochs
