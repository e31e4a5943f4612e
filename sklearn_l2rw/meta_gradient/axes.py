"""Where the examples are in each result of a recorded graph: along which axis, and where there.

In the losses (n,) they are along the only axis. From there down, a node that keeps rows apart says
where they are in each of its inputs. A place is the number ``outer`` with which a result, taken as
``(outer, n, rest)`` in row-major order, has example i in ``[:, i]``; so it does not change where a
result is only viewed in another shape. What a node's rule does not know, and what its consumers
do not agree on, has no place: a result without one may hold anything, constants of broadcasting,
statistics of a batch, or examples in other orders.

So where a result has a place, its i-th part reaches no loss but the i-th: ``d f_i / d z`` is the
i-th part of ``d (sum_j f_j) / d z``. Nothing is read off how a batch came out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .rules import shape_of, signed

Shape = Sequence[int]


class Axis(NamedTuple):
    """Dimension that holds the examples, its outer part, and the number of dimensions."""

    dim: int
    outer: int
    ndim: int


def axis_of(shape: Shape, outer: int, n: int) -> Axis | None:
    """Dimension that holds n examples as a whole, ``outer`` parts of a result before them."""
    before = 1
    for dim, size in enumerate(shape):
        if before * size >= outer * n:
            part = outer // before
            fits = part * before == outer and part > 0 and size % (part * n) == 0
            return Axis(dim, part, len(shape)) if fits else None
        before *= size
    return None


class Edge(NamedTuple):
    """An input of a node: which one it is, its shape, and the shape of the node's output."""

    node: Any
    slot: int
    shape: Shape
    output: Shape


Rule = Callable[[Edge, Axis], int | None]
"""Dimension of an input that holds the examples as that of the output does; None if none does.

That both are as long is looked at for all of them, in `_place`.
"""


def _dim(value: int, ndim: int) -> int:
    """Dimension that torch has saved, counted from the first one."""
    return signed(value) % max(ndim, 1)


def _dims(edge: Edge, ndim: int) -> list[int] | None:
    """Dimensions that a node goes along; None where it goes along all."""
    for name in ("_saved_dim", "_saved_dims"):
        if hasattr(edge.node, name):
            saved = getattr(edge.node, name)
            if saved is None or saved == ():
                return None
            return [_dim(d, ndim) for d in ((saved,) if isinstance(saved, int) else saved)]
    return None


def _broadcast(edge: Edge, axis: Axis) -> int | None:
    """Elementwise, inputs broadcast: dimensions are counted from the last one."""
    dim = axis.dim - axis.ndim + len(edge.shape)
    return dim if dim >= 0 else None


def _along(edge: Edge, axis: Axis) -> int | None:
    """Something along a dimension, such as softmax: not that of the examples."""
    dims = _dims(edge, len(edge.shape))
    apart = edge.slot == 0 and dims is not None and axis.dim not in dims
    return _broadcast(edge, axis) if apart and len(edge.shape) == axis.ndim else None


def _reduced(edge: Edge, axis: Axis) -> int | None:
    """Sums and the like over dimensions."""
    dims = _dims(edge, len(edge.shape))
    if dims is None or edge.slot:
        return None
    kept = [d for d in range(len(edge.shape)) if d not in dims]
    if axis.ndim == len(edge.shape):  # dimensions are kept
        return axis.dim if axis.dim in kept else None
    return kept[axis.dim] if len(kept) == axis.ndim else None


def _stacked(edge: Edge, axis: Axis) -> int | None:
    (dim,) = _dims(edge, axis.ndim) or [axis.dim]
    return None if dim == axis.dim else axis.dim - (dim < axis.dim)


def _concatenated(edge: Edge, axis: Axis) -> int | None:
    dims = _dims(edge, axis.ndim)
    apart = dims is not None and axis.dim not in dims and len(edge.shape) == axis.ndim
    return axis.dim if apart else None


def _permuted(edge: Edge, axis: Axis) -> int | None:
    return _dim(edge.node._saved_dims[axis.dim], axis.ndim)


def _transposed(edge: Edge, axis: Axis) -> int | None:
    pair = (-2, -1)
    if hasattr(edge.node, "_saved_dim0"):
        pair = (edge.node._saved_dim0, edge.node._saved_dim1)
    a, b = (_dim(d, axis.ndim) for d in pair)
    return {a: b, b: a}.get(axis.dim, axis.dim)


