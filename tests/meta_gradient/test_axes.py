"""Where the examples are: what is done along which axis, sizes of axes as many as there are."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearn_l2rw.meta_gradient.axes import Axis, axis_of
from sklearn_l2rw.meta_gradient.layers import RefusedError
from tests.random_graphs import RandomGraph
from tests.slopes import assert_right, problem_of
from tests.zoo_parts import Apply, Problem, head

# Where there are as many examples as features; and where "merged" takes both batches at once.
SIZES = {"layerwise": ((4, 3), (3, 4)), "merged": ((4, 1), (12, 3))}
TORCHS = (RuntimeError, ValueError)


def rows(n: int, *shape: int) -> Tensor:
    return torch.randn(n, *shape, dtype=torch.float64)


@pytest.mark.parametrize(
    ("shape", "outer", "n", "axis"),
    [
        ((5, 3), 1, 5, Axis(0, 1, 2)),
        ((5, 3), 1, 3, None),  # in a part of five
        ((3, 5), 3, 5, Axis(1, 1, 2)),
        ((15, 2), 3, 5, Axis(0, 3, 2)),
        ((15, 2), 1, 5, Axis(0, 1, 2)),
        ((2, 15, 2), 6, 5, Axis(1, 3, 3)),
        ((2, 3, 2), 1, 6, None),  # along two
        ((2, 6), 1, 4, None),
        ((4, 3), 2, 3, None),
        ((1, 1, 4), 1, 4, Axis(2, 1, 3)),
        ((), 1, 2, None),
        ((), 1, 1, None),
        ((0, 4), 1, 4, None),
    ],
)
def test_axis_of_a_place(shape: tuple[int, ...], outer: int, n: int, axis: Axis | None) -> None:
    assert axis_of(shape, outer, n) == axis


Function = Callable[[Tensor, int], Tensor]
ALONG: dict[str, Function] = {
    "softmax": lambda h, dim: h.softmax(dim),
    "log_softmax": lambda h, dim: h.log_softmax(dim),
    "cumsum": lambda h, dim: h.cumsum(dim),
    "cumprod": lambda h, dim: h.cumprod(dim),
    "cummax": lambda h, dim: h.cummax(dim).values,
    "flip": lambda h, dim: h.flip(dim),
    "roll": lambda h, dim: h.roll(1, dim),
    "roll of all": lambda h, dim: h.roll(1) if dim else h,
    "sort": lambda h, dim: h.sort(dim).values,
    "topk": lambda h, dim: h * h.topk(1, dim).values,
    "gather": lambda h, dim: h.gather(dim, torch.zeros_like(h, dtype=torch.int64)),
    "gather of some": lambda h, dim: h + h.gather(dim, torch.zeros_like(h[:1], dtype=torch.int64)),
    "unbind and stack": lambda h, dim: torch.stack(h.unbind(dim)[::-1], dim),
    "unbind and stack elsewhere": lambda h, dim: torch.stack(h.unbind(dim), -1).mT,
    "chunk and cat": lambda h, dim: torch.cat(h.chunk(2, dim)[::-1], dim),
    "split and cat": lambda h, dim: torch.cat(
        torch.split(h, [1, h.shape[dim] - 1], dim)[::-1], dim
    ),
    "slices": lambda h, dim: h - h.narrow(dim, 0, 1),
    "select": lambda h, dim: h - h.select(dim, -1).unsqueeze(dim),
    "index": lambda h, dim: h.index_select(dim, torch.zeros(h.shape[dim], dtype=torch.int64)),
    "mean": lambda h, dim: h - h.mean(dim, keepdim=True),
    "mean of a tuple": lambda h, dim: h[:, None] - h[:, None].mean((dim % 2 * 2, 1), keepdim=True),
    "sum": lambda h, dim: h - h.sum(dim).unsqueeze(dim),
    "amax": lambda h, dim: h - h.amax(dim, True),
    "max": lambda h, dim: h - h.max(dim, True).values,
    "min": lambda h, dim: h - h.min(dim).values.unsqueeze(dim),
    "median": lambda h, dim: h - h.median(dim, True).values,
    "aminmax": lambda h, dim: h * torch.aminmax(h, dim=dim, keepdim=True).max,
    "prod": lambda h, dim: h - h.prod(dim, keepdim=True),
    "logsumexp": lambda h, dim: h - h.logsumexp(dim, keepdim=True),
    "norm": lambda h, dim: h / h.norm(dim=dim, keepdim=True),
    "vector_norm": lambda h, dim: h / torch.linalg.vector_norm(h, 3, dim=dim, keepdim=True),
    "std": lambda h, dim: h / (1 + h.std(dim, unbiased=False, keepdim=True)),
    "var_mean": lambda h, dim: h * torch.var_mean(h, dim, correction=0, keepdim=True)[0],
    "layer_norm": lambda h, dim: F.layer_norm(h.transpose(dim, 1), h.transpose(dim, 1).shape[1:]),
    "layer_norm of all": lambda h, dim: F.layer_norm(h, h.shape if dim % 2 == 0 else h.shape[1:]),
    "written into": lambda h, dim: _written(h, dim),
}  # fmt: skip


def _written(h: Tensor, dim: int) -> Tensor:
    h = h.clone()
    h.select(dim, 0).mul_(2).add_(h.select(dim, -1).clone())
    return h


UNKNOWN = {"cummax", "topk", "index", "aminmax", "var_mean", "roll of all", "written into"}
MIXED = {"layer_norm of all", "mean of a tuple", "gather of some", "unbind and stack elsewhere"}


@pytest.mark.parametrize("way", SIZES)
@pytest.mark.parametrize("name", ALONG)
def test_along_any_dimension(name: str, way: str) -> None:
    """Layer by layer, all are taken; with both batches in one pass, what keeps them apart."""
    for dim in (0, 1, -1, -2):
        function = ALONG[name]
        module = Apply(
            lambda m, x, f=function, d=dim: m.head(f(m.first(x), d).tanh().reshape(len(x), -1)),
            first=nn.Linear(5, 4),
            head=head(4),
        )
        for n, m in SIZES[way]:
            problem = problem_of(module, lambda k: rows(k, 5), n, m)
            if way == "layerwise" or (dim in (1, -1) and name not in UNKNOWN | MIXED):
                assert_right(problem, way)
            else:
                right_or_refused(problem, way)


def right_or_refused(problem: Problem, way: str) -> bool:
    try:
        assert_right(problem, way)
    except RefusedError:
        return False
    return True


TWICE: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "examples in the rows of a batch of matrices": lambda m, h: torch.bmm(h, h.mT) @ m.w,
    "examples in the rows of one": lambda m, h: (h[:, 0] @ m.w)[:, None] + h,
    "examples in columns": lambda m, h: (m.w @ h[:, 0].T).T[:, None] + h,
    "examples in columns, with a bias": lambda m, h: (
        torch.addmm(h[:, 0, 0], m.w, h[:, 1].T, beta=2, alpha=0.5).T[:, None] + h
    ),
    "examples in rows and in the bias": lambda m, h: (
        torch.addmm(h[:, 0], h[:, 1], m.w, beta=2, alpha=0.5)[:, None] + h
    ),
    "examples in the batch, weight expanded": lambda m, h: torch.baddbmm(
        h, h, m.w.expand(len(h), -1, -1), beta=0.5, alpha=2
    ),
    "examples on both sides": lambda m, h: ((h[:, 0] @ h[:, 1].T) @ h[:, 0] @ m.w)[:, None] + h,
    "time first": lambda m, h: (h.transpose(0, 1).reshape(-1, 4) @ m.w)
    .view(4, -1, 4)
    .transpose(0, 1),
    "time first, mixed up": lambda m, h: h.transpose(0, 1).reshape(-1, 4).view_as(h) @ m.w,
    "examples in the features": lambda m, h: (
        h.permute(1, 2, 0).flatten(1).sin() @ (h.permute(1, 2, 0).flatten(1).T @ m.w) + h
    ),
    "convolution over time first": lambda m, h: F.conv1d(
        h.transpose(0, 1).reshape(-1, 4, 1), m.w[:, :, None]
    ).view(4, -1, 4).transpose(0, 1),
    "convolution of the examples": lambda m, h: F.conv1d(
        h.permute(1, 0, 2), m.w[:1, :1, None].expand(1, len(h), 1)
    ).mean(0)[None] + h,
    "convolution along the examples": lambda m, h: F.conv1d(
        h.permute(1, 2, 0), m.w[:, :, None].expand(-1, -1, 3), padding=1
    ).permute(2, 0, 1),
    "attention with a causal mask": lambda m, h: F.scaled_dot_product_attention(
        h[:, None] @ m.w, h[:, None], h[:, None], is_causal=True
    )[:, 0],
    "attention with a mask of parameters": lambda m, h: F.scaled_dot_product_attention(
        h[:, None] @ m.w, h[:, None], h[:, None], m.w
    )[:, 0],
    "attention with a mask of the examples": lambda m, h: F.scaled_dot_product_attention(
        h[:, None] @ m.w, h[:, None], h[:, None], h[:, None].sin()
    )[:, 0],
    "attention among heads of examples": lambda m, h: (
        lambda z: F.scaled_dot_product_attention(z @ m.w, z, z, m.w[0, 0])[0].permute(1, 0, 2)
    )(h.permute(1, 0, 2)[None]),
    "group norm": lambda m, h: F.group_norm(h, 2, m.w[0], m.w[1]),
    "group norm of groups of examples": lambda m, h: F.group_norm(
        h.transpose(0, 1), 1, m.w[0, :1].expand(len(h))
    ).transpose(0, 1),
    "layer norm": lambda m, h: F.layer_norm(h, (4, 4), m.w, m.w.T),
    "rms norm": lambda m, h: F.rms_norm(h, (4,), m.w[0]),
    "rms norm of the examples": lambda m, h: (
        F.rms_norm(h.permute(1, 2, 0), (len(h),)).permute(2, 0, 1) @ m.w
    ),
    "batch norm, evaluated": lambda m, h: F.batch_norm(
        h, m.w[0].detach(), m.w[1].detach() ** 2, m.w[2]
    ),
    "gated linear unit": lambda m, h: torch.cat([F.glu(h @ m.w), F.glu(h.mT @ m.w, -1)], 2),
    "gated by other examples": lambda m, h: torch.cat([F.glu(torch.cat([h, h]), 0)]) @ m.w,
    "padded": lambda m, h: F.pad(h, (1, -1, -1, 1)) @ m.w,
    "padded along the examples": lambda m, h: F.pad(h, (0, 0, 0, 0, 1, -1)) @ m.w,
    "pooled": lambda m, h: F.max_pool1d(h, 3, 1, 1) @ m.w + F.avg_pool1d(h.mT, 3, 1, 1),
    "pooled along the examples": lambda m, h: (
        F.max_pool1d(h.permute(1, 2, 0), 3, 1, 1).permute(2, 0, 1) @ m.w
    ),
    "a vector of examples for all": lambda m, h: h @ m.w + h[:, 0, 0][: len(h)].sin()[:1],
    "expanded examples": lambda m, h: h[:, :1].expand(-1, 4, -1) @ m.w,
    "repeated examples": lambda m, h: (h.repeat(2, 1, 1) @ m.w)[: len(h)] + h,
    "interleaved examples": lambda m, h: (h.repeat_interleave(2, 0) @ m.w)[1::2] + h,
    "two views of each": lambda m, h: (torch.cat([h, h.sin()]) @ m.w).view(2, -1, 4, 4).mean(0),
    "two views of each, mixed up": lambda m, h: (torch.stack([h, h.sin()]) @ m.w)
    .view(-1, 2, 4, 4)
    .mean(1),
    "masked by each": lambda m, h: h.masked_fill(h.mean((1, 2), keepdim=True) > 0, 0.5) @ m.w,
    "a parameter for each place": lambda m, h: torch.where(h > 0, h, m.w) * m.w[0],
    "einsum": lambda m, h: torch.einsum("nij,jk,nkl->nil", h, m.w, h),
    "einsum over the examples": lambda m, h: torch.einsum("nij,mij,jk->nik", h, h, m.w),
    "sorted, and whose order is used": lambda m, h: h.sort(1)[0] @ m.w + h.max(2)[0][..., None],
    "in place": lambda m, h: (h @ m.w).add_(m.w[0]).mul_(m.w).relu_() + h,
    "views written into": lambda m, h: _written(_written((h @ m.w).clone(), 1), -1),
    "views of parameters": lambda m, h: h @ m.w.view(2, 8).t().reshape(4, 4).T.contiguous().mT,
}  # fmt: skip


@pytest.mark.parametrize("way", SIZES)
@pytest.mark.parametrize("name", TWICE)
def test_layers_of_three_dimensions(name: str, way: str) -> None:
    """As many examples, in one of the batches, as steps and as features."""
    module = Apply(
        lambda m, x: m.head(TWICE[name](m, m.first(x).tanh()).tanh().flatten(1)),
        first=nn.Linear(5, 4),
        head=head(16),
        w=nn.Parameter(torch.randn(4, 4)),
    )
    for n, m in (*SIZES[way], (1, 1), (2, 1)):
        problem = problem_of(module, lambda k: rows(k, 4, 5), n, m)
        assert right_or_refused(problem, way) or way == "merged" or "attention" in name


def test_gradient_of_the_input_in_the_loss() -> None:
    """Nodes of a backward pass are among those of the forward pass."""

    def forward(m: Any, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        h = m.head(m.first(x).tanh())
        (g,) = torch.autograd.grad(h.logsumexp(1).sum(), x, create_graph=True)
        return h + g.pow(2).sum(1, keepdim=True) * m.scale  # type: ignore[no-any-return]

    module = Apply(forward, first=nn.Linear(5, 4), head=head(4), scale=nn.Parameter(torch.ones(3)))
    for n, m in SIZES["merged"]:
        problem = problem_of(module, lambda k: rows(k, 5), n, m)
        assert_right(problem, "layerwise")
        right_or_refused(problem, "merged")


# Random graphs. More of them, by hand: python -m tests.meta_gradient.test_axes 0 5000


def compare(seed: int) -> set[str]:
    """Ways that take a random graph, which are held to the truth."""
    torch.manual_seed(seed)
    generator = random.Random(seed)
    shape = [generator.choice([1, 2, 3, 4]) for _ in range(generator.choice([1, 2, 2]))]
    small = [generator.choice([1, 2, 3, 4]) for _ in range(2)]
    sizes = {"layerwise": small, "merged": generator.choice([(4, 1), (8, 2), (5, 1)])}
    taken = set()
    for way, (n, m) in sizes.items():
        module = RandomGraph(seed, generator.choice([3, 6]))
        problem = problem_of(module, lambda k: rows(k, *shape), n, m)
        paths = []
        try:
            for X, _ in (problem.clean_batch, problem.batch, problem.batch):
                module(X)
                paths.append((module.trace, len(module.made)))
        except TORCHS:
            continue  # sizes that do not go together
        if way == "merged":
            both = torch.cat([problem.batch[0], problem.clean_batch[0]])
            with contextlib.suppress(*TORCHS):
                module(both)
            paths.append((module.trace, len(module.made)))
        if paths[0][0] != paths[1][0] or paths[1] != paths[-1]:
            continue  # what is done depends on how many there are
        try:
            assert_right(problem, way, atol=1e-7)
        except (RefusedError, NotImplementedError):
            continue
        except RuntimeError as error:
            if "flash_attention" not in str(error):  # torch's, in forward mode along the examples
                raise
            continue
        taken.add(way)
    return taken


def test_random_graphs() -> None:
    taken = [way for seed in range(120) for way in compare(seed)]
    assert taken.count("layerwise") > 100
    assert taken.count("merged") > 20


if __name__ == "__main__":
    for seed in range(*map(int, sys.argv[1:])):
        try:
            compare(seed)
        except Exception as error:
            print(seed, type(error).__name__, str(error)[:200])
