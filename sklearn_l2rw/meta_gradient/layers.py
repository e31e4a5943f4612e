"""Slopes layer by layer, for modules whose examples do not interact.

One backward pass to the outputs ``z_l`` of the layers, not to their parameters, gives
``delta_l = d (sum_i f_i) / d z_l``, whose rows i belong to example i alone. Then

- ``u_i = sum_l <delta_l, d z_l / d theta_l . v_l>_i``, one product for each layer, and
- the weighted gradient is that of each layer alone, given ``w_i delta_li``:

one product more than plain training, beside the clean pass. `merged` takes the clean batch along
in the same pass, and in linear layers needs no ``v_l`` at all. A layer is a node of the recorded
graph that has parameters as inputs, so shared weights, in-place operations and dropout need no
care. What does not fit raises `RefusedError`, as does a node that may make examples interact (see
`apart`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from .algorithm import Link, Wanted, Weighed
from .apart import RefusedError, refuse_mixing
from .gradients import (
    SHARED,
    Clean,
    Parameters,
    add_to_gradients,
    first_output,
    norms_of_rows,
)
from .graph import RULES, call, inputs_first, transposed

VIEWS = {"TBackward0", "TransposeBackward0", "PermuteBackward0", "ViewBackward0"}
LINEAR = {"AddmmBackward0": "_saved_mat1", "MmBackward0": "_saved_self"}
LAYERS = {
    *LINEAR,
    "ConvolutionBackward0",
    "EmbeddingBackward0",
    "NativeLayerNormBackward0",
    "FusedRmsNormBackward0",
    "NativeGroupNormBackward0",
    "NativeBatchNormBackward0",
}
GEOMETRY = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
Slots = list[Tensor | None]


class Layer:
    """A node; for each of its inputs the parameter there and the views between, or None.

    `kind` names the node if it is a linear layer or a convolution whose weight is a parameter;
    then `input` is what it is applied to, and `geometry` the arguments of the convolution.
    """

    def __init__(self, node: Any, inputs: list[tuple[Tensor, list[Any]] | None]) -> None:
        self.node, self.inputs = node, inputs
        self.kind, self.input, self.geometry = "other", torch.empty(0), ()
        name = node.name()
        if name in LINEAR and inputs[-1] and not inputs[-2]:
            if name == "MmBackward0" or node._saved_alpha == node._saved_beta == 1:
                self.kind, self.input = "linear", getattr(node, LINEAR[name])
        elif name == "ConvolutionBackward0" and inputs[1] and not inputs[0]:
            self.kind, self.input = "convolution", node._saved_input
            self.geometry = tuple(getattr(node, f"_saved_{name}") for name in GEOMETRY)


def _parameter(node: Any) -> tuple[Tensor, list[Any]] | None:
    """The leaf that a node is, or is a view of."""
    views = []
    while node is not None and node.name() in VIEWS:
        views.append(node)
        node = node.next_functions[0][0]
    return (node.variable, views) if hasattr(node, "variable") else None


def find_layers(losses: Tensor) -> list[Layer]:
    """Layers below the losses of a batch."""
    if losses.grad_fn is None:
        raise RefusedError("the losses do not depend on a parameter")
    nodes: list[tuple[Any, str, bool]] = []
    layers: list[Layer] = []
    above: set[Any] = set()
    for node in reversed(inputs_first(losses.grad_fn)):
        if node in above or hasattr(node, "variable"):
            continue
        name = node.name()
        inputs = [_parameter(child) for child, _ in node.next_functions]
        nodes.append((node, name, any(inputs)))
        if any(inputs):
            above.update(view for found in inputs if found for view in found[1])
            if name not in LAYERS or getattr(node, "_saved_sparse", False):
                raise RefusedError(f"a parameter goes into {name}")
            layers.append(Layer(node, inputs))
    refuse_mixing(nodes, len(losses))
    return layers


def deltas_of(
    losses: Tensor, layers: list[Layer], output: Any, link: Link | None
) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Gradients of the sum of the losses by the layers' outputs; their norms by the module's."""
    edges: list[Any] = [GradientEdge(layer.node, 0) for layer in layers]
    first = None if link is None else first_output(losses, output)
    # `input` is held by the layers; what else the graph saved is not needed again.
    keep = any(layer.kind == "other" for layer in layers)
    edges += [] if first is None else [first]
    ones = torch.ones_like(losses)
    found = torch.autograd.grad(losses, edges, ones, retain_graph=keep, allow_unused=True)
    deltas = found[: len(layers)]
    if first is None or link is None:
        return deltas, None
    return deltas, norms_of_rows(found[-1], first, len(losses), link)


