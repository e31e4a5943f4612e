"""What a step is timed on: nets, the data for them, and the sizes of batches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from benchmarks.nets import real
from benchmarks.nets.residual import ResNet32
from benchmarks.nets.sequences import GRUClassifier, TransformerClassifier
from benchmarks.nets.small import MLP, LeNet
from benchmarks.step.rivals import Batch, Setting


@dataclass(frozen=True)
class Case:
    """A net, the shape of an example, the number of classes, and both batch sizes.

    Examples are sequences of tokens where there is a vocabulary. ``amp`` runs the net in bfloat16
    where autocast does, ``compiled`` by torch.compile.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    n_classes: int
    n: int
    m: int
    rounds: int
    twice: bool = False  # see Setting
    dropout: bool = False
    vocabulary: int = 0
    amp: bool = False
    compiled: bool = False


class UnderAutocast(nn.Module):
    """A net whose costly operations are in bfloat16; its output is in single precision."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Output of the net."""
        with torch.autocast(X.device.type, torch.bfloat16):
            output: torch.Tensor = self.net(X)
        return output.float()


_MLP = partial(MLP, 20, 2, (64, 64))
_WIDE = partial(MLP, 100, 2, (512, 512))
CASES = {
    "mlp-128-10": Case(_MLP, (20,), 2, 128, 10, rounds=300),
    "wide-mlp-512-10": Case(_WIDE, (100,), 2, 512, 10, rounds=100),
    "lenet-100-10": Case(LeNet, (1, 28, 28), 2, 100, 10, rounds=25),
    "lenet-100-100": Case(LeNet, (1, 28, 28), 2, 100, 100, rounds=25),
    "resnet32-100-10": Case(ResNet32, (3, 32, 32), 10, 100, 10, rounds=5),
    "resnet32-100-100": Case(ResNet32, (3, 32, 32), 10, 100, 100, rounds=5),
    "gru-64-10": Case(GRUClassifier, (20, 16), 2, 64, 10, rounds=40, twice=True),
    "transformer-64-10": Case(
        TransformerClassifier, (20, 16), 2, 64, 10, rounds=40, twice=True, dropout=True
    ),
}

_PIXELS = (3, 32, 32)
REAL = {
    "timm-resnet18-64-16": Case(real.resnet18, _PIXELS, 10, 64, 16, rounds=15),
    "timm-convnext_atto-64-16": Case(real.convnext_atto, _PIXELS, 10, 64, 16, rounds=15),
    "timm-vit_tiny-64-16": Case(real.vit_tiny, _PIXELS, 10, 64, 16, rounds=8, twice=True),
    "timm-mobilenetv3_small-64-16": Case(real.mobilenetv3_small, _PIXELS, 10, 64, 16, rounds=15),
    "bert-32-8": Case(
        real.Bert, (64,), 10, 32, 8, rounds=25, twice=True, dropout=True,
        vocabulary=real.VOCABULARY,
    ),
}  # fmt: skip


def draw(case: Case, device: str) -> tuple[nn.Module, Batch, Batch]:
    """Net, training batch and clean batch: the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = UnderAutocast(case.make()) if case.amp else case.make()
        sizes = (case.n, case.m)
        X, X_clean = (_inputs(case, size).to(device) for size in sizes)
        y, y_clean = (torch.randint(case.n_classes, (size,)).to(device) for size in sizes)
    return net.to(device), (X, y), (X_clean, y_clean)


def _inputs(case: Case, n: int) -> torch.Tensor:
    if case.vocabulary:
        return torch.randint(case.vocabulary, (n, *case.shape))
    return torch.randn(n, *case.shape)


def setting(case: Case, net: nn.Module, batch: Batch, clean_batch: Batch) -> Setting:
    """What one arm gets, with a copy of the net."""
    net = copy.deepcopy(net)
    if case.compiled:
        net = torch.compile(net)  # type: ignore[assignment]
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    return Setting(net, optimizer, batch, clean_batch, case.twice)


def without_dropout(net: nn.Module) -> nn.Module:
    """Copy of a net that draws no masks."""
    net = copy.deepcopy(net)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    return net
