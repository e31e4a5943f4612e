"""The residual net of the paper's Table 2."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity shortcut (zero-padded where the width grows)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.stride = n_out // n_in
        self.extra = n_out - n_in
        self.conv1 = nn.Conv2d(n_in, n_out, 3, self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)

    def forward(self, X: Tensor) -> Tensor:
        """Features, of half the size where the width doubles."""
        Z = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(X)))))
        if self.extra:
            X = F.pad(X[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
        return F.relu(Z + X)


class ResNet32(nn.Module):
    """ResNet-32 for 32x32 images (He et al., 2016): images (n, 3, 32, 32) to logits."""

    def __init__(self, n_outputs: int = 10, width: int = 16, blocks: int = 5) -> None:
        super().__init__()
        widths = [width, width, 2 * width, 4 * width]
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        for n_in, n_out in itertools.pairwise(widths):
            layers += [BasicBlock(n_in if i == 0 else n_out, n_out) for i in range(blocks)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(4 * width, n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        """Logits (n, n_outputs)."""
        logits: Tensor = self.classifier(torch.mean(self.features(X), dim=(2, 3)))
        return logits
