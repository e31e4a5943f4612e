"""Arms that train on the clean set beside the other rows, or know which rows are clean."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.methods.net import Net


class WithClean(Net):
    """Net that is told which rows are clean, and draws batches of them.

    ``clean_mask_`` says of each row that is trained on whether it is clean, (n,).
    """

    trains_on_clean = True  # among all other rows

    def fit(self, X: Any, y: Any, clean_mask: Any = None, **fit_params: Any) -> Any:
        self.clean_X_ = torch.as_tensor(X[clean_mask], device=self.device)
        self.clean_y_ = torch.as_tensor(y[clean_mask], device=self.device)
        kept = clean_mask | True if self.trains_on_clean else ~clean_mask
        self.clean_mask_ = torch.as_tensor(clean_mask[kept], device=self.device)
        return super().fit(X[kept], y[kept], **fit_params)

    def clean_batch(self) -> tuple[Tensor, Tensor]:
        """Give the whole clean set, or as many of its rows as a batch has, without replacement."""
        if len(self.clean_y_) <= self.batch_size:
            return self.clean_X_, self.clean_y_
        rows = torch.randperm(len(self.clean_y_))[: self.batch_size].to(self.clean_y_.device)
        return self.clean_X_[rows], self.clean_y_[rows]

    def is_clean(self) -> Tensor:
        """Which rows of the batch at hand are clean, (n,)."""
        mask: Tensor = self.clean_mask_[self.rows_]
        return mask


class CleanTerm(WithClean):
    """Plain training with the clean loss added: ``mean_i f_i + lambda L``, and no weights.

    What of L2RW with a clean term is due to the clean term alone.

    Parameters
    ----------
    clean_term : float
        lambda, at least 0.

    """

    def __init__(self, module: Any, *, clean_term: float = 0.3, **kwargs: Any) -> None:
        super().__init__(module, **kwargs)
        self.clean_term = clean_term

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean loss of the batch, and lambda times that of the clean batch."""
        X_clean, y_clean = self.clean_batch()
        clean_loss = F.cross_entropy(self.infer(X_clean), y_clean)
        return F.cross_entropy(logits, y) + self.clean_term * clean_loss
