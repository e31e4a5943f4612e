"""Slopes layer by layer: a backward pass to the outputs of the layers, not to their parameters.

It gives ``delta_l = d (sum_i f_i) / d z_l`` for the outputs ``z_l`` of the layers, whose i-th parts
belong to example i alone (see `axes`). Then

- ``u_i = sum_l <delta_l, d z_l / d theta_l . v_l>_i``, one product for each layer, and
- the weighted gradient is that of each layer alone, given ``w_i delta_li``:

one product more than plain training, beside the clean pass. A layer is a node of the recorded
graph into which something goes that has no place for examples: parameters, or functions of them
(see `slots`), so that shared weights, in-place operations and dropout need no care, and what lies
below an operation that puts examples together is taken in forward mode.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from .algorithm import Link, Wanted, Weighed
from .axes import axis_of, places
from .gradients import (
    Clean,
    Parameters,
    add_to_gradients,
    first_output,
    norms_of_rows,
)
from .graph import inputs_first
from .rules import RULES, call, shape_of, transposed
from .slots import Functions, Output, Slot, Slots, by_leaf_or_output, by_slot, slot_of

LINEAR = {"AddmmBackward0": "_saved_mat1", "MmBackward0": "_saved_self"}
_SMALL = 2**17  # entries; larger inputs are not worth a copy
GEOMETRY = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")


class RefusedError(NotImplementedError):
    """The module is none whose slopes can be had layer by layer."""


class Layer:
    """A node, one of its outputs, the place of the examples there, and what goes into it.

    `kind` names the node if it is a linear layer or a convolution whose weight has no place for
    examples; then `input` is what it is applied to, and `geometry` the arguments of the
    convolution. Slots of examples, and of what is no parameter, are None.
    """

    def __init__(self, node: Any, out: int, outer: int, slots: list[Slot | None], n: int) -> None:
        self.node, self.out, self.outer, self.slots = node, out, outer, slots
        self.kind, self.geometry = "other", ()
        self.input = self.weight = torch.empty(0)
        axis = axis_of(shape_of(node, out), outer, n)
        name = type(node).__name__
        if axis is None or axis.dim:
            return
        if name in LINEAR and slots[-1] and not slots[-2]:
            if name == "MmBackward0" or _is_affine(node, slots[0]):
                self.kind, self.input = "linear", getattr(node, LINEAR[name])
        elif name == "ConvolutionBackward0" and slots[1] and not slots[0]:
            self.kind, self.input = "convolution", node._saved_input
            self.weight = node._saved_weight  # its shape is needed when the graph is freed
            self.geometry = tuple(getattr(node, f"_saved_{name}") for name in GEOMETRY)


def _is_affine(node: Any, bias: Slot | None) -> bool:
    """Whether a product and a sum are ``x W + b``, with an entry of ``b`` for each column."""
    child, out = node.next_functions[0]
    columns = shape_of(node)[1:]
    vector = bias is None or shape_of(child, out) == columns
    return vector and bool(node._saved_alpha == node._saved_beta == 1)


def find_layers(losses: Tensor) -> list[Layer]:
    """Layers below the losses of a batch."""
    if losses.grad_fn is None:
        raise RefusedError("the losses do not depend on a parameter")
    n, order = len(losses), inputs_first(losses.grad_fn)
    found = places(order, (losses.grad_fn, losses.output_nr), n)
    layers = []
    for node in order:
        name = type(node).__name__
        if "BatchNorm" in name and getattr(node, "_saved_training", True):
            raise RefusedError("batch statistics make examples interact")
        slots: list[Slot | None] = []
        for child, out in node.next_functions if node in found else ():
            apart = child is None or child in found
            slots.append(None if apart else slot_of(child, out))
        if any(slots):  # each output is a layer of its own
            layers += [Layer(node, out, outer, slots, n) for out, outer in found[node].items()]
    return layers[::-1]


def deltas_of(
    losses: Tensor, layers: list[Layer], output: Any, link: Link | None
) -> tuple[list[Tensor], Tensor | None]:
    """Gradients of the sum of the losses by the layers' outputs; their norms by the module's."""
    edges: list[Any] = [GradientEdge(layer.node, layer.out) for layer in layers]
    first = None if link is None else first_output(losses, output)
    # `input` is held by the layers; what else the graph saved may not be needed again.
    keep = any(
        layer.kind == "other" or any(s is not None and s.output for s in layer.slots)
        for layer in layers
    )
    edges += [] if first is None else [first]
    ones = torch.ones_like(losses)
    found = torch.autograd.grad(losses, edges, ones, retain_graph=keep, allow_unused=True)
    deltas = list(found[: len(layers)])
    if first is None or link is None:
        return deltas, None
    return deltas, norms_of_rows(found[-1], first, len(losses), link)


def joined(layers: list[Layer], deltas: list[Tensor]) -> list[tuple[Layer, Tensor]]:
    """Layers and deltas; small linear layers that share their weights as one, as a recurrent net's.

    What a thousand small products cost is the calls, not the arithmetic.
    """
    last = [layer.slots[-1] for layer in layers if layer.kind == "linear"]
    if len({id(slot and slot.leaf) for slot in last}) == len(last):  # no weight is shared
        return list(zip(layers, deltas, strict=True))
    groups: dict[Any, list[tuple[Layer, Tensor]]] = {}
    for layer, delta in zip(layers, deltas, strict=True):
        small = layer.kind == "linear" and layer.input.numel() + delta.numel() <= _SMALL
        key: Any = layer
        if small:  # as many rows for each example, too: the examples' parts are of one shape
            rows = len(layer.input) // layer.outer
            key = rows, *(slot and slot.key() for slot in layer.slots)
        groups.setdefault(key, []).append((layer, delta))
    return [_joined(group) if len(group) > 1 else group[0] for group in groups.values()]


def _joined(group: list[tuple[Layer, Tensor]]) -> tuple[Layer, Tensor]:
    layers = [layer for layer, _ in group]
    one = copy.copy(layers[0])
    one.input = torch.cat([layer.input for layer in layers])
    one.outer = sum(layer.outer for layer in layers)
    return one, torch.cat([delta for _, delta in group])


def _inner(a: Tensor, b: Tensor, outer: int, n: int) -> Tensor:
    """Inner products (n,) of the examples' parts."""
    whole = outer == 1 and a.shape[:1] == (n,) and a.shape == b.shape
    if whole and not a.is_contiguous():
        return (a * b).reshape(n, -1).sum(1) if a.ndim < 3 else (a * b).sum([*range(1, a.ndim)])
    products: Tensor = torch.linalg.vecdot(a.reshape(outer, n, -1), b.reshape(outer, n, -1))
    return products[0] if outer == 1 else products.sum(0)


