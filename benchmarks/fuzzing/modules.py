"""Small modules that users might bring, some of them wrong for what they are given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sklearn_l2rw import MLP
from sklearn_l2rw.nested import leaves

HIDDEN = 5


class Small(MLP):
    """The default module, with fewer units."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__(n_features, n_outputs, HIDDEN)


class Sums(nn.Module):
    """Takes any number of inputs, by name or by position, and looks at their sums."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.outer = nn.Linear(1, n_outputs)

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        """Numbers of the sum of all that an example has."""
        parts = [x.float().reshape(len(x), -1).sum(1) for x in leaves([*inputs, named])]
        output: Tensor = self.outer(torch.stack(parts).sum(0)[:, None])
        return output


class Words(nn.Module):
    """Takes whole numbers from 0 to 9."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.words = nn.Embedding(10, HIDDEN)
        self.outer = nn.Linear(HIDDEN, n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        """Numbers of the mean word."""
        output: Tensor = self.outer(self.words(X).mean(1))
        return output


class Normed(nn.Sequential):
    """With batch normalization and dropout."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__(
            nn.Linear(n_features, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.Dropout(),
            nn.Linear(HIDDEN, n_outputs),
        )  # fmt: skip


class Double(nn.Linear):
    """In double precision."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__(n_features, n_outputs, dtype=torch.float64)


class Spoiled(nn.Linear):
    """Has lost a parameter already."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__(n_features, n_outputs)
        with torch.no_grad():
            self.weight[0] = torch.nan


class Odd(nn.Linear):
    """Returns an output for all examples but the first."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__(n_features, n_outputs)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Too few rows."""
        return super().forward(input)[1:]


def _instance(n_features: int, n_outputs: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(n_features, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, n_outputs))


def module(kind: str, n_features: int, n_outputs: int) -> Any:
    """A module, or its class, of a kind."""
    made = {"default": None, "small": Small, "sums": Sums, "words": Words, "normed": Normed,
            "double": Double, "spoiled": Spoiled, "odd": Odd, "none of torch's": int,
            "text": "MLP"}  # fmt: skip
    if kind in made:
        return made[kind]
    given = _instance(
        n_features + (kind == "wrong n_features"), n_outputs + (kind == "wrong n_outputs")
    )
    if kind == "frozen":
        given.requires_grad_(False)
    if kind == "half frozen":
        next(given.children()).requires_grad_(False)
    if kind == "half precision":
        given.bfloat16()
    return given


USUAL = ("small", "default", "instance")
KINDS = (
    *USUAL, "sums", "words", "normed", "double", "spoiled", "odd", "none of torch's", "text",
    "frozen", "half frozen", "half precision", "wrong n_features", "wrong n_outputs",
)  # fmt: skip
