"""Cases of the zoo in which a batch is more than its examples, one below the other.

Examples interact, or depend on the batch that they are in, or lie along another dimension than
the first of what a layer gets, or several rows belong to one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests import zoo_parts as z
from tests.zoo_case import Case

Function = Callable[[Any, Tensor], Tensor]


def between(function: Function, n_features: int = 8) -> nn.Module:
    """A function of what a first layer puts out, seen by a second one."""
    return z.Apply(
        lambda m, x: m.head(function(m, m.first(x)).tanh()),
        first=nn.Linear(5, 8),
        head=z.head(n_features),
    )


def loss_of(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], Any]:
    """A loss made of the cross-entropies, as a function of them and the labels."""
    cross_entropy = nn.CrossEntropyLoss(reduction="none")
    return lambda: lambda output, y: function(cross_entropy(output, y), y)


def sequence_first(m: Any, x: Tensor) -> Tensor:
    output: Tensor = m.head(m.first(x.transpose(0, 1)).tanh().mean(0))
    return output


def sequence_first_module() -> nn.Module:
    return z.Apply(sequence_first, first=nn.Linear(6, 8), head=z.head(8))


def crops(m: Any, x: Tensor) -> Tensor:
    """Three crops of an example below each other, their outputs averaged."""
    output: Tensor = m.net(x[:, :3].flatten(0, 1)).unflatten(0, (len(x), 3)).mean(1)
    return output


def interleaved_crops(m: Any, x: Tensor) -> Tensor:
    """The first crops of all examples, then the second ones."""
    output: Tensor = m.net(x[:, :3].transpose(0, 1).flatten(0, 1)).unflatten(0, (3, len(x))).mean(0)
    return output


def cropping(function: Function) -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), z.head(8))
    return z.Apply(function, net=net)


def class_token(m: Any, x: Tensor) -> Tensor:
    tokens = torch.cat([m.token.expand(len(x), 1, -1), m.first(x)], 1) + m.position
    output: Tensor = m.head((tokens.softmax(1) @ m.mix)[:, 0])
    return output


def vision_transformer() -> nn.Module:
    return z.Apply(
        class_token,
        first=nn.Linear(6, 6),
        token=nn.Parameter(torch.randn(1, 1, 6)),
        position=nn.Parameter(torch.randn(5, 6)),
        mix=nn.Parameter(torch.randn(6, 6)),
        head=z.head(6),
    )


def steps(n: int) -> Tensor:
    """Sequences as long as the training batch is large."""
    return torch.randn(n, 12, 6)


def uneven(n: int) -> Tensor:
    """Sequences whose length depends on the batch."""
    return torch.randn(n, n, 6)


def draws(problem: z.Problem, losses: Tensor) -> bool:
    """The losses are others at the next call."""
    X, y = problem.batch
    return not torch.equal(problem.loss(problem.module(X), y), losses)


def other_rows(problem: z.Problem, losses: Tensor) -> bool:
    """Some layer puts out rows of another number than there are examples."""
    rows: set[int] = set()
    for module in problem.module.modules():
        module.register_forward_hook(lambda m, args, output: rows.add(len(output)))
    problem.module(problem.batch[0])
    return rows != {len(losses)}


def length_is_size(problem: z.Problem, losses: Tensor) -> bool:
    """Sequences as long as their batch is large."""
    X: Tensor = problem.batch[0]
    return X.shape[0] == X.shape[1]


def interacts(problem: z.Problem, losses: Tensor) -> bool:
    """The loss of an example depends on the other inputs or labels."""
    X, y = problem.batch
    torch.manual_seed(0)
    alone = problem.loss(problem.module(X[-1:]), y[-1:])
    torch.manual_seed(0)
    return not torch.allclose(problem.loss(problem.module(X), y)[-1], alone[0], atol=1e-4)


BATCHES = {
    "centred_by_the_batch": Case(lambda: between(lambda m, h: h - h.mean(0)), interacts),
    "mixed_with_a_neighbour": Case(lambda: between(lambda m, h: h + h.roll(1, 0)), interacts),
    "softmax_over_the_batch": Case(lambda: between(lambda m, h: 9 * h.softmax(0)), interacts),
    "attention_over_the_batch": Case(
        lambda: between(lambda m, h: h + (h @ h.T / 9).softmax(1) @ h), interacts
    ),
    "divided_by_the_batch_size": Case(lambda: between(lambda m, h: 9 * h / len(h)), interacts),
    "place_in_the_batch": Case(
        lambda: between(lambda m, h: h * torch.linspace(2, 1, len(h)).to(h)[:, None]), interacts
    ),
    "noise": Case(lambda: between(lambda m, h: h + torch.randn(len(h), 8).to(h)), draws),
    "one_mask_for_the_batch": Case(
        lambda: between(lambda m, h: h * torch.bernoulli(torch.full((8,), 0.5)).to(h)), draws
    ),
    "loss_with_a_neighbour": Case(
        lambda: z.dense(nn.Tanh()), interacts, loss=loss_of(lambda f, y: f + 0.5 * f.roll(1))
    ),
    "loss_balanced_by_the_batch": Case(
        lambda: z.dense(nn.Tanh()), interacts, loss=loss_of(lambda f, y: f / y.bincount()[y])
    ),
    "loss_relative_to_the_batch": Case(
        lambda: z.dense(nn.Tanh()), interacts, loss=loss_of(lambda f, y: f * f.softmax(0))
    ),
    "sequence_first": Case(sequence_first_module, other_rows, X=z.sequences),
    "sequence_first_of_batch_length": Case(sequence_first_module, length_is_size, X=steps),
    "uneven_sequences": Case(
        lambda: z.Apply(
            lambda m, x: m.head(m.first(x).tanh().mean(1)), first=nn.Linear(6, 8), head=z.head(8)
        ),
        length_is_size,
        X=uneven,
    ),
    "crops": Case(lambda: cropping(crops), other_rows, X=z.sequences),
    "interleaved_crops": Case(lambda: cropping(interleaved_crops), other_rows, X=z.sequences),
    "vision_transformer": Case(vision_transformer, z.node("ExpandBackward"), X=z.sequences),
    "linear_over_the_features": Case(
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 5)), nn.Linear(5, 8), nn.LayerNorm([1, 8]), nn.Flatten(), z.head(8)
        ),
        z.layer("LayerNorm"),
    ),
    "convolutions": Case(
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular", bias=False),
            nn.Conv2d(4, 8, 3, stride=2, padding=2, dilation=2, groups=2),
            nn.GELU(),
            nn.ConvTranspose2d(8, 4, 2, stride=2, groups=4, output_padding=1),
            nn.Flatten(2),
            nn.Conv1d(4, 2, 5),
            nn.AdaptiveMaxPool1d(4),
            nn.Flatten(),
            z.head(8),
        ),
        z.layer("ConvTranspose2d"),
        X=z.images,
    ),
}