def _scaled(delta: Tensor, c: Tensor, outer: int) -> Tensor:
    """Gradients of as many examples as there are ``c``, that of the i-th times ``c_i``."""
    if outer == 1 and delta.shape[:1] == c.shape:  # memory formats are kept
        return delta * c.view(-1, *[1] * (delta.ndim - 1))
    return (delta.reshape(outer, len(c), -1) * c[:, None]).reshape(delta.shape)


class Part:
    """Examples ``start..stop`` of a batch of `total`."""

    def __init__(self, start: int, stop: int, total: int) -> None:
        self.start, self.stop, self.total = start, stop, total

    def rows(self, tensor: Tensor, outer: int) -> Tensor:
        """Their rows of a tensor that has the examples along its first dimension."""
        if self.stop - self.start == self.total:
            return tensor
        if outer == 1:
            k = tensor.shape[0] // self.total
            return tensor[self.start * k : self.stop * k]
        shape = tensor.shape[1:]
        kept = tensor.reshape(outer, self.total, -1, *shape)[:, self.start : self.stop]
        return kept.reshape(-1, *shape)

    def gradients(self, layer: Layer, delta: Tensor, c: Tensor) -> Slots:
        """Gradients of ``sum_i c_i f_i`` by the layer's slots."""
        mask = [slot is not None for slot in layer.slots]
        if layer.kind == "other":
            if len(c) != self.total:
                c = nn.functional.pad(c, (self.start, self.total - self.stop))
            cotangents: list[Tensor | None] = [None] * layer.out
            found = call(layer.node, *cotangents, _scaled(delta, c, layer.outer))
            return [g if keep else None for g, keep in zip(found, mask, strict=True)]
        applied_to = self.rows(layer.input, layer.outer)
        delta = _scaled(self.rows(delta, layer.outer), c, layer.outer)
        if layer.kind == "linear":
            bias = [delta.sum(0) if mask[0] else None] if len(mask) == 3 else []
            # contiguous, once the weight's view is undone
            return [*bias, None, (delta.t() @ applied_to).t()]
        sizes = [delta.shape[1]]
        return list(
            torch.ops.aten.convolution_backward(
                delta, applied_to, layer.weight, sizes, *layer.geometry, mask
            )
        )

    def slopes(self, layer: Layer, delta: Tensor, moving: Slots) -> Tensor | None:
        """``<delta, dz>`` by example, where dz is how far tangents move the layer's output."""
        moved: Tensor | None
        outer, n = layer.outer, self.stop - self.start
        linear = layer.kind == "linear"
        weight = moving[-1 if linear else 1] if layer.kind != "other" else None
        if weight is None and not linear:
            rule = RULES.get(layer.node.name(), transposed)
            moved = rule(layer.node, moving)[layer.out]
            if moved is None:
                return None
            found = _inner(delta, moved, outer, self.total)
            return found if n == self.total else found[self.start : self.stop]
        applied_to, delta = self.rows(layer.input, outer), self.rows(delta, outer)
        if weight is None:  # of some layers joined, the node is that of one
            assert moving[0] is not None
            moved = moving[0].expand_as(delta)
        elif linear:
            moved = applied_to @ weight
            if len(moving) == 3 and moving[0] is not None:
                moved += moving[0]
        else:
            moved = torch.convolution(applied_to, weight, moving[2], *layer.geometry)  # type: ignore[call-arg]
        return _inner(delta, moved, outer, n)


