"""Steps on learned weights: identities, and the package's own Algorithm 1."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.methods.composed import (
    LearningToBootstrap,
    Weighed,
    over_norms,
    shares,
    slopes_of_labels,
    tangents,
)
from sklearn_l2rw import example_weights


class Small(nn.Module):
    """Images (n, 1, 8, 8) to three logits, with all that a net of the benchmarks has."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(36, 3),
        )  # fmt: skip

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.net(X)
        return logits


def batches(n_clean: int = 6) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(12 + n_clean, 1, 8, 8, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (len(X),), generator=generator)
    return X[:12], y[:12], X[12:], y[12:]


def begun(**more: Any) -> Any:
    """Net in float64, before its first step."""
    *_, X_clean, y_clean = batches()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Weighed(Small, batch_size=12, lr=0.1, verbose=0, **more).initialize()
    net.module_.double()
    net.clean_X_, net.clean_y_ = X_clean, y_clean
    net.on_train_begin(net)
    return net


def slopes_by_definition(net: Any, X: Tensor, y: Tensor) -> Tensor:
    """``<grad f_i, grad L>``, a backward pass for each example."""
    parameters = list(net.module_.parameters())
    clean_loss = F.cross_entropy(net.module_(net.clean_X_), net.clean_y_)
    v = torch.autograd.grad(clean_loss, parameters)
    losses = F.cross_entropy(net.module_(X), y, reduction="none")
    found = [torch.autograd.grad(f, parameters, retain_graph=True) for f in losses]
    products = [[(a * b).sum() for a, b in zip(g, v, strict=True)] for g in found]
    return torch.stack([torch.stack(each).sum() for each in products])


@pytest.fixture(name="net")
def _net() -> Any:
    return begun()


def test_slopes_of_all_labels_are_inner_products_of_gradients(net: Any) -> None:
    X, _, _, _ = batches()
    logits, t = tangents(net.module_, X, net.clean_gradient())
    torch.testing.assert_close(logits, net.module_(X))
    found = slopes_of_labels(logits, t)
    for c in range(3):
        expected = slopes_by_definition(net, X, torch.full((12,), c))
        torch.testing.assert_close(found[:, c], expected)
    advantage = (logits.softmax(1) * found).sum(1)
    torch.testing.assert_close(advantage, torch.zeros_like(advantage))


def test_weights_are_those_of_the_package(net: Any) -> None:
    X, y, X_clean, y_clean = batches()
    expected = example_weights(
        net.module_, nn.CrossEntropyLoss(reduction="none"), (X, y), (X_clean, y_clean)
    )
    logits, t = tangents(net.module_, X, net.clean_gradient())
    found = shares(slopes_of_labels(logits, t).gather(1, y[:, None])[:, 0])
    torch.testing.assert_close(found, expected)


def test_tangents_leave_no_trace() -> None:
    module = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    X = torch.randn(50, 4, dtype=torch.float64)
    v = {name: torch.ones_like(p) for name, p in module.named_parameters()}
    before = {name: b.clone() for name, b in module.named_buffers()}
    logits, _ = tangents(module, X, v)
    for name, b in module.named_buffers():
        assert torch.equal(b, before[name])
    torch.testing.assert_close(module(X), logits), "the same is drawn by the next pass"


def test_shares() -> None:
    found = shares(torch.tensor([[1.0, -2.0], [3.0, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.0], [0.75, 0.0]]))
    assert shares(torch.tensor([-1.0, 0.0])).tolist() == [0, 0]


def test_slopes_over_the_norm_of_the_gradient_at_the_logits() -> None:
    logits = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    y = torch.tensor([0, 1])
    found = over_norms(torch.tensor([2.0, 3.0]), logits, y)
    p = float(logits[1].softmax(0)[0])
    torch.testing.assert_close(found, torch.tensor([2 / 0.5**0.5, 3 / (2 * p**2) ** 0.5]))
    t = torch.tensor([[3.0, -1.0], [2.0, 5.0]])
    r = logits.softmax(1) - F.one_hot(y, 2)
    expected = F.cosine_similarity(r, t) * t.norm(dim=1)
    torch.testing.assert_close(over_norms((r * t).sum(1), logits, y), expected)


@pytest.mark.parametrize("clean_term", [0.0, 0.3])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_step_is_the_gradient_of_both_losses(clean_term: float, scaled: bool) -> None:
    net = begun(clean_term=clean_term, scaled=scaled)
    X, y, _, _ = batches()
    slopes = slopes_by_definition(net, X, y)
    logits = net.module_(X)
    if scaled:
        slopes = slopes / (logits.softmax(1) - F.one_hot(y, 3)).norm(dim=1).detach()
    weights = slopes.clamp(min=0) / slopes.clamp(min=0).sum()
    loss = (weights * F.cross_entropy(logits, y, reduction="none")).sum()
    clean_loss = F.cross_entropy(net.module_(net.clean_X_), net.clean_y_)
    parameters = list(net.module_.parameters())
    expected = torch.autograd.grad(loss + clean_term * clean_loss, parameters)
    norm = float(torch.stack([g.norm() for g in expected]).norm())
    net.max_norm = 2 * norm
    step = net.train_step_single((X, y))
    torch.testing.assert_close(step["loss"], loss)
    for p, g in zip(parameters, expected, strict=True):
        torch.testing.assert_close(p.grad, g)
    net.max_norm = norm / 2
    net.module_.zero_grad()
    net.train_step_single((X, y))
    for p, g in zip(parameters, expected, strict=True):
        torch.testing.assert_close(p.grad, g / 2, rtol=1e-4, atol=1e-8)


def test_the_clean_pass_leaves_running_averages_to_the_step(net: Any) -> None:
    X, y, _, _ = batches()
    norm = net.module_.net[1]
    net.train_step_single((X, y))
    assert int(norm.num_batches_tracked) == 1
    mean = net.module_.net[0](X).mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, 0.1 * mean.detach())


def test_two_labels_of_an_example_share_what_one_had() -> None:
    net = LearningToBootstrap(nn.Identity, n_steps=10)
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.5, 0.0]])
    y = torch.tensor([0, 0, 1])
    slopes = torch.tensor([[1.0, 5.0], [-3.0, 2.0], [4.0, 1.0]])
    net.step_ = 2
    torch.testing.assert_close(net.weighted_loss(logits, y, slopes), F.cross_entropy(logits, y))
    net.step_ = 3
    f = -logits.log_softmax(1)
    # given: 1, 0, 1; predicted (classes 0, 1, 0): 1, 2, 4; nine in all
    expected = (f[0, 0] + 0 + f[2, 1] + f[0, 0] + 2 * f[1, 1] + 4 * f[2, 0]) / 9
    torch.testing.assert_close(net.weighted_loss(logits, y, slopes), expected)
