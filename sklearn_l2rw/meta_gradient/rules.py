"""How each operation of a recorded graph moves tangents: rules ``t -> J t`` by name.

A node knows its backward, ``g -> J^T g``. Three kinds of rules give ``t -> J t`` from it:

- costly nodes (convolution, matrix product), and very common ones, have a formula;
- where ``J`` is symmetric (elementwise functions, softmax, and BatchNorm up to its scale and
  shift), the backward is the answer;
- for any other node, ``J t`` is the gradient of ``<J^T g, t>`` by ``g``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

Optional = Tensor | None
Rule = Callable[[Any, Sequence[Optional]], Sequence[Optional]]


def shape_of(node: Any, out: int = 0) -> tuple[int, ...]:
    """Shape of an output of a node."""
    return tuple(node._input_metadata[out].shape)


def signed(dim: int) -> int:
    """Dimension that torch has saved, negative ones as unsigned numbers."""
    return dim - 2**64 if dim >= 2**63 else dim


def add(a: Optional, b: Optional) -> Optional:
    """``a + b`` in the memory of `a`, where None stands for zero."""
    if a is None or b is None:
        return b if a is None else a
    return a.add_(b) if a.shape == b.shape else a + b


def call(node: Any, *cotangents: Optional) -> tuple[Optional, ...]:
    """Backward of one node, ``J^T g``: one result for each input.

    A result may still have dimensions that the node broadcasts its input over.
    """
    cotangents += (None,) * (len(node._input_metadata) - len(cotangents))
    if callable(node):
        found = node(*cotangents)
        return found if isinstance(found, tuple) else (found,)
    # A torch.autograd.Function of the user's: only the engine can call it. What it returns is
    # caught at the node, as some of its inputs may depend on others.
    caught: list[tuple[Optional, ...]] = []
    hook = node.register_hook(lambda by_inputs, _: caught.append(by_inputs))
    given = [(GradientEdge(node, i), g) for i, g in enumerate(cotangents) if g is not None]
    edges = [GradientEdge(*edge) for edge in node.next_functions if edge[0] is not None]
    outputs, seeds = zip(*given, strict=True)
    try:
        torch.autograd.grad(
            outputs, edges, seeds, retain_graph=True, create_graph=torch.is_grad_enabled(),
            allow_unused=True,
        )  # fmt: skip
    finally:
        hook.remove()
    return caught[0]


def convolution(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``x * W + b``: ``x' * W + x * W' + b'``."""
    x, weight, bias = tangents
    arguments = (
        node._saved_stride,
        node._saved_padding,
        node._saved_dilation,
        node._saved_transposed,
        node._saved_output_padding,
        node._saved_groups,
    )
    through = None if x is None else torch.convolution(x, node._saved_weight, None, *arguments)
    if weight is not None:
        through = add(torch.convolution(node._saved_input, weight, bias, *arguments), through)
    elif bias is not None:
        bias = bias.view(-1, *[1] * (len(node._input_metadata[0].shape) - 2))
        full = bias.expand(shape_of(node))
        through = full if through is None else through.add_(full)
    return (through,)