def slopes_along(
    layers: Iterable[tuple[Layer, Tensor]],
    functions: Functions,
    by_leaf: Mapping[Tensor, Tensor],
    part: Part,
    slopes: Tensor,
) -> None:
    """Add to slopes what layers contribute, for tangents of leaves."""
    along = functions.tangents(by_leaf)
    for layer, delta in layers:
        moving = by_slot(layer.slots, by_leaf, along)
        if any(t is not None for t in moving):
            found = part.slopes(layer, delta, moving)
            if found is not None:
                slopes += found


class Gradients:
    """Gradients by leaves, put together from those by the layers' slots."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions
        self.of_outputs: dict[Output, Tensor] = {}

    def add(self, layer: Layer, gradients: Slots) -> list[tuple[Tensor, Tensor]]:
        """Gradients by leaves of a layer; those by functions are kept until all are known."""
        leaves, outputs = by_leaf_or_output(layer.slots, gradients)
        for output, g in outputs:
            known = self.of_outputs.get(output)
            self.of_outputs[output] = g if known is None else known + g
        return leaves

    def of_functions(self) -> list[tuple[Tensor, Tensor]]:
        """Gradients by the leaves below functions."""
        return self.functions.gradients(self.of_outputs)


def add_weighted(
    layers: Iterable[tuple[Layer, Tensor]], functions: Functions, part: Part, c: Tensor
) -> None:
    """Add the gradient of ``sum_i c_i f_i`` to the ``.grad`` of leaves."""
    gradients = Gradients(functions)
    for layer, delta in layers:
        add_to_gradients(gradients.add(layer, part.gradients(layer, delta, c)), 1)
    add_to_gradients(gradients.of_functions(), 1)


def functions_of(layers: Iterable[Layer]) -> Functions:
    """Functions that go into layers."""
    return Functions(slot for layer in layers for slot in layer.slots if slot is not None)


def layerwise(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """Slopes along the clean gradient, layer by layer."""
    clean = Clean(objective, clean_batch, parameters, wanted)
    with torch.enable_grad():
        losses, output = objective(batch)
    layers, part = find_layers(losses), Part(0, len(losses), len(losses))
    deltas, norms = deltas_of(losses, layers, output, wanted.norms)
    functions, pairs = functions_of(layers), joined(layers, deltas)
    by_leaf: dict[Tensor, Tensor] = {parameters[name]: t for name, t in clean.v.items()}
    slopes = torch.zeros_like(losses, requires_grad=False)
    with torch.no_grad():
        slopes_along(pairs, functions, by_leaf, part, slopes)

    def backward(weights: Tensor, clean_weight: float) -> None:
        with torch.no_grad():
            add_weighted(pairs, functions, part, weights)
            add_to_gradients(clean.term, clean_weight)

    return Weighed(slopes, losses, output, clean.loss, backward, norms)
