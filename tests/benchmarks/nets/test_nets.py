"""Networks: shapes, sizes, and how images are moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.methods.training import NETS, shifted_and_mirrored
from benchmarks.nets.wide_resnet import WideResNet
from tests.small_benchmarks import TINY


@pytest.mark.parametrize("net", [name for name in NETS if name != "wrn"])
def test_each_net_takes_flat_rows(net: str) -> None:
    shape = {"mlp": (5,), "lenet": (1, 28, 28), "lenet5": (1, 28, 28)}.get(net, (3, 32, 32))
    make_net: Callable[[], nn.Module] = TINY.factory(shape, 3)
    make_net = replace(TINY, net=net).factory(shape, 3)
    X = torch.randn(2, int(np.prod(shape)))
    assert make_net()(X).shape == (2, 3)


def test_wide_resnet() -> None:
    net = WideResNet(depth=10, width=1)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    with torch.device("meta"):
        full = WideResNet()
    assert sum(p.numel() for p in full.parameters()) == pytest.approx(36.5e6, rel=0.01)


def test_images_are_shifted_and_mirrored_each_in_its_way() -> None:
    X = torch.arange(2 * 6 * 6.0).reshape(1, 2, 6, 6).repeat(64, 1, 1, 1) + 1
    found = shifted_and_mirrored(X, pad=2)
    assert found.shape == X.shape
    assert len({tuple(x.flatten().tolist()) for x in found}) > 20
    sides = set(shifted_and_mirrored(X, pad=0)[:, :, :, 0].flatten().tolist())
    assert sides == set(X[..., [0, 5]].flatten().tolist())
    inside = found[:, 0, 2:4, 2:4]
    assert bool((inside > 0).all()), "the middle is never padding"
    channels = found[:, 1] - found[:, 0]
    assert set(channels[found[:, 0] > 0].tolist()) == {36.0}, "channels move together"
