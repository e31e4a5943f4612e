"""Nets of sequences: recurrent, and by attention."""

from __future__ import annotations

from torch import Tensor, nn


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
