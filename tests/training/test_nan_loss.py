"""A loss that is not finite stops training, with an error that says where."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.small import MLP, X, Y, make_net

MARK = 12345.0


class NaNAtStep(MLP):
    """Its forward gives NaN for rows with a mark, which one batch has."""

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X) + torch.where(X[:, :1] == MARK, torch.nan, 0.0)


@pytest.mark.parametrize("position", [0, 17, 41])
def test_nan_loss_names_epoch_and_batch(position: int) -> None:
    marked = X.copy()
    marked[position, 0] = MARK
    net = make_net(NaNAtStep, iterator_train__shuffle=False, batch_size=16)
    with pytest.raises(ValueError, match=rf"epoch 1, batch {position // 16 + 1}\b") as info:
        net.fit(marked, Y)
    assert "lr" in str(info.value)
    net.fit(X, Y)
    with pytest.raises(ValueError, match=rf"epoch 3, batch {position // 16 + 1}\b"):
        net.partial_fit(marked, Y)


class Cubed(MLP):
    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X) ** 3


def test_divergence_names_epoch_and_batch() -> None:
    net = make_net(Cubed, lr=1e20, max_grad_norm=None, max_epochs=5)
    with pytest.raises(ValueError, match=r"epoch \d+, batch \d+.*lr.*clipping"):
        net.fit(X, Y)
