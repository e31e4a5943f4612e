"""Learned weights in a training loop that knows nothing of skorch.

Two moons, of one of which 60% of the points carry the other's label, and forty points whose labels
are right.

Run ``python examples/training_loop.py``.
"""

import torch
from sklearn.datasets import make_moons
from torch import nn

from sklearn_l2rw import example_weights, reweighted_backward

torch.manual_seed(0)
X, y = (torch.as_tensor(array) for array in make_moons(2040, noise=0.1, random_state=0))
X = X.float()
X_clean, y_clean = X[:40], y[:40]
X, y, X_test, y_test = X[40:1040], y[40:1040], X[1040:], y[1040:]

flipped = (y == 1) & (torch.rand(len(y)) < 0.6)
y = torch.where(flipped, 0, y)

loss = nn.CrossEntropyLoss(reduction="none")


def train(*, reweight: bool) -> nn.Module:
    """Train a small net for 30 epochs."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        for rows in torch.split(torch.randperm(len(y)), 100):
            optimizer.zero_grad()
            if reweight:
                reweighted_backward(model, loss, (X[rows], y[rows]), (X_clean, y_clean))
            else:
                loss(model(X[rows]), y[rows]).mean().backward()
            optimizer.step()
    return model


for reweight in (False, True):
    model = train(reweight=reweight)
    accuracy = (model(X_test).argmax(1) == y_test).float().mean()
    print(f"{'reweighted' if reweight else 'unweighted'}: {accuracy:.1%} of the test labels right")

weights = example_weights(model, loss, (X, y), (X_clean, y_clean))
share, weight = flipped.float().mean(), weights[flipped].sum()
print(f"flipped labels are {share:.1%} of all, and have {weight:.1%} of the weight")