def _product(edge: Edge, axis: Axis) -> int | None:
    """``[bias +] A B``, of matrices or batches of them: rows are those of A, columns those of B."""
    slot = edge.slot + (2 if edge.node.name() in ("MmBackward0", "BmmBackward0") else 1)
    if slot == 1:
        return _broadcast(edge, axis)
    batch = axis.dim < axis.ndim - 2
    own = axis.dim == axis.ndim - (2 if slot == 2 else 1)
    return axis.dim if batch or own else None


def _first_only(edge: Edge, axis: Axis) -> int | None:
    """Layers that take examples, or maps of them, along their first dimension."""
    return 0 if edge.slot == 0 and axis.dim == 0 else None


def _padded(edge: Edge, axis: Axis) -> int | None:
    """Padding of the last dimensions."""
    over = len(edge.node._saved_pad) // 2
    return axis.dim if axis.dim < axis.ndim - over else None


def _normalized(edge: Edge, axis: Axis) -> int | None:
    """Norms over the last dimensions."""
    over = len(edge.node._saved_normalized_shape)
    return axis.dim if edge.slot == 0 and axis.dim < axis.ndim - over else None


def _batch_norm(edge: Edge, axis: Axis) -> int | None:
    """By channel; of instances, whose examples are among the channels, too."""
    known = not edge.node._saved_training or axis.dim == 1
    return axis.dim if edge.slot == 0 and known else None


def _attention(edge: Edge, axis: Axis) -> int | None:
    """Query, key and value with leading dimensions in common; a mask is broadcast."""
    if edge.slot > 2:
        return _broadcast(edge, axis)
    leading = axis.dim < axis.ndim - 2 and len(edge.shape) == axis.ndim
    return axis.dim if leading else None


def _by_label(edge: Edge, axis: Axis) -> int | None:
    """Losses of logits (n, k, ...) and labels, none of them averaged."""
    return _first_only(edge, axis) if edge.node._saved_reduction == 0 else None


def _elementwise_loss(edge: Edge, axis: Axis) -> int | None:
    return _broadcast(edge, axis) if edge.node._saved_reduction == 0 else None


def _named(rule: Rule, *names: str) -> dict[str, Rule]:
    return {f"{name}Backward{version}": rule for name in names for version in range(4)}


AXES: dict[str, Rule] = {
    **_named(
        _broadcast,
        "Add", "Sub", "Rsub", "Mul", "Div", "Pow", "Where", "Maximum", "Minimum", "Lerp",
        "Addcmul", "Addcdiv", "MaskedFill", "Expand", "PreluKernel", "Neg", "Abs", "Sign", "Exp",
        "Expm1", "Log", "Log1P", "Log2", "Log10", "Sqrt", "Rsqrt", "Reciprocal", "Sin", "Cos",
        "Tan", "Tanh", "Atan", "Atan2", "Sinh", "Cosh", "Erf", "Sigmoid", "LogSigmoid", "Relu",
        "LeakyRelu", "Rrelu", "RreluWithNoise", "Elu", "Celu", "Selu", "Gelu", "Silu", "Mish",
        "Hardswish", "Hardsigmoid", "Hardtanh", "Hardshrink", "Softshrink", "Softplus", "Clamp",
        "ClampMin", "ClampMax", "Threshold", "NativeDropout", "FusedDropout", "Clone", "ToCopy",
        "Alias", "Contiguous", "Xlogy", "NanToNum", "Round", "Floor", "Fill",
    ),
    **_named(
        _along,
        "Softmax", "SafeSoftmax", "LogSoftmax", "Cumsum", "Cumprod", "Flip", "Roll", "Sort", "Glu",
        "Slice", "Split", "UnsafeSplit", "SplitWithSizes", "Gather",
    ),
    **_named(
        _reduced,
        "Sum", "Mean", "Amax", "Amin", "Max", "Min", "Logsumexp", "Std", "Var", "Norm",
        "LinalgVectorNorm", "Prod", "Median", "Select", "Unbind",
    ),
    **_named(_stacked, "Stack"),
    **_named(_concatenated, "Cat"),
    **_named(_permuted, "Permute"),
    **_named(_transposed, "Transpose", "T"),
    **_named(_product, "Mm", "Addmm", "Bmm", "Baddbmm"),
    **_named(
        _first_only,
        "Convolution", "MkldnnConvolution", "NativeGroupNorm", "MaxPool2DWithIndices",
        "MaxPool3DWithIndices", "AvgPool2D", "AvgPool3D", "AdaptiveAvgPool2D",
        "AdaptiveAvgPool3D", "AdaptiveMaxPool2D", "AdaptiveMaxPool3D", "UpsampleNearest1D",
        "UpsampleNearest2D", "UpsampleNearest3D", "UpsampleLinear1D", "UpsampleBilinear2D",
        "UpsampleBicubic2D", "UpsampleTrilinear3D", "ReflectionPad1D",
        "ReflectionPad2D", "ReplicationPad1D", "ReplicationPad2D", "PixelShuffle",
        "PixelUnshuffle", "Im2Col", "Col2Im",
    ),
    **_named(_padded, "ConstantPadNd"),
    **_named(_normalized, "NativeLayerNorm", "FusedRmsNorm"),
    **_named(_batch_norm, "NativeBatchNorm", "CudnnBatchNorm"),
    **_named(
        _attention,
        "ScaledDotProductFlashAttentionForCpu", "ScaledDotProductFlashAttention",
        "ScaledDotProductEfficientAttention", "ScaledDotProductCudnnAttention",
    ),
    **_named(_by_label, "NllLoss", "NllLoss2D", "MultiMarginLoss", "MultilabelMarginLoss"),
    **_named(
        _elementwise_loss,
        "MseLoss", "SmoothL1Loss", "HuberLoss", "BinaryCrossEntropy",
        "BinaryCrossEntropyWithLogits", "SoftMarginLoss",
    ),
}  # fmt: skip
RESHAPING = frozenset(
    f"{name}Backward{version}"
    for name in ("View", "UnsafeView", "ReshapeAlias", "Unsqueeze", "Squeeze")
    for version in range(3)
)


