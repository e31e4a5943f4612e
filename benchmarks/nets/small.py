"""Perceptrons and LeNets."""

from __future__ import annotations

import itertools

from torch import Tensor, nn


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
        self,
        n_inputs: int = 784,
        n_outputs: int = 10,
        hidden: tuple[int, int] = (256, 128),
        *,
        batch_norm: bool = False,
    ) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in itertools.pairwise((n_inputs, *hidden)):
            layers.append(nn.Linear(n_in, n_out))
            if batch_norm:
                layers.append(nn.BatchNorm1d(n_out))
            layers.append(nn.ReLU())
        super().__init__(*layers, nn.Linear(hidden[1], n_outputs))
