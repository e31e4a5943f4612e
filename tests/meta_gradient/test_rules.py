"""Every rule of forward mode is the Jacobian-vector product, for odd arguments too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sklearn_l2rw.meta_gradient.graph import inputs_first, push_forward
from sklearn_l2rw.meta_gradient.rules import RULES

f64, c128 = torch.float64, torch.complex128
MEAN, VAR = torch.tensor([0.5, -1.0, 2.0], dtype=f64), torch.tensor([0.5, 1.0, 2.0], dtype=f64)
STEP = 1e-6


def x(*shape: int, dtype: torch.dtype = f64) -> Tensor:
    return torch.randn(shape, dtype=dtype)


def shapes(*given: tuple[int, ...], dtype: torch.dtype = f64) -> Callable[[], list[Tensor]]:
    return lambda: [x(*shape, dtype=dtype) for shape in given]


def positive(*shape: int) -> Callable[[], list[Tensor]]:
    return lambda: [x(*shape).abs() + 0.5]


def norm(training: bool, weight: bool = True, bias: bool = True) -> Callable[..., Tensor]:
    def function(h: Tensor, w: Tensor, b: Tensor) -> Tensor:
        both = w if weight else None, b if bias else None
        return F.batch_norm(h, MEAN.clone(), VAR.clone(), *both, training, eps=0.1)

    return function


def written(h: Tensor) -> Tensor:
    h = h.clone()
    h[:, 1:].mul_(h[:, :1].clone())
    h[0].zero_()
    h.t().relu_()
    return h


NODES: dict[str, tuple[Callable[..., Any], Callable[[], list[Tensor]]]] = {
    "Add": (lambda a, b: torch.add(a, b, alpha=-2.5), shapes((3, 4), (2, 1, 4))),
    "Add of a number": (lambda a: 2 + a, shapes((3, 4))),
    "Add in place": (lambda a, b: a.clone().add_(b, alpha=3), shapes((3, 4), (4,))),
    "Add to itself": (lambda a: a + a, shapes((3, 4))),
    "Add, complex": (
        lambda a, b: torch.add(a, b, alpha=1 - 2j), shapes((3,), (2, 3), dtype=c128)
    ),
    "Sub": (lambda a, b: torch.sub(a, b, alpha=-2.5), shapes((1, 4), (2, 3, 1))),
    "Sub from a number": (lambda a: 2 - a, shapes((3, 4))),
    "Mul": (lambda a, b: a * b, shapes((3, 1), (2, 1, 4))),
    "Mul by a number": (lambda a: a * 0.3, shapes((3, 1))),
    "Mul by itself": (lambda a: a * a, shapes((3, 1))),
    "Mul by a constant": (lambda a: MEAN * a, shapes((4, 1))),
    "Mul in place": (lambda a, b: a.clone().mul_(b), shapes((3, 4), (4,))),
    "Mul, complex": (lambda a, b: a * b, shapes((3, 1), (2, 3, 2), dtype=c128)),
    "Bmm": (torch.bmm, shapes((2, 3, 4), (2, 4, 5))),
    "Bmm, complex": (torch.bmm, shapes((2, 3, 4), (2, 4, 5), dtype=c128)),
    "Baddbmm": (
        lambda a, b, c: torch.baddbmm(a, b, c, beta=-2, alpha=0.5),
        shapes((1, 5), (2, 3, 4), (2, 4, 5)),
    ),
    "Addmm": (
        lambda a, b, c: torch.addmm(a, b, c, beta=-2, alpha=0.5), shapes((5,), (3, 4), (4, 5))
    ),
    "Addmm of a column": (torch.addmm, shapes((3, 1), (3, 4), (4, 5))),
    "Addmm of a number": (torch.addmm, shapes((), (3, 4), (4, 5))),
    "Addmm, beta 0": (
        lambda a, b, c: torch.addmm(a, b, c, beta=0, alpha=3), shapes((5,), (3, 4), (4, 5))
    ),
    "Addmm, complex": (
        lambda a, b, c: torch.addmm(a, b, c, beta=2j, alpha=0.5),
        shapes((5,), (3, 4), (4, 5), dtype=c128),
    ),
    "Addmm by itself": (lambda a: torch.addmm(a, a, a, beta=3, alpha=2), shapes((3, 3))),
    "Mm": (torch.mm, shapes((3, 4), (4, 5))),
    "Mm by itself": (lambda a: torch.mm(a, a), shapes((3, 3))),
    "Mm, complex": (torch.mm, shapes((3, 4), (4, 5), dtype=c128)),
    "Mv": (torch.mv, shapes((3, 4), (4,))),
    "View": (lambda a: a.view(2, -1), shapes((3, 4))),
    "Reshape": (lambda a: a.T.reshape(2, -1), shapes((3, 4))),
    "Unsqueeze": (lambda a: a.unsqueeze(-1), shapes((3, 4))),
    "Squeeze": (lambda a: a.squeeze(-1).squeeze(), shapes((1, 3, 1))),
    "Expand": (lambda a: a.expand(2, 3, -1), shapes((3, 1))),
    "Permute": (lambda a: a.permute(-1, 0, -2), shapes((2, 3, 4))),
    "Transpose": (lambda a: a.transpose(0, -1), shapes((2, 3, 4))),
    "T": (lambda a: a.t(), shapes((3, 4))),
    "T, complex": (lambda a: a.t(), shapes((3, 4), dtype=c128)),
    "T of a vector": (lambda a: a.t() * 2, shapes((3,))),
    "Select": (lambda a: a.select(-2, -1), shapes((2, 3, 4))),
    "Unbind": (lambda a: a.unbind(-2), shapes((2, 3, 4))),
    "Sum": (lambda a: a.sum((0, -1)), shapes((2, 3, 4))),
    "Sum, keepdim": (lambda a: a.sum(-2, keepdim=True), shapes((2, 3, 4))),
    "Sum of all": (lambda a: a.sum(), shapes((2, 3))),
    "Sum over no dimension": (lambda a: a.sum(()), shapes((2, 3))),
    "Sum of all, keepdim": (lambda a: a.sum((0, 1), keepdim=True), shapes((2, 3))),
    "Mean": (lambda a: a.mean((0, -1)), shapes((2, 3, 4))),
    "Mean over no dimension": (lambda a: a.mean(()), shapes((2, 3))),
    "Mean, keepdim": (lambda a: a.mean(-2, keepdim=True), shapes((2, 3, 4))),
    "Mean of all": (lambda a: a.mean(), shapes((2, 3))),
    "LogSoftmax": (lambda a: a.log_softmax(-2), shapes((2, 3, 4))),
    "LogSoftmax of a number": (lambda a: a.log_softmax(0), shapes(())),
    "Softmax": (lambda a: a.softmax(-2), shapes((2, 3, 4))),
    "Split": (lambda a: a.split(2, -1), shapes((2, 5))),
    "Split with sizes": (lambda a: a.split([1, 4], -1), shapes((2, 5))),
    "Unsafe split": (lambda a: a.unsafe_split(2, 0), shapes((5, 2))),
    "Chunk": (lambda a: a.chunk(3, 0), shapes((5, 2))),
    "Convolution": (
        lambda h, w, b: F.conv2d(h, w, b, (2, 1), (1, 0), (1, 2), 2),
        shapes((2, 4, 6, 7), (6, 2, 3, 2), (6,)),
    ),
    "Convolution, transposed": (
        lambda h, w, b: F.conv_transpose2d(h, w, b, 2, 1, (1, 0), 2, 1),
        shapes((2, 4, 3, 3), (4, 3, 2, 3), (6,)),
    ),
    "Convolution of one": (lambda h, w, b: F.conv1d(h, w, b), shapes((4, 6), (3, 4, 2), (3,))),
    "Convolution, complex": (
        lambda h, w: F.conv1d(h, w), shapes((2, 2, 6), (3, 2, 2), dtype=c128)
    ),
    "Batch norm": (norm(training=True), shapes((5, 3, 2), (3,), (3,))),
    "Batch norm, evaluated": (norm(training=False), shapes((5, 3, 2), (3,), (3,))),
    "Batch norm without bias": (norm(True, True, False), shapes((5, 3), (3,), (3,))),
    "Batch norm without weight": (norm(True, False), shapes((5, 3, 2), (3,), (3,))),
    "Batch norm, evaluated, without weight": (norm(False, False), shapes((5, 3), (3,), (3,))),
    "Batch norm, plain": (norm(False, False, False), shapes((5, 3), (3,), (3,))),
    "Instance norm": (
        lambda h, w, b: F.instance_norm(h, None, None, w, b), shapes((2, 3, 4), (3,), (3,))
    ),
    "Layer norm": (
        lambda h, w, b: F.layer_norm(h, (3, 4), w, b), shapes((2, 3, 4), (3, 4), (3, 4))
    ),
    "Max pool": (
        lambda h: F.max_pool2d(h, (3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True),
        shapes((2, 3, 7, 6)),
    ),
    "Max pool of one": (lambda h: F.max_pool2d(h, 2), shapes((3, 5, 4))),
    "Max pool 1d": (lambda h: F.max_pool1d(h, 3, 2, 1, 1, True), shapes((3, 7))),
    "Embedding": (lambda e: F.embedding(torch.tensor([[1, 0], [1, 4]]), e), shapes((5, 3))),
    "Relu": (F.relu, shapes((3, 4))),
    "Relu in place": (lambda a: (a * 2).relu_(), shapes((3, 4))),
    "Sigmoid": (torch.sigmoid, shapes((3, 4))),
    "Sigmoid, complex": (torch.sigmoid, shapes((3, 4), dtype=c128)),
    "Tanh": (torch.tanh, shapes((3, 4))),
    "Tanh, complex": (torch.tanh, shapes((3, 4), dtype=c128)),
    "Gelu": (F.gelu, shapes((3, 4))),
    "Gelu, tanh": (lambda a: F.gelu(a, approximate="tanh"), shapes((3, 4))),
    "Silu": (F.silu, shapes((3, 4))),
    "LeakyRelu": (lambda a: F.leaky_relu(a, -0.7), shapes((3, 4))),
    "LeakyRelu in place": (lambda a: F.leaky_relu_(a * 2, 0.7), shapes((3, 4))),
    "Elu": (lambda a: F.elu(a, 0.3), shapes((3, 4))),
    "Elu in place": (lambda a: F.elu_(a * 2, 0.3), shapes((3, 4))),
    "Selu": (F.selu, shapes((3, 4))),
    "Celu": (lambda a: F.celu(a, 0.3), shapes((3, 4))),
    "Hardsigmoid": (lambda a: F.hardsigmoid(4 * a), shapes((3, 4))),
    "Hardswish": (lambda a: F.hardswish(4 * a), shapes((3, 4))),
    "Hardtanh": (lambda a: F.hardtanh(a, -0.3, 0.9), shapes((3, 4))),
    "Mish": (F.mish, shapes((3, 4))),
    "Softplus": (lambda a: F.softplus(a, -2.0, 0.5), shapes((3, 4))),
    "LogSigmoid": (F.logsigmoid, shapes((3, 4))),
    "Neg": (torch.neg, shapes((3, 4))),
    "Exp": (torch.exp, shapes((3, 4))),
    "Exp, complex": (torch.exp, shapes((3, 4), dtype=c128)),
    "Sqrt": (torch.sqrt, positive(3, 4)),
    "Sqrt, complex": (torch.sqrt, shapes((3, 4), dtype=c128)),
    "Rsqrt": (torch.rsqrt, positive(3, 4)),
    "Dropout": (lambda a: F.dropout(a, 0.4), shapes((3, 4))),
    "Dropout of nothing": (lambda a: F.dropout(2 * a, 0.0), shapes((3, 4))),
    "Dropout of all": (lambda a: F.dropout(a, 1.0), shapes((3, 4))),
    "Native dropout": (lambda a: torch.native_dropout(a, 0.4, True), shapes((3, 4))),
    "Native dropout of all": (lambda a: torch.native_dropout(a, 1.0, True), shapes((3, 4))),
    "Reshape, alias": (
        lambda a: torch.ops.aten._reshape_alias(a, (2, 6), (6, 1)), shapes((3, 4))
    ),
    # by no rule of their own
    "Cat": (lambda a, b: torch.cat([a, b, a], -1), shapes((2, 3), (2, 1))),
    "Stack": (lambda a, b: torch.stack([a, b], -1), shapes((2, 3), (2, 3))),
    "Index": (lambda a: a[torch.tensor([0, 0, 1]), 1:], shapes((2, 3))),
    "Sort": (lambda a: a.sort(0), shapes((4, 3))),
    "Topk": (lambda a: a.topk(2, -1), shapes((4, 3))),
    "Var and mean": (lambda a: torch.var_mean(a, -1), shapes((4, 3))),
    "Aminmax": (lambda a: torch.aminmax(a, dim=0), shapes((4, 3))),
    "Prod": (lambda a: a.prod(-1, keepdim=True), shapes((4, 3))),
    "Norm": (lambda a: a.norm(3, -1), shapes((4, 3))),
    "Power": (torch.pow, lambda: [x(4).abs() + 1, x(3, 1)]),
    "Complex": (lambda a: torch.view_as_real(torch.complex(a, a * a).exp()), shapes((4, 3))),
    "Absolute value, complex": (torch.abs, shapes((4, 3), dtype=c128)),
    "Views written into": (written, shapes((3, 4))),
}  # fmt: skip
OTHERS = {"CudnnBatchNormBackward0"}  # not on a CPU


def inputs_of(name: str) -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(1)
    given = NODES[name][1]()
    return given, [torch.randn_like(t) for t in given]


def computed(name: str, inputs: list[Tensor]) -> list[Tensor]:
    torch.manual_seed(2)  # for dropout
    found = NODES[name][0](*inputs)
    tensors = found if isinstance(found, tuple) else (found,)
    return [t for t in tensors if t.is_floating_point() or t.is_complex()]


def difference(name: str, inputs: list[Tensor], tangents: list[Tensor]) -> list[Tensor]:
    """Tangents of the outputs, by a central difference."""
    ends = [
        computed(name, [t + h * d for t, d in zip(inputs, tangents, strict=True)])
        for h in (STEP, -STEP)
    ]
    return [(a - b) / (2 * STEP) for a, b in zip(*ends, strict=True)]


@pytest.mark.parametrize("name", NODES)
def test_tangents_are_those_of_a_difference(name: str) -> None:
    """Of all inputs together, and of each alone, others without a gradient or without a tangent."""
    given, tangents = inputs_of(name)
    nothing = [torch.zeros_like(t) for t in tangents]
    everything = [True] * len(given)
    alone = [[i == k for i in range(len(given))] for k in range(len(given))]
    for moving in (everything, *alone):
        along = [t if m else z for t, z, m in zip(tangents, nothing, moving, strict=True)]
        expected = difference(name, given, along)
        for needed in (everything, moving):
            leaves = [t.clone().requires_grad_(n) for t, n in zip(given, needed, strict=True)]
            seeds = {leaf: t for leaf, t, m in zip(leaves, tangents, moving, strict=True) if m}
            kept = [t.clone() for t in tangents]
            for result, right in zip(computed(name, leaves), expected, strict=True):
                pushed = push_forward(result, seeds)
                assert pushed.shape == result.shape
                torch.testing.assert_close(pushed, right, rtol=1e-6, atol=1e-7)
            assert all(map(torch.equal, tangents, kept)), "tangents were written into"


def test_every_rule_is_held_to_a_difference() -> None:
    seen = set(OTHERS)
    for name in NODES:
        leaves = [t.requires_grad_() for t in inputs_of(name)[0]]
        for result in computed(name, leaves):
            if result.grad_fn is not None:
                seen |= {node.name() for node in inputs_first(result.grad_fn)}
    assert sorted(RULES.keys() - seen) == []


def test_embedding_whose_gradient_is_scaled() -> None:
    """Its backward is not that of its forward: no tangent is right."""
    table = x(5, 3).requires_grad_()
    rows = F.embedding(torch.tensor([1, 1]), table, scale_grad_by_freq=True)
    with pytest.raises(NotImplementedError, match="frequencies"):
        push_forward(rows, {table: x(5, 3)})


class Product(torch.autograd.Function):
    """a * b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, nothing: Any = None) -> Tensor:
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        a, b = ctx.saved_tensors
        return grad_outputs[0] * b, grad_outputs[0] * a, None


def apply(*given: Any) -> Tensor:
    return Product.apply(*given)  # type: ignore[no-any-return, no-untyped-call]


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: apply(a, b),
        lambda a, b: apply(b, b),
        lambda a, b: apply(b.exp(), b),
        lambda a, b: apply(b, b.exp(), 1),
        lambda a, b: apply(a.detach(), b.exp()),
        lambda a, b: apply(apply(a, b), apply(b, a)),
    ],
)
def test_functions_of_the_users_whose_inputs_depend_on_each_other(
    function: Callable[[Tensor, Tensor], Tensor],
) -> None:
    given, tangents = [x(3), x(3)], [x(3), x(3)]
    leaves = [t.clone().requires_grad_() for t in given]
    found = push_forward(function(*leaves), dict(zip(leaves, tangents, strict=True)))
    first = given[0] if "detach" in str(function.__code__.co_names) else None
    ends = []
    for h in (STEP, -STEP):
        a, b = (t + h * d for t, d in zip(given, tangents, strict=True))
        ends.append(function(a if first is None else first, b))
    torch.testing.assert_close(found, (ends[0] - ends[1]) / (2 * STEP), rtol=1e-6, atol=1e-7)