class _Shapes(dict[tuple[Any, int], tuple[int, ...]]):
    """Shapes of outputs of nodes, each asked for once."""

    def __missing__(self, output: tuple[Any, int]) -> tuple[int, ...]:
        shape = self[output] = shape_of(*output)
        return shape


def places(order: Sequence[Any], root: tuple[Any, int], n: int) -> dict[Any, dict[int, int]]:
    """Places of n examples in the outputs of nodes, by node; those without any are left out.

    `order` has each node after all that it depends on.
    """
    found: dict[Any, dict[int, int]] = {root[0]: {root[1]: 1}}
    if n == 1:  # everything is the one's
        for node in order:
            for child, out in node.next_functions:
                if child is not None and not hasattr(child, "variable"):
                    found.setdefault(child, {})[out] = 1
        return found
    without: set[Any] = set()
    shapes = _Shapes()
    for node in reversed(order):
        if hasattr(node, "variable"):
            continue
        if node in without:
            found.pop(node, None)
        inputs = _places_of_inputs(node, found.get(node), n, shapes)
        for (child, out), outer in inputs.items():
            if outer is None or found.setdefault(child, {}).setdefault(out, outer) != outer:
                without.add(child)
    return found


def _places_of_inputs(
    node: Any, own: dict[int, int] | None, n: int, shapes: _Shapes
) -> dict[tuple[Any, int], int | None]:
    """Place of the examples in each input of a node, None where there is none that all agree on."""
    edges = node.next_functions
    name = type(node).__name__ if own else ""
    rule = AXES.get(name)
    if not own or (rule is None and name not in RESHAPING):
        return dict.fromkeys(edge for edge in edges if edge[0] is not None)
    found: dict[tuple[Any, int], int | None] = {}
    for slot, edge in enumerate(edges):
        if edge[0] is None:
            continue
        outer = None
        if not hasattr(edge[0], "variable"):
            shape = shapes[edge]
            for k, at in own.items():
                output = shapes[node, k]
                # where shapes are the same, elementwise functions and views change no place
                same = rule is None or (rule is _broadcast and shape == output)
                there = at if same else _place(rule, Edge(node, slot, shape, output), at, n)
                if there is None or outer not in (None, there):
                    outer = None
                    break
                outer = there
        found[edge] = outer if found.get(edge, outer) == outer else None
    return found


def _place(rule: Rule | None, edge: Edge, outer: int, n: int) -> int | None:
    """Place of the examples in an input of a node, from that in one of its outputs."""
    axis = axis_of(edge.output, outer, n)
    dim = None if axis is None or rule is None else rule(edge, axis)
    if axis is None or dim is None or edge.shape[dim] != edge.output[axis.dim]:
        return None
    before: int = math.prod(edge.shape[:dim])
    return before * axis.outer
