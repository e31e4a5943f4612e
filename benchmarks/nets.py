"""Networks of the paper's experiments."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LeNet(nn.Module):
    """The convolutional net of the MNIST experiment: images (n, 1, 28, 28) to logits."""

    def __init__(self, n_outputs: int = 2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Conv2d(16, 32, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Conv2d(32, 64, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * 4 * 4, 100), nn.ReLU(), nn.Linear(100, n_outputs)
        )

    def forward(self, X: Tensor) -> Tensor:
        """Logits (n, n_outputs)."""
        logits: Tensor = self.classifier(self.features(X))
        return logits


class LeNet5(nn.Sequential):
    """The small convolutional net of LeCun et al. (1998): 784 pixels or 28x28 images to logits."""

    def __init__(self, n_outputs: int = 2) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Unflatten(1, (1, 28, 28)),
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, n_outputs),
        )


class LeNet5Color(nn.Sequential):
    """LeNet-5 for images (n, 3, 32, 32), with twice as many channels: to logits."""

    def __init__(self, n_outputs: int = 10) -> None:
        super().__init__(
            nn.Conv2d(3, 12, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 32, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(800, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, n_outputs),
        )


class MLP(nn.Sequential):
    """Perceptron with two hidden layers: inputs of any shape (n, ...) to logits."""

    def __init__(
        self, n_inputs: int = 784, n_outputs: int = 10, hidden: tuple[int, int] = (256, 128)
    ):
        super().__init__(
            nn.Flatten(),
            nn.Linear(n_inputs, hidden[0]),
            nn.ReLU(),
            nn.Linear(hidden[0], hidden[1]),
            nn.ReLU(),
            nn.Linear(hidden[1], n_outputs),
        )


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


class GRUClassifier(nn.Module):
    """A recurrent net: sequences (n, length, n_features) to logits, from the last state."""

    def __init__(self, n_features: int = 16, hidden: int = 64, n_outputs: int = 2) -> None:
        super().__init__()
        self.gru = nn.GRU(n_features, hidden, batch_first=True)
        self.classifier = nn.Linear(hidden, n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        """Logits (n, n_outputs)."""
        logits: Tensor = self.classifier(self.gru(X)[0][:, -1])
        return logits


class TransformerClassifier(nn.Module):
    """A TransformerEncoder: sequences (n, length, n_features) to logits, from the mean state."""

    def __init__(
        self,
        n_features: int = 16,
        width: int = 64,
        n_layers: int = 2,
        n_outputs: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.embedding = nn.Linear(n_features, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers)
        self.classifier = nn.Linear(width, n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        """Logits (n, n_outputs)."""
        logits: Tensor = self.classifier(self.encoder(self.embedding(X)).mean(1))
        return logits