def _scaled(delta: Tensor, c: Tensor) -> Tensor:
    """Rows of the i-th example times ``c_i``."""
    return (delta.reshape(len(c), -1) * c[:, None]).reshape(delta.shape)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of rows."""
    products: Tensor = torch.linalg.vecdot(a, b)
    return products


class _Part:
    """Examples ``start..stop`` of a batch of `total`."""

    def __init__(self, start: int, stop: int, total: int) -> None:
        self.start, self.stop, self.total = start, stop, total

    def rows(self, tensor: Tensor) -> Tensor:
        """Their rows of a tensor that has one or more for each example."""
        if self.stop - self.start == self.total:
            return tensor
        k = tensor.shape[0] // self.total
        return tensor[self.start * k : self.stop * k]

    def gradients(self, layer: Layer, delta: Tensor, c: Tensor) -> Slots:
        """Gradients of ``sum_i c_i f_i`` by the layer's inputs that are parameters."""
        mask = [found is not None for found in layer.inputs]
        if layer.kind == "other":
            c = torch.nn.functional.pad(c, (self.start, self.total - self.stop))
            found = call(layer.node, _scaled(delta, c))
            return [g if keep else None for g, keep in zip(found, mask, strict=True)]
        delta, applied_to = self.rows(delta), self.rows(layer.input)
        delta = _scaled(delta, c)
        if layer.kind == "linear":
            bias = [delta.sum(0) if mask[0] else None] if len(mask) == 3 else []
            # contiguous, once the weight's view is undone
            return [*bias, None, (delta.t() @ applied_to).t()]
        weight, sizes = layer.inputs[1][0], [delta.shape[1]]  # type: ignore[index]
        geometry = layer.geometry
        return list(
            torch.ops.aten.convolution_backward(delta, applied_to, weight, sizes, *geometry, mask)
        )

    def slopes(self, layer: Layer, delta: Tensor, moving: Slots) -> Tensor:
        """``<delta, dz>`` by example, where dz is how far tangents move the layer's output."""
        n = self.stop - self.start
        moved: Tensor | None
        if layer.kind == "convolution" and moving[1] is not None:
            weight, bias = moving[1], moving[2]
            moved = torch.convolution(self.rows(layer.input), weight, bias, *layer.geometry)  # type: ignore[call-arg]
        elif layer.kind == "linear" and moving[-1] is not None:
            moved = self.rows(layer.input) @ moving[-1]
            if len(moving) == 3 and moving[0] is not None:
                moved += moving[0]
        else:
            moved = RULES.get(layer.node.name(), transposed)(layer.node, moving)[0]
            if moved is None:
                return delta.new_zeros(n)
            moved = self.rows(moved)
        return _inner(self.rows(delta).reshape(n, -1), moved.reshape(n, -1))

    def add_gradients(self, layer: Layer, delta: Tensor, c: Tensor) -> None:
        """Add the gradient of ``sum_i c_i f_i`` to the ``.grad`` of the layer's parameters."""
        for parameter, g in _by_leaf(layer, self.gradients(layer, delta, c)):
            parameter.grad = g if parameter.grad is None else parameter.grad.add_(g)


