"""Steps on learned weights whose parts can be put together, before the package has them.

In these terms, for a batch with labels y and probabilities p: the clean gradient ``v = grad L``;
the tangents of the logits along it, ``t_i = J_i v``; the slope of any label c of an example,
``U_i(c) = <p_i - e_c, t_i>``, of which the given label's, ``u_i = U_i(y_i)``, is that of Algorithm
1. How far a step ``sum_i w_i grad f_i`` lowers the clean loss is ``sum_i w_i u_i``.

These are plain training loops, slow and short: a pass for v, one for t, one for the step. Clean
rows are not trained on otherwise; gradients are clipped at norm 1, as L2RW's are.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from benchmarks.methods.clean_term import WithClean


def tangents(module: nn.Module, X: Tensor, v: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Logits (n, k) and their tangents ``J_i v`` (n, k), for a v by the names of parameters.

    Neither buffers nor the generator of random numbers are left changed: the pass of the step
    that comes next draws what this one drew.
    """
    theta = {name: p.detach() for name, p in module.named_parameters()}

    def logits_at(theta: dict[str, Tensor]) -> Tensor:
        buffers = {name: b.clone() for name, b in module.named_buffers()}
        logits: Tensor = functional_call(module, {**buffers, **theta}, (X,))
        return logits

    devices = [X.device] if X.is_cuda else []
    with torch.no_grad(), torch.random.fork_rng(devices), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, as it loads formulas
        logits, t = jvp(logits_at, (theta,), (dict(v),))  # type: ignore[misc]
    return logits, t


def slopes_of_labels(logits: Tensor, t: Tensor) -> Tensor:
    """Slope ``U_i(c) = <p_i, t_i> - t_ic`` of every label of every example, (n, k)."""
    slopes: Tensor = (logits.softmax(1) * t).sum(1, keepdim=True) - t
    return slopes


def over_norms(slopes: Tensor, logits: Tensor, y: Tensor) -> Tensor:
    """Slopes over the norm of the gradient at the logits, ``r_i = p_i - e_{y_i}``, (n,).

    What is left is the cosine of that gradient and t_i, times the norm of t_i: examples that the
    net has learned, whose gradients are small, count as much as others.
    """
    r = logits.softmax(1) - F.one_hot(y, logits.shape[1])
    scaled: Tensor = slopes / r.norm(dim=1).clamp(min=1e-6)
    return scaled


def shares(slopes: Tensor) -> Tensor:
    """Equations 8 and 9, of slopes in any shape: ``max(u, 0)`` over its sum, 0 where that is 0."""
    positive = slopes.clamp(min=0)
    total = positive.sum()
    return positive / torch.where(total > 0, total, torch.ones_like(total))


class Weighed(WithClean):
    """Net whose loss is a weighted sum, the weights being learned from the clean set.

    Parameters
    ----------
    clean_term : float
        lambda of ``sum_i w_i f_i + lambda L``; its gradient is v, which is at hand.
    scaled : bool
        Whether slopes are divided by the norms of ``r_i``.

    """

    trains_on_clean = False
    max_norm = 1.0

    def __init__(
        self, module: Any, *, clean_term: float = 0.0, scaled: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(module, **kwargs)
        self.clean_term = clean_term
        self.scaled = scaled

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.step_ = 0

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Weigh the batch, and differentiate ``sum_i w_i f_i + lambda L``."""
        self._set_training(True)
        X, y = batch
        v = self.clean_gradient()
        before, t = tangents(self.module_, X, v)
        self.step_ += 1
        logits = self.infer(X)
        loss = self.weighted_loss(logits, y, slopes_of_labels(before, t))
        loss.backward()  # type: ignore[no-untyped-call]
        for name, p in self.module_.named_parameters():
            p.grad = self.clean_term * v[name] + (0 if p.grad is None else p.grad)
        clip_grad_norm_(self.module_.parameters(), self.max_norm)
        return {"loss": loss, "y_pred": logits}

    def clean_gradient(self) -> dict[str, Tensor]:
        """Gradient of the mean loss of a clean batch, by parameter."""
        X, y = self.clean_batch()
        named = dict(self.module_.named_parameters())
        buffers = {name: b.clone() for name, b in self.module_.named_buffers()}
        loss = F.cross_entropy(functional_call(self.module_, {**buffers, **named}, (X,)), y)
        found = torch.autograd.grad(loss, list(named.values()), materialize_grads=True)
        return dict(zip(named, found, strict=True))

    def weighted_loss(self, logits: Tensor, y: Tensor, slopes: Tensor) -> Tensor:
        """Sum of the losses, each times its weight; slopes are those of all labels, (n, k)."""
        given = slopes.gather(1, y[:, None])[:, 0]
        if self.scaled:
            given = over_norms(given, logits.detach(), y)
        return (shares(given) * F.cross_entropy(logits, y, reduction="none")).sum()


class LearningToBootstrap(Weighed):
    """L2B (Zhou et al., CVPR 2024): a weight for the given label, and one for the predicted.

    ``sum_i w_i f_i(y_i) + w'_i f_i(argmax p_i)``, with w from ``max(u_i, 0)``, w' from
    ``max(U_i(argmax p_i), 0)``, and all of them summing to one. Plain in the first fifth of the
    steps.
    """

    burn_in = 0.2

    def weighted_loss(self, logits: Tensor, y: Tensor, slopes: Tensor) -> Tensor:
        if self.step_ <= self.burn_in * self.n_steps:
            return F.cross_entropy(logits, y)
        labels = torch.stack([y, logits.detach().argmax(1)], 1)
        losses = -logits.log_softmax(1).gather(1, labels)
        return (shares(slopes.gather(1, labels)) * losses).sum()
