"""Losses and orders of the arms, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.methods.losses import (
    BalancedBatches,
    FocalLoss,
    HardBootstrap,
    HardMining,
    RandomWeights,
    SelfPaced,
    SoftBootstrap,
)
from benchmarks.methods.net import Net
from benchmarks.methods.noise_layer import NoiseAdaptation

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.0, 0.3], [1.0, 1.0]])


LABELS = torch.tensor([0, 0, 0, 1, 0])


def net_of(kind: type[Net], **more: Any) -> Net:
    net = kind(nn.Identity, **more)
    net.class_counts_ = np.array([90, 10])
    return net


def test_class_weights_are_inverse_frequencies() -> None:
    net = net_of(Net, class_weight="balanced")
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    weights = torch.tensor([100 / 180, 100 / 20])[LABELS]
    torch.testing.assert_close(net.training_loss(LOGITS, LABELS), (weights * losses).mean())
    plain = net_of(Net).training_loss(LOGITS, LABELS)
    torch.testing.assert_close(plain, losses.mean())


def test_focal_loss() -> None:
    p = LOGITS.softmax(1)[torch.arange(5), LABELS]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    torch.testing.assert_close(net_of(FocalLoss).training_loss(LOGITS, LABELS), expected)


def test_hard_mining_keeps_the_largest_losses_of_the_frequent_class() -> None:
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    expected = (losses[1] + losses[3]) / 2  # one of class 1, so one of class 0: the second
    torch.testing.assert_close(net_of(HardMining).training_loss(LOGITS, LABELS), expected)


def test_random_weights_are_a_distribution() -> None:
    equal = torch.zeros(50, 2)
    loss = net_of(RandomWeights).training_loss(equal, torch.zeros(50, dtype=torch.int64))
    torch.testing.assert_close(loss, torch.tensor(2.0).log())


def test_bootstrap_targets() -> None:
    q = LOGITS.softmax(1)
    given = F.one_hot(LABELS, 2)
    soft = -((0.95 * given + 0.05 * q) * q.log()).sum(1).mean()
    torch.testing.assert_close(net_of(SoftBootstrap).training_loss(LOGITS, LABELS), soft)
    predicted = F.one_hot(LOGITS.argmax(1), 2)
    hard = -((0.8 * given + 0.2 * predicted) * q.log()).sum(1).mean()
    torch.testing.assert_close(net_of(HardBootstrap).training_loss(LOGITS, LABELS), hard)


def test_self_paced_drops_large_losses_after_a_while() -> None:
    net = net_of(SelfPaced, n_steps=10)
    net.on_train_begin(net)
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    for _ in range(2):
        torch.testing.assert_close(net.training_loss(LOGITS, LABELS), losses.mean())
    kept = losses[losses <= losses.quantile(0.75)]
    assert len(kept) == 4
    torch.testing.assert_close(net.training_loss(LOGITS, LABELS), kept.mean())


def test_balanced_batches_draw_the_rare_class_as_often() -> None:
    y = torch.cat([torch.zeros(900, dtype=torch.int64), torch.ones(100, dtype=torch.int64)])
    share = y[net_of(BalancedBatches).draw_order(y)].float().mean()
    assert 0.45 < float(share) < 0.55


def test_noise_layer() -> None:
    confusion = np.array([[0.7, 0.3], [0.0, 1.0]])
    known = NoiseAdaptation(nn.Identity, 2, confusion)
    expected = LOGITS.softmax(1) @ torch.tensor(confusion, dtype=torch.float32)
    torch.testing.assert_close(known(LOGITS).exp(), expected)
    torch.testing.assert_close(known.eval()(LOGITS), LOGITS)
    assert not [p for p in known.parameters() if p.requires_grad]
    learned = NoiseAdaptation(nn.Identity, 3)
    rows = learned.rows.softmax(1)
    torch.testing.assert_close(rows.diag(), torch.full((3,), 0.9))
    assert learned.rows.requires_grad
