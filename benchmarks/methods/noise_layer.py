"""A layer between the net and the wrong labels: how true classes turn into given labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

DIAGONAL = 0.9  # what a learned confusion starts from


class NoiseAdaptation(nn.Module):
    r"""S-Model (Sukhbaatar et al., 2015): logits, and in training what noise makes of them.

    With the net's probabilities p(k | x) of the true classes k, the given label j has probability
    :math:`\sum_k p(k | x) T_{kj}`, whose logarithm is returned in training; a cross entropy
    leaves log-probabilities as they are.

    Parameters
    ----------
    make : callable
        Makes the net.
    n_classes : int
        Number of classes, at least 2.
    confusion : ndarray of shape (n_classes, n_classes) or None
        T, rows of which sum to one. None learns it, each row as a softmax, with `DIAGONAL` on
        the diagonal to begin with.

    """

    def __init__(
        self, make: Callable[[], nn.Module], n_classes: int, confusion: Any = None
    ) -> None:
        super().__init__()
        self.net = make()
        if confusion is None:
            odds = DIAGONAL * (n_classes - 1) / (1 - DIAGONAL)
            rows = math.log(odds) * torch.eye(n_classes)
        else:
            rows = torch.as_tensor(confusion, dtype=torch.float32).clamp(min=1e-12).log()
        self.rows = nn.Parameter(rows, requires_grad=confusion is None)

    def forward(self, X: Tensor) -> Tensor:
        """Logits (n, n_classes) of the true class; in training log-probabilities of the label."""
        logits: Tensor = self.net(X)
        if not self.training:
            return logits
        joint = logits.log_softmax(1)[:, :, None] + self.rows.log_softmax(1)[None]
        return joint.logsumexp(1)
