"""Arms that mend wrong labels, by a confusion or by what the net has predicted."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import clone
from torch import Tensor
from torch.nn import functional as F

from benchmarks.methods.clean_term import WithClean
from benchmarks.methods.net import Net


def estimated_confusion(proba: Tensor, y: Tensor) -> Tensor:
    """Mean probabilities (row) of the clean examples of each class, (k, k).

    The row of a class without a clean example is that of a class whose labels are right.
    """
    n_classes = proba.shape[1]
    members = F.one_hot(y, n_classes).to(proba.dtype)
    sizes = members.sum(0)[:, None]
    return torch.where(sizes > 0, members.T @ proba / sizes.clamp(min=1), torch.eye(n_classes))


class GoldLossCorrection(WithClean):
    r"""GLC (Hendrycks et al., NeurIPS 2018): a confusion seen on the clean set, and corrected for.

    A net that is trained on the given labels alone predicts, for clean examples of class k, label
    j with mean probability :math:`C_{kj}`. A second net, from the start, is trained on
    :math:`-\log \sum_k p_k C_{ky}` for rows with given labels, and on :math:`-\log p_y` for clean
    ones. As in the paper each of the two has all steps: it costs two fits.
    """

    def fit(self, X: Any, y: Any, clean_mask: Any = None, **fit_params: Any) -> Any:
        params = self.get_params(deep=False)
        first = clone(Net(**params)).fit(X[~clean_mask], y[~clean_mask])
        proba = torch.as_tensor(first.predict_proba(X[clean_mask]))
        confusion = estimated_confusion(proba, torch.as_tensor(y[clean_mask]))
        self.confusion_ = confusion.to(self.device)
        return super().fit(X, y, clean_mask=clean_mask, **fit_params)

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean loss, of given labels after the confusion, of clean ones before it."""
        given = (logits.softmax(1) @ self.confusion_).clamp(min=1e-12).log()
        before = F.cross_entropy(logits, y, reduction="none")
        after = F.nll_loss(given, y, reduction="none")
        return torch.where(self.is_clean(), before, after).mean()


class CorrectedSoftly(WithClean):
    """MSLC (Wu et al., AAAI 2021) with fixed coefficients: labels mixed with predictions.

    The target of a row is ``a y + (1 - a) (b q + (1 - b) p)`` with its prediction p and that of
    its visit before, q; of clean rows it is y, and so it is in the first fifth of the steps. The
    authors find that b may as well be fixed at 0.4; that a is fixed, and at one half, is ours.
    """

    a, b = 0.5, 0.4
    burn_in = 0.2

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.step_ = 0
        self.before_: Tensor | None = None  # (n, k), NaN for rows that were not visited

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean cross entropy to the targets."""
        p = logits.detach().softmax(1)
        if self.before_ is None:
            self.before_ = p.new_full((len(self.clean_mask_), p.shape[1]), torch.nan)
        q = torch.where(self.before_[self.rows_].isnan(), p, self.before_[self.rows_])
        self.before_[self.rows_] = p
        self.step_ += 1
        target = F.one_hot(y, p.shape[1]).to(p.dtype)
        if self.step_ > self.burn_in * self.n_steps:
            mixed = self.a * target + (1 - self.a) * (self.b * q + (1 - self.b) * p)
            target = torch.where(self.is_clean()[:, None], target, mixed)
        return F.cross_entropy(logits, target)