def _back(gradient: Tensor | None, view: Any) -> Tensor | None:
    """Gradient by what a view is of."""
    if gradient is None or view.name() != "TBackward0":
        return call(view, gradient)[0]
    return gradient.t()


def _moved(tangent: Tensor | None, view: Any) -> Tensor | None:
    """Tangent of a view."""
    if tangent is None or view.name() == "TBackward0":
        return None if tangent is None else tangent.t()
    return RULES.get(view.name(), transposed)(view, [tangent])[0]


def _by_leaf(layer: Layer, gradients: Slots) -> list[tuple[Tensor, Tensor]]:
    """Parameters and gradients, from gradients by the layer's inputs."""
    pairs = []
    for found, gradient in zip(layer.inputs, gradients, strict=True):
        if found is None or gradient is None:
            continue
        parameter, views = found
        for view in reversed(views):
            gradient = _back(gradient, view)
        if gradient is not None:
            pairs.append((parameter, gradient.sum_to_size(parameter.shape)))
    return pairs


def _moving(layer: Layer, by_leaf: Mapping[Tensor, Tensor]) -> Slots:
    """Tangents of the layer's inputs, from those of the parameters."""
    slots: Slots = []
    for found in layer.inputs:
        tangent = by_leaf.get(found[0]) if found else None
        for view in reversed(found[1]) if found else ():
            tangent = _moved(tangent, view)
        slots.append(tangent)
    return slots


