"""The wide residual net of the paper's Table 1."""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional as F


class WideBlock(nn.Module):
    """BatchNorm and ReLU before each of two 3x3 convolutions, dropout between them."""

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if n_in != n_out or stride != 1:
            self.shortcut = nn.Conv2d(n_in, n_out, 1, stride, bias=False)

    def forward(self, X: Tensor) -> Tensor:
        """Features, of half the size with stride 2."""
        Z = F.relu(self.bn1(X))
        kept: Tensor = X if self.shortcut is None else self.shortcut(Z)
        Z = self.dropout(F.relu(self.bn2(self.conv1(Z))))
        residual: Tensor = self.conv2(Z)
        return kept + residual


class WideResNet(nn.Module):
    """WRN-depth-width (Zagoruyko and Komodakis, 2016): images (n, 3, 32, 32) to logits."""

    def __init__(
        self, n_outputs: int = 10, depth: int = 28, width: int = 10, dropout: float = 0.3
    ) -> None:
        super().__init__()
        widths = [16, 16 * width, 32 * width, 64 * width]
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
        for stage, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
            for i in range((depth - 4) // 6):
                first = i == 0
                stride = 2 if first and stage else 1
                layers.append(WideBlock(n_in if first else n_out, n_out, stride, dropout))
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(widths[-1]), nn.ReLU())
        self.classifier = nn.Linear(widths[-1], n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        """Logits (n, n_outputs)."""
        logits: Tensor = self.classifier(self.features(X).mean(dim=(2, 3)))
        return logits
