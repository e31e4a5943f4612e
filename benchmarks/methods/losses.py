"""Arms that change the training loss: what an example counts, or what its target is."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.methods.net import Net


class FocalLoss(Net):
    """Focal loss (Lin et al., 2017), ``-(1 - p)^2 log p``: what is already right counts little."""

    gamma = 2.0

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        log_p = -F.cross_entropy(logits, y, reduction="none")
        return (-((1 - log_p.exp()) ** self.gamma) * log_p).mean()


class RandomWeights(Net):
    """Weights ``max(z, 0) / sum max(z, 0)`` with standard normal z (Ren et al., 2018)."""

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        weights = torch.randn(len(y), device=y.device).clamp(min=0)
        weights = weights / weights.sum().clamp(min=1e-12)
        return (weights * F.cross_entropy(logits, y, reduction="none")).sum()


class HardMining(Net):
    """Of the most frequent class, only the examples with the largest losses count.

    As many of them as the batch has of all other classes, and at least a tenth of the batch. The
    paper names the idea and gives no details; this is our reading of it.
    """

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        losses = F.cross_entropy(logits, y, reduction="none")
        frequent = y == int(self.class_counts_.argmax())
        n_kept = max(int((~frequent).sum()), math.ceil(len(y) / 10))
        hardest = losses[frequent].topk(min(n_kept, int(frequent.sum()))).values
        return torch.cat([losses[~frequent], hardest]).mean()


class SoftBootstrap(Net):
    """Soft bootstrapping (Reed et al., 2015): targets mixed with the net's own probabilities."""

    beta = 0.95

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        log_q = logits.log_softmax(1)
        own = -(log_q.exp() * log_q).sum(1)
        given = F.nll_loss(log_q, y, reduction="none")
        return (self.beta * given + (1 - self.beta) * own).mean()


class HardBootstrap(Net):
    """Hard bootstrapping (Reed et al., 2015): targets mixed with the net's own prediction."""

    beta = 0.8

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        log_q = logits.log_softmax(1)
        own = -log_q.max(1).values
        given = F.nll_loss(log_q, y, reduction="none")
        return (self.beta * given + (1 - self.beta) * own).mean()


class SelfPaced(Net):
    """MentorNet's predefined curriculum (Jiang et al., 2018): only small losses count.

    An example counts where its loss is below a moving average of the 75th percentile of the
    losses of a batch. In the first fifth of the steps all examples count.
    """

    percentile = 0.75
    decay = 0.9
    burn_in = 0.2

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.step_ = 0
        self.bound_: Tensor | None = None

    def training_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        losses = F.cross_entropy(logits, y, reduction="none")
        level = losses.detach().quantile(self.percentile)
        old = level if self.bound_ is None else self.bound_
        self.bound_ = self.decay * old + (1 - self.decay) * level
        self.step_ += 1
        if self.step_ <= self.burn_in * self.n_steps:
            return losses.mean()
        counts = (losses.detach() <= self.bound_).to(losses.dtype)
        return (counts * losses).sum() / counts.sum().clamp(min=1)


class BalancedBatches(Net):
    """Batches with as many of each class, on average: rows are drawn with replacement."""

    def draw_order(self, y: Tensor) -> Tensor:
        return torch.multinomial(self.inverse_frequency(y).cpu(), len(y), replacement=True)