def layerwise(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """Slopes along the clean gradient, layer by layer."""
    clean = Clean(objective, clean_batch, parameters, wanted)
    with torch.enable_grad():
        losses, output = objective(batch)
    layers, part = find_layers(losses), _Part(0, len(losses), len(losses))
    deltas, norms = deltas_of(losses, layers, output, wanted.norms)
    by_leaf: dict[Tensor, Tensor] = {parameters[name]: t for name, t in clean.v.items()}
    slopes = torch.zeros_like(losses, requires_grad=False)
    with torch.no_grad():
        for layer, delta in zip(layers, deltas, strict=True):
            moving = _moving(layer, by_leaf)
            if any(t is not None for t in moving):
                slopes += part.slopes(layer, delta, moving)

    def backward(weights: Tensor, clean_weight: float) -> None:
        with torch.no_grad():
            for layer, delta in zip(layers, deltas, strict=True):
                part.add_gradients(layer, delta, weights)
            add_to_gradients(clean.term, clean_weight)

    return Weighed(slopes, losses, output, clean.loss, backward, norms)


def _alike(a: Any, b: Any) -> bool:
    """Whether the examples of two batches have the same shapes, as nested as the batches are."""
    if isinstance(a, Tensor):
        kinds = [(x.shape[1:], x.device, x.is_floating_point()) for x in (a, b)]
        return kinds[0] == kinds[1]
    if isinstance(a, Mapping):
        return all(_alike(x, b[key]) for key, x in a.items())
    return len(a) == len(b) and all(map(_alike, a, b))


def _concatenated(batch: Any, clean_batch: Any) -> Any:
    """Both batches as one."""
    if isinstance(batch, Tensor):
        return torch.cat([batch, clean_batch])
    if isinstance(batch, Mapping):
        return {k: _concatenated(x, clean_batch[k]) for k, x in batch.items()}
    return type(batch)(_concatenated(a, b) for a, b in zip(batch, clean_batch, strict=True))


def _kernel_pays(layer: Layer, delta: Tensor, m: int, total: int, uses: Counter[Tensor]) -> bool:
    if layer.kind != "linear" or len(delta) != total:
        return False
    once = all(uses[found[0]] == 1 for found in layer.inputs if found)
    wide = layer.input.shape[1] * delta.shape[1] > m * (layer.input.shape[1] + delta.shape[1])
    return once and wide


def _kernel_slopes(layer: Layer, delta: Tensor, n: int) -> Tensor:
    """Sum over clean j of ``(x_i . x_j + 1) (d_i . d_j)``: a linear layer needs no ``v``."""
    x, d = layer.input, delta[:n] @ delta[n:].t()
    alike = x[:n] @ x[n:].t()
    if len(layer.inputs) == 3 and layer.inputs[0] is not None:
        alike += 1
    return _inner(alike, d)


def merged(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """As `layerwise`, with the clean batch in the same pass.

    For modules that draw no random numbers, batches whose examples have one shape, and small
    clean batches: that of a large one costs more memory than it saves time.
    """
    shared = SHARED.get() is not None  # a clean gradient of several processes is not ours to form
    if shared or 4 * len(clean_batch[1]) > len(batch[1]) or not _alike(batch, clean_batch):
        return layerwise(objective, batch, clean_batch, parameters, wanted)
    with torch.enable_grad():
        losses, output = objective(_concatenated(batch, clean_batch))
    if not isinstance(output, Tensor):
        raise RefusedError("the module returns several outputs")
    n = len(batch[1])
    layers = find_layers(losses)
    deltas, norms = deltas_of(losses, layers, output, wanted.norms)
    with torch.no_grad():
        both = _Merged(layers, deltas, _Part(0, n, len(losses)), set(parameters.values()))
        slopes = both.slopes()
        clean_loss = losses[n:].mean()
    norms = None if norms is None else norms[:n]
    return Weighed(slopes, losses[:n], output[:n], clean_loss, both.backward, norms)


class _Merged:
    """Layers of a pass over training examples, and the clean ones behind them.

    `chosen` are the parameters of the slopes. The gradient of the sum of the clean losses by the
    parameters of some layers is at hand (``by_leaf``, of the layers ``formed``); where it is not,
    the weighted gradient takes the clean examples along.
    """

    def __init__(
        self, layers: list[Layer], deltas: tuple[Tensor, ...], train: _Part, chosen: set[Tensor]
    ) -> None:
        self.layers, self.train = list(zip(layers, deltas, strict=True)), train
        self.clean = _Part(train.stop, train.total, train.total)
        self.chosen = chosen
        self.m = train.total - train.stop
        self.uses = Counter(found[0] for layer in layers for found in layer.inputs if found)
        self.by_leaf: dict[Tensor, Tensor] = {}
        self.formed: set[Layer] = set()

    def slopes(self) -> Tensor:
        """Slopes of the training examples along the gradient of the mean clean loss."""
        slopes = self.layers[0][1].new_zeros(self.train.stop)
        ones = slopes.new_ones(self.m)
        rest = []
        for layer, delta in self.layers:
            leaves = [found[0] for found in layer.inputs if found]
            if self.chosen.isdisjoint(leaves):
                continue
            if self.chosen.issuperset(leaves) and _kernel_pays(
                layer, delta, self.m, self.train.total, self.uses
            ):
                slopes += _kernel_slopes(layer, delta, self.train.stop)
                continue
            rest.append((layer, delta))
            self.formed.add(layer)
            for leaf, g in _by_leaf(layer, self.clean.gradients(layer, delta, ones)):
                self.by_leaf[leaf] = self.by_leaf[leaf] + g if leaf in self.by_leaf else g
        along = {leaf: v for leaf, v in self.by_leaf.items() if leaf in self.chosen}
        for layer, delta in rest:
            slopes += self.train.slopes(layer, delta, _moving(layer, along))
        return slopes / self.m

    def backward(self, weights: Tensor, clean_weight: float) -> None:
        """Add the gradient of the weighted losses, and of the mean clean loss, to parameters."""
        share = clean_weight / self.m
        whole = _Part(0, self.train.total, self.train.total)
        with torch.no_grad():
            all_weights = torch.cat([weights, weights.new_full((self.m,), share)])
            for layer, delta in self.layers:
                if share and layer not in self.formed:
                    whole.add_gradients(layer, delta, all_weights)
                else:
                    self.train.add_gradients(layer, delta, weights)
            add_to_gradients([*self.by_leaf.items()], share)
