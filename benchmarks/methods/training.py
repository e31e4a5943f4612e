"""How the net of an experiment is trained: the same for every arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.callbacks import LRScheduler
from torch import Tensor, nn

from benchmarks.nets import small
from benchmarks.nets.residual import ResNet32
from benchmarks.nets.small import LeNet, LeNet5, LeNet5Color
from benchmarks.nets.wide_resnet import WideResNet
from sklearn_l2rw import MLP

NetFactory = Callable[[], nn.Module]


@dataclass(frozen=True)
class Training:
    """Net, steps, batches and the grid of learning rates.

    Parameters
    ----------
    net : str
        One of `NETS`.
    n_steps, n_steps_ours : int
        Optimisation steps of all other arms, and of L2RW, each of which costs more.
    batch_size : int
        Examples a step.
    lrs : tuple of float
        Each arm's learning rate is the best of these on held-out training data.
    weight_decay : float
        Of SGD.
    milestones : tuple of float
        Shares of the steps after which the learning rate falls to a tenth.
    augment : bool
        Whether images are shifted and mirrored at random.
    scale : bool
        Whether columns are standardised, in the pipeline.

    """

    net: str
    n_steps: int
    n_steps_ours: int
    batch_size: int
    lrs: tuple[float, ...]
    weight_decay: float = 0.0
    milestones: tuple[float, ...] = ()
    augment: bool = False
    scale: bool = False

    def factory(self, shape: tuple[int, ...], n_classes: int) -> NetFactory:
        """Function without arguments that makes the net for flat rows of a shape."""
        return partial(OnFlatRows, self.net, shape, n_classes, self.augment)

    def settings(self, lr: float, n_steps: int, device: str) -> dict[str, Any]:
        """Parameters of a skorch net."""
        settings: dict[str, Any] = {
            "criterion": nn.CrossEntropyLoss,
            "optimizer": torch.optim.SGD,
            "optimizer__momentum": 0.9,
            "optimizer__weight_decay": self.weight_decay,
            "lr": lr,
            "batch_size": self.batch_size,
            "device": device,
            "verbose": 0,
        }
        if self.milestones:
            steps = [round(share * n_steps) for share in self.milestones]
            policy = torch.optim.lr_scheduler.MultiStepLR
            scheduler = LRScheduler(policy=policy, milestones=steps, step_every="batch")
            settings["callbacks"] = [("schedule", scheduler)]
        return settings


def _mlp(n_outputs: int, n_features: int) -> nn.Module:
    return MLP(n_features, n_outputs)


NETS: dict[str, Callable[[int, int], nn.Module]] = {
    "lenet": lambda n_outputs, _: LeNet(n_outputs),
    "lenet5": lambda n_outputs, _: LeNet5(n_outputs),
    "lenet5_color": lambda n_outputs, _: LeNet5Color(n_outputs),
    "mlp": _mlp,
    "mlp_256_128": lambda n_outputs, n_features: small.MLP(n_features, n_outputs),
    "resnet8": lambda n_outputs, _: ResNet32(n_outputs, width=8, blocks=1),
    "resnet32": lambda n_outputs, _: ResNet32(n_outputs),
    "wrn": lambda n_outputs, _: WideResNet(n_outputs),
}


class OnFlatRows(nn.Module):
    """A net of `NETS` for rows that are flat, since samplers take no others.

    On CPU, pooling and convolutions of images take a third less time with channels last.
    Images are padded by 4, cropped to their size and mirrored at random in training, if asked
    for; all of a batch alike, from torch's generator.
    """

    def __init__(self, net: str, shape: tuple[int, ...], n_outputs: int, augment: bool) -> None:
        super().__init__()
        self.shape = shape
        self.augment = augment
        self.net = NETS[net](n_outputs, int(np.prod(shape)))
        self.layout = torch.channels_last if len(shape) == 3 else torch.contiguous_format
        self.net.to(memory_format=self.layout)  # type: ignore[call-overload]

    def forward(self, X: Tensor) -> Tensor:
        """Logits (n, n_outputs) of rows (n, d)."""
        X = X.reshape(len(X), *self.shape).contiguous(memory_format=self.layout)
        if self.augment and self.training:
            X = shifted_and_mirrored(X)
        logits: Tensor = self.net(X)
        return logits


def shifted_and_mirrored(X: Tensor, pad: int = 4) -> Tensor:
    """Images (n, channels, height, width), each with a shift and a side of its own."""
    n, _, height, width = X.shape
    shift = torch.randint(-pad, pad + 1, (2, n, 1), device=X.device)
    down = torch.arange(height, device=X.device) + shift[0]
    right = torch.arange(width, device=X.device) + shift[1]
    right = torch.where(torch.rand(n, 1, device=X.device) < 0.5, right, right.flip(1))
    padded = nn.functional.pad(X, (pad, pad, pad, pad))
    images = torch.arange(n, device=X.device)[:, None, None]
    return padded[images, :, (down + pad)[:, :, None], (right + pad)[:, None, :]].movedim(-1, 1)


def n_epochs(n_steps: int, n_rows: int, batch_size: int) -> int:
    """Count the passes over the rows that come closest to a number of steps."""
    return max(1, round(n_steps / int(np.ceil(n_rows / batch_size))))