def addmm(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``beta b + alpha A B``: ``beta b' + alpha (A' B + A B')``."""
    bias, left, right = tangents
    beta, alpha = node._saved_beta, node._saved_alpha
    given = next(t for t in tangents if t is not None)
    out = given.new_zeros(()) if bias is None else bias
    out = out.expand(shape_of(node))
    if right is not None:
        out, beta = torch.addmm(out, node._saved_mat1, right, beta=beta, alpha=alpha), 1
    if left is not None:
        out, beta = torch.addmm(out, left, node._saved_mat2, beta=beta, alpha=alpha), 1
    return (out if beta == 1 else out * beta,)


def mm(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``A B``: ``A' B + A B'``."""
    left, right = tangents
    out = None if left is None else left @ node._saved_mat2
    if right is not None:
        saved = node._saved_self
        out = saved @ right if out is None else torch.addmm(out, saved, right)
    return (out,)


def batch_norm(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``w (x - mean) / std + b``: its Jacobian by ``x`` is symmetric, also in training mode."""
    x, weight, bias = tangents
    out = None if x is None else call(node, x)[0]
    if weight is None and bias is None:
        return (out,)
    saved = node._saved_input
    shape = (1, -1, *[1] * (saved.ndim - 2))
    mean, scale = node._saved_result1, node._saved_result2
    if not node._saved_training:
        mean, scale = node._saved_running_mean, (node._saved_running_var + node._saved_eps).rsqrt()
    shift = torch.zeros_like(mean) if bias is None else bias
    if weight is not None:
        scale = scale * weight
        shift = (shift - mean * scale).view(shape)
        out = shift.expand_as(saved).clone() if out is None else out.add_(shift)
        return (out.addcmul_(saved, scale.view(shape)),)
    return (add(out, shift.view(shape).expand_as(saved)),)


def max_pool(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Maxima over windows: the tangents at their places."""
    x = tangents[0]
    assert x is not None  # the only input
    index = node._saved_result1
    return (x.flatten(-2).gather(-1, index.flatten(-2)).view_as(index),)


def symmetric(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """An elementwise function, or a matrix transposed: moves tangents as its backward does.

    Up to conjugation, where numbers are complex.
    """
    (x,) = tangents
    assert x is not None  # the only input
    found = call(node, x.conj())[0]
    return (None if found is None else found.conj(),)


def transposed(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Any node: ``J t`` is the gradient of ``<J^T g, t>`` by ``g``, at any ``g``."""
    given = next(t for t in tangents if t is not None)
    with torch.enable_grad():
        cotangents = [
            given.new_zeros((), dtype=m.dtype, device=m.device)
            .expand(tuple(m.shape))
            .requires_grad_(m.dtype.is_floating_point or m.dtype.is_complex)
            for m in node._input_metadata
        ]
        backward = call(node, *cotangents)
        pairs = [
            (b.sum_to_size(t.shape), t)
            for b, t in zip(backward, tangents, strict=True)
            if t is not None and b is not None and b.requires_grad
        ]
    wanted = [g for g in cotangents if g.requires_grad]
    if not pairs:
        return [None] * len(cotangents)
    outputs, seeds = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(outputs, wanted, seeds, allow_unused=True))
    return [next(found) if g.requires_grad else None for g in cotangents]


def plus(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``x + alpha y``: ``x' + alpha y'``."""
    return (_sum(node, tangents[0], tangents[1], node._saved_alpha),)


def minus(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``x - alpha y``: ``x' - alpha y'``."""
    return (_sum(node, tangents[0], tangents[1], -node._saved_alpha),)


def _sum(node: Any, x: Optional, y: Optional, alpha: Any) -> Optional:
    if y is not None:
        y = y if alpha == 1 else y * alpha
        x = y if x is None else x + y
    return None if x is None else x.expand(shape_of(node))


def times(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``x y``: ``x' y + x y'``."""
    x, y = tangents
    by_x = None if x is None else x * node._saved_other
    by_y = None if y is None else y * node._saved_self
    return (_sum(node, by_x, by_y, 1),)


def bmm(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``A B``, a batch of matrices: ``A' B + A B'``."""
    left, right = tangents
    out = None if left is None else torch.bmm(left, node._saved_mat2)
    if right is not None:
        saved = node._saved_self
        out = torch.bmm(saved, right) if out is None else torch.baddbmm(out, saved, right)
    return (out,)


def reshaped(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Reshape tangents as the function did its input."""
    (x,) = tangents
    return (None if x is None else x.reshape(shape_of(node)),)


def split(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Split tangents as the function did its input."""
    (x,) = tangents
    if x is None:
        return [None] * len(node._input_metadata)
    dim = node._saved_dim
    return torch.split(x, node._saved_split_size, signed(dim))


def expanded(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Expand tangents as the function did its input."""
    (x,) = tangents
    return (None if x is None else x.expand(shape_of(node)),)


def permuted(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Permute tangents as the function did its input."""
    (x,) = tangents
    return (None if x is None else x.permute([signed(dim) for dim in node._saved_dims]),)


def swapped(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Exchange two dimensions of tangents."""
    (x,) = tangents
    pair = signed(node._saved_dim0), signed(node._saved_dim1)
    return (None if x is None else x.transpose(*pair),)


def selected(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``x[..., i, ...]``."""
    (x,) = tangents
    index = signed(node._saved_dim), signed(node._saved_index)
    return (None if x is None else x.select(*index),)


def unbound(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``x.unbind(dim)``."""
    (x,) = tangents
    if x is None:
        return [None] * len(node._input_metadata)
    return x.unbind(signed(node._saved_dim))


def summed(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Sum over dimensions."""
    (x,) = tangents
    dims = [signed(dim) for dim in node._saved_dim or ()]
    return (None if x is None else x.sum(dims or None, keepdim=node._saved_keepdim),)


def averaged(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Mean over dimensions."""
    (x,) = tangents
    dims = [signed(dim) for dim in node._saved_dim or ()]
    return (None if x is None else x.mean(dims or None, keepdim=node._saved_keepdim),)


def log_softmax(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """``x' - <softmax(x), x'>``."""
    (x,) = tangents
    if x is None:
        return (None,)
    return (x - (node._saved_result.exp() * x).sum(signed(node._saved_dim), keepdim=True),)


def embedded(node: Any, tangents: Sequence[Optional]) -> Sequence[Optional]:
    """Rows of a table, whose gradient is the transposed of that: not if divided by counts."""
    if node._saved_scale_grad_by_freq:
        raise NotImplementedError("an embedding scales its gradient by the words' frequencies")
    return transposed(node, tangents)


RULES: dict[str, Rule] = {
    "EmbeddingBackward0": embedded,
    "AddBackward0": plus,
    "SubBackward0": minus,
    "MulBackward0": times,
    "BmmBackward0": bmm,
    **dict.fromkeys(
        (f"{name}Backward0" for name in ("View", "UnsafeView", "ReshapeAlias", "Unsqueeze")),
        reshaped,
    ),
    "ExpandBackward0": expanded,
    "PermuteBackward0": permuted,
    "TransposeBackward0": swapped,
    "SelectBackward0": selected,
    "UnbindBackward0": unbound,
    "SumBackward1": summed,
    "MeanBackward1": averaged,
    "LogSoftmaxBackward0": log_softmax,
    "SplitBackward0": split,
    "UnsafeSplitBackward0": split,
    "ConvolutionBackward0": convolution,
    "AddmmBackward0": addmm,
    "MmBackward0": mm,
    "NativeBatchNormBackward0": batch_norm,
    "CudnnBatchNormBackward0": batch_norm,
    "MaxPool2DWithIndicesBackward0": max_pool,
    **dict.fromkeys(
        (
            f"{name}Backward0"
            for name in (
                "T", "Relu", "Sigmoid", "Tanh", "Gelu", "Silu", "LeakyRelu", "Elu", "Celu",
                "Hardsigmoid", "Hardswish", "Hardtanh", "Mish", "Softplus", "LogSigmoid", "Neg",
                "Exp", "Sqrt", "Rsqrt", "Softmax", "NativeDropout",
            )
        ),
        symmetric,
    ),
}  # fmt: skip
"""By the name of a node; others are `transposed`."""
