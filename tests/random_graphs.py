"""Random small modules: what is done to the examples, along which axes, is drawn from a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 3


class RandomGraph(nn.Module):
    """Logits by some operations drawn at random, the same for every batch.

    Parameters are made in the first pass that needs them. Examples may be along any axis at any
    time, may interact, and sizes of axes coincide with their number.
    """

    def __init__(self, seed: int, n_operations: int = 6) -> None:
        super().__init__()
        self.seed, self.n_operations = seed, n_operations
        self.made = nn.ParameterDict()
        self.trace: list[str] = []
        self.shapes: list[tuple[int, ...]] = []

    def parameter(self, name: str, shape: Sequence[int]) -> Tensor:
        """One of a name and a shape; other shapes have others."""
        key = f"{name}_{'x'.join(map(str, shape))}"
        if key not in self.made:
            generator = torch.Generator().manual_seed(self.seed)
            value = torch.randn(*shape, dtype=torch.float64, generator=generator)
            self.made[key] = nn.Parameter(value)
        return self.made[key]  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        draw = Draw(self, random.Random(self.seed))
        self.trace, self.shapes = [], []
        # What is done to the batch itself, no graph shows.
        x = x * draw.broadcast(x[0]) if x.ndim > 1 else x * draw.parameter(1)
        pool = [(x, 0), draw.linear(x, 0)]
        for _ in range(self.n_operations):
            h, axis = pool[-1] if draw.chance(0.7) else draw.one_of(pool)
            operation = draw.one_of(OPERATIONS)
            self.trace.append(f"{operation.__name__} {axis}")
            self.shapes.append((*h.shape,))
            h, axis = operation(draw, h, axis)
            if draw.chance(0.3):
                other, its = draw.one_of(pool)
                if h.movedim(axis, 0).shape == other.movedim(its, 0).shape:
                    h = h + other.movedim(its, axis)
                    self.trace.append("plus")
            pool.append((h if h.ndim < 5 else draw.narrow(h, axis), axis if h.ndim < 5 else 0))
        logits = x.new_zeros(len(x), CLASSES)
        for i, (h, axis) in enumerate(pool[-2:]):
            rows = h.movedim(axis, 0).flatten(1) if h.ndim > 1 else h[:, None]
            logits = logits + rows.tanh() @ self.parameter(f"head{i}", (rows.shape[1], CLASSES))
        return logits


class Draw:
    """Choices, and operations that several others are made of."""

    def __init__(self, module: RandomGraph, rng: random.Random) -> None:
        self.module, self.rng = module, rng
        self.one_of = rng.choice
        self.steps = 0

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def dim(self, h: Tensor) -> int:
        """Any dimension, negative or not."""
        return self.rng.randrange(-h.ndim, h.ndim)

    def other(self, h: Tensor, axis: int) -> int | None:
        """Any dimension but one."""
        left = [d for d in range(h.ndim) if d != axis]
        return self.one_of(left) if left else None

    def parameter(self, *shape: int) -> Tensor:
        """New, or that of another operation of the same shape."""
        self.steps += 1
        name = "shared" if self.chance(0.5) else f"own{self.steps}"
        return self.module.parameter(name, shape)

    def broadcast(self, h: Tensor) -> Tensor:
        """Parameter that goes with a result, along some of its dimensions."""
        shape = [s if self.chance(0.6) else 1 for s in h.shape]
        return self.parameter(*shape[self.rng.randrange(h.ndim) :])

    def linear(self, h: Tensor, axis: int) -> tuple[Tensor, int]:
        """A linear layer of the last dimension, which may be that of the examples."""
        n_outputs = h.shape[-1] if axis == h.ndim - 1 else self.one_of([1, 2, 3, 4])
        weight = self.parameter(n_outputs, h.shape[-1])
        bias = [None, self.parameter(n_outputs), self.parameter(1)][self.rng.randrange(3)]
        return F.linear(h, weight, bias), axis

    def narrow(self, h: Tensor, axis: int) -> Tensor:
        """Of a result with too many dimensions, the examples and two features at most."""
        return h.movedim(axis, 0).flatten(1)[:, :2]


Operation = Callable[[Draw, Tensor, int], tuple[Tensor, int]]
OPERATIONS: list[Operation] = []


def operation(function: Operation) -> Operation:
    OPERATIONS.append(function)
    return function


@operation
def elementwise(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    functions: list[Callable[[Tensor], Tensor]] = [
        torch.tanh, torch.sin, F.gelu, F.silu, F.softplus, F.mish, F.logsigmoid,
        lambda h: F.gelu(h, approximate="tanh"), lambda h: F.leaky_relu(h, -0.2),
        lambda h: F.elu(h, 0.7), lambda h: F.dropout(h, 0.0), lambda h: h.clamp(-1, 0.5),
        lambda h: h.clone().relu_(), lambda h: h * h, lambda h: 2 - h, lambda h: 1 / (1 + h.exp()),
        lambda h: torch.where(h > 0, h, h.sin()), lambda h: h.masked_fill(h > 1, 0.3),
        lambda h: torch.maximum(h, 0.1 - h), lambda h: h.clone().mul_(0.5).add_(h, alpha=2),
    ]  # fmt: skip
    return d.one_of(functions)(h), axis


@operation
def parameters(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    w = d.broadcast(h)
    functions: list[Callable[[Tensor], Tensor]] = [
        lambda h: h + w, lambda h: h * w, lambda h: w - h, lambda h: torch.add(h, w, alpha=-2),
        lambda h: h * (1 + w), lambda h: h * (w * w).exp(), lambda h: torch.lerp(h, w, 0.3),
        lambda h: h / (2 + w.tanh()), lambda h: h + w.expand(h.shape), lambda h: h - w.mean(),
        lambda h: torch.addcmul(h, w, h, value=0.5), lambda h: torch.where(h > 0, h, w),
        lambda h: h.clone().mul_(w), lambda h: h + (w * h).softmax(-1),
    ]  # fmt: skip
    return d.one_of(functions)(h), axis


@operation
def along(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    dim = d.dim(h)
    functions: list[Callable[[Tensor], Tensor]] = [
        lambda h: h.softmax(dim), lambda h: h.log_softmax(dim), lambda h: h.cumsum(dim),
        lambda h: h.flip(dim), lambda h: h.roll(1, dim), lambda h: h.sort(dim).values,
        lambda h: h.gather(dim, torch.zeros_like(h, dtype=torch.int64)), lambda h: h.cumprod(dim),
        lambda h: torch.stack(h.unbind(dim)[::-1], dim),
        lambda h: torch.cat(h.chunk(2, dim)[::-1], dim), lambda h: h.roll(1),
        lambda h: torch.cat(torch.split(h, [1, h.shape[dim] - 1], dim)[::-1], dim),
        lambda h: torch.cat([h, h.narrow(dim, 0, 1)], dim).narrow(dim, 1, h.shape[dim]),
        lambda h: h.index_select(dim, torch.zeros(h.shape[dim], dtype=torch.int64)),
        lambda h: h.cummax(dim).values,
    ]  # fmt: skip
    return d.one_of(functions)(h), axis


def _statistics(h: Tensor, dims: int | tuple[int, ...], which: int, keep: bool) -> Tensor:
    dim = dims if isinstance(dims, int) else dims[0]
    functions: list[Callable[[], Tensor]] = [
        lambda: h.mean(dims, keepdim=keep), lambda: h.sum(dims, keepdim=keep),
        lambda: h.amax(dims, keepdim=keep), lambda: h.logsumexp(dims, keepdim=keep),
        lambda: torch.linalg.vector_norm(h + 3, dim=dims, keepdim=keep),
        lambda: h.var(dims, unbiased=False, keepdim=keep), lambda: h.max(dim, keepdim=keep).values,
        lambda: h.min(dim, keepdim=keep).values, lambda: h.prod(dim, keepdim=keep),
        lambda: h.median(dim, keepdim=keep).values,
        lambda: torch.aminmax(h, dim=dim, keepdim=keep).max,
        lambda: torch.var_mean(h, dim, correction=0, keepdim=keep)[1],
        lambda: (h + 3).norm(3, dims, keepdim=keep),
    ]  # fmt: skip
    return functions[which % len(functions)]()


@operation
def against_statistics(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    """Along any axes, those of the examples too."""
    first, second, which = d.dim(h), d.dim(h), d.rng.randrange(13)
    dims = first if first % h.ndim == second % h.ndim or d.chance(0.6) else (first, second)
    return h - _statistics(h, dims, which, keep=True), axis


@operation
def reduced(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    dim, which = d.other(h, axis), d.rng.randrange(16)
    if dim is None or h.ndim < 3:
        return h, axis
    signed = dim - h.ndim if d.chance(0.5) else dim
    result = _statistics(h, signed, which, keep=False) if which < 13 else h.select(signed, -1)
    return result, axis - (dim < axis)


@operation
def linear(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    return d.linear(h, axis)


@operation
def products(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    """Of matrices, the examples along rows, columns, or the batch."""
    if h.ndim not in (2, 3):
        return h.matmul(d.parameter(h.shape[-1], h.shape[-1])), axis
    left, right = (d.parameter(s, s) for s in h.shape[-2:])
    both = h @ h.transpose(-2, -1)
    functions: list[Callable[[Tensor], Tensor]] = [
        lambda h: left @ h, lambda h: h @ right, lambda h: both @ h, lambda h: left @ h @ right,
        lambda h: both.softmax(-1) @ h, lambda h: h @ (right + right.T),
        lambda h: torch.baddbmm(h, h, right.expand(len(h), *right.shape), beta=0.5, alpha=-2)
        if h.ndim == 3 else torch.addmm(h, left, h, beta=0.5, alpha=-2),
        lambda h: torch.addmm(d.broadcast(h), h, right, beta=2) if h.ndim == 2 else h @ right,
        lambda h: torch.einsum("...ij,jk->...ik", h, right),
    ]  # fmt: skip
    return d.one_of(functions)(h), axis


@operation
def moved(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    order = list(range(h.ndim))
    d.rng.shuffle(order)
    return h.permute(order), order.index(axis)


@operation
def transposed(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    a, b = d.dim(h), d.dim(h)
    a, b = a % h.ndim, b % h.ndim
    return h.transpose(a, b - h.ndim), {a: b, b: a}.get(axis, axis)


@operation
def new_dimension(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    """By copies, or by other results."""
    dim, size = d.rng.randrange(h.ndim + 1), d.one_of([1, 2, 3, 4])
    which = d.rng.randrange(3)
    if which == 0:
        shape = [*h.shape[:dim], size, *h.shape[dim:]]
        h = h.unsqueeze(dim).expand(shape)
    elif which == 1:
        h = torch.stack([h, h.sin(), d.broadcast(h).expand(h.shape)], dim)
    else:
        h = h.unsqueeze(dim).repeat_interleave(size, dim)
    return h, axis + (dim <= axis)


@operation
def in_another_shape(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    """Something is done where two dimensions are one, or one is cut in two."""
    if h.ndim < 2:
        return h, axis
    first = d.rng.randrange(h.ndim - 1)
    shape = h.shape
    flat = h.flatten(first, first + 1)
    which = d.one_of([elementwise, along, along, against_statistics, parameters, linear])
    if which is linear and h.ndim - 1 in (first + 1, axis):
        which = elementwise
    flat, _ = which(d, flat, flat.ndim)
    if flat.numel() != math.prod(shape):
        shape = torch.Size([*shape[:-1], flat.shape[-1]])
    return flat.reshape(shape), axis


@operation
def norms(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    over = h.shape[d.rng.randrange(h.ndim) :]
    weight, bias = d.parameter(*over), d.parameter(*over)
    which = d.rng.randrange(4)
    if which == 0:
        return F.layer_norm(h, over, weight, bias, eps=0.1), axis
    if which == 1:
        return F.rms_norm(h, over, weight, eps=0.1), axis
    if h.ndim < 3 or h.shape[1] == 1:
        return h, axis
    weight, bias = d.parameter(h.shape[1]), d.parameter(h.shape[1])
    if which == 2:
        return F.group_norm(h, 1, weight, bias, eps=0.1), axis
    mean = torch.zeros(h.shape[1]).to(h)
    h = h.contiguous()  # of other batches of one, torch 2.13 itself is wrong
    return F.batch_norm(h, mean, mean + 1, weight, bias, training=False), axis


@operation
def convolution(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    """Of three dimensions, the first may be the batch; or there is none."""
    if h.ndim not in (2, 3):
        return h, axis
    channels = h.shape[-2]
    weight = d.parameter(channels, channels, 3)
    bias = d.parameter(channels) if d.chance(0.5) else None
    if d.chance(0.3):
        return F.conv_transpose1d(h, weight, bias, padding=1), axis
    return F.conv1d(h, weight, bias, padding=1), axis


@operation
def windows(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    if h.ndim not in (2, 3):
        return h, axis
    functions: list[Callable[[Tensor], Tensor]] = [
        lambda h: F.max_pool1d(h, 3, 1, 1), lambda h: F.avg_pool1d(h, 3, 1, 1),
        lambda h: F.pad(h, (1, 0))[..., :-1], lambda h: F.pad(h, (0, 0, 1, -1)),
        lambda h: F.adaptive_avg_pool1d(h, h.shape[-1]),
        lambda h: F.pad(h, (1, 0), mode="replicate")[..., 1:],
    ]  # fmt: skip
    return d.one_of(functions)(h), axis


@operation
def attention(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    if h.ndim not in (3, 4):
        return h, axis
    weight = d.parameter(h.shape[-1], h.shape[-1])
    length, which = h.shape[-2], d.rng.randrange(4)
    mask = None
    if which == 1:
        mask = d.parameter(length, length)
    if which == 2:
        mask = h.mean(-1, keepdim=True).expand(*h.shape[:-1], length)
    values = F.scaled_dot_product_attention(h @ weight, h, h.sin(), mask, is_causal=which == 3)
    return values, axis


@operation
def written(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    """In place, into views, and into views of views."""
    h, dim = h.clone(), d.dim(h)
    which = d.rng.randrange(4)
    if which == 0:
        h.select(dim, 0).mul_(0.5)
    elif which == 1:
        h.narrow(dim, 0, 1).add_(d.parameter(1))
    elif which == 2:
        h.transpose(0, -1)[..., :1].copy_(h.transpose(0, -1)[..., -1:].clone().sin())
    else:
        h.view(-1)[::2].tanh_()
    return h, axis


@operation
def function_of_parameters(d: Draw, h: Tensor, axis: int) -> tuple[Tensor, int]:
    """A weight that is normalised, of low rank, tied, or scaled."""
    k = h.shape[-1]
    a, b = d.parameter(k, k), d.parameter(k, 2)
    functions: list[Callable[[], Tensor]] = [
        lambda: a / a.norm(dim=0, keepdim=True), lambda: a + b @ b.T, lambda: a.T,
        lambda: a - a.mean(1, keepdim=True), lambda: a * 0.5, lambda: (b @ b.T).softmax(0),
        lambda: torch.cat([a[1:], a[:1]]), lambda: torch.stack(a.unbind(1)), lambda: a.flip(0),
    ]  # fmt: skip
    return h @ d.one_of(functions)(), axis
