"""Slopes layer by layer, with the clean batch in the same pass as the training batch.

In wide linear layers the clean gradient need not be formed at all: there
``<grad f_i, grad f_j> = (x_i . x_j + 1) (d_i . d_j)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .algorithm import Wanted, Weighed
from .gradients import SHARED, Parameters, add_to_gradients
from .layers import (
    Gradients,
    Layer,
    Part,
    RefusedError,
    add_weighted,
    deltas_of,
    find_layers,
    functions_of,
    joined,
    layerwise,
    slopes_along,
)
from .slots import Functions

# What may be done to parameters before they go into a layer: nothing that examples could be put
# together by, if there were some in it.
CONSTANTS = frozenset(
    f"{name}Backward{version}"
    for name in (
        "View", "UnsafeView", "ReshapeAlias", "T", "Transpose", "Permute", "Expand", "Unsqueeze",
        "Squeeze", "Slice", "Select", "Embedding", "Add", "Sub", "Mul", "Div", "Clone", "ToCopy",
    )
    for version in range(3)
)  # fmt: skip
# Operations whose inputs have no place for examples only because there are none in them.
BROADCAST = frozenset(("Add", "Sub", "Mul", "Div", "Cat", "Expand", "Embedding"))

RATIO = 5  # training examples for each clean one, at least: a larger pass costs more than it saves


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


def _has_data(node: Any, total: int) -> bool:
    """Whether data of the examples, `total` of both batches, may go into a function."""
    if hasattr(node, "variable"):
        return not isinstance(node.variable, nn.Parameter)
    name = node.name().split("Backward")[0]
    if name == "Embedding":
        return bool(node._saved_indices.numel() % total == 0)
    if name == "Slice":  # one for each example
        return total in node._input_metadata[0].shape
    without = [child is None for child, _ in node.next_functions]
    if not any(without) or name not in ("Add", "Sub", "Mul", "Div"):
        return False
    constant = getattr(node, "_saved_self" if without[0] else "_saved_other", None)
    # What is added is not saved.
    sizes = node._input_metadata[0].shape if constant is None else (constant.numel(),)
    return any(size % total == 0 for size in sizes)


def _refuse_mixing(layers: list[Layer], order: list[Any], total: int) -> None:
    """Refuse what the clean examples could be put together with training examples by."""
    for node in order:
        known = hasattr(node, "variable") or node.name() in CONSTANTS
        if not known or _has_data(node, total):
            raise RefusedError(f"{node.name()} may put both batches together")
    for layer in layers:
        name = layer.node.name()
        if getattr(layer.node, "_saved_scale_grad_by_freq", False):
            raise RefusedError("the words of both batches are counted together")
        if name == "SliceBackward0":
            raise RefusedError("parameters are taken by the place in the batch")
        for slot in filter(None, layer.slots):
            if slot.leaf is not None and not isinstance(slot.leaf, nn.Parameter):
                raise RefusedError("the batch requires a gradient")
            if slot.output and name.split("Backward")[0] not in BROADCAST:
                raise RefusedError(f"{name} may put both batches together")


def _kernel_pays(layer: Layer, delta: Tensor, m: int, total: int, uses: Counter[Tensor]) -> bool:
    if layer.kind != "linear" or len(delta) != total:
        return False
    slots = [slot for slot in layer.slots if slot is not None]
    once = all(slot.leaf is not None and uses[slot.leaf] == 1 for slot in slots)
    wide = layer.input.shape[1] * delta.shape[1] > m * (layer.input.shape[1] + delta.shape[1])
    return once and wide


def _kernel_slopes(layer: Layer, delta: Tensor, n: int) -> Tensor:
    """Sum over clean j of ``(x_i . x_j + 1) (d_i . d_j)``: a linear layer needs no ``v``."""
    x, d = layer.input, delta[:n] @ delta[n:].t()
    alike = x[:n] @ x[n:].t()
    if len(layer.slots) == 3 and layer.slots[0] is not None:
        alike += 1
    slopes: Tensor = torch.linalg.vecdot(alike, d)
    return slopes


def merged(
    objective: nn.Module, batch: Any, clean_batch: Any, parameters: Parameters, wanted: Wanted
) -> Weighed:
    """As `layerwise`, with the clean batch in the same pass.

    For modules that draw no random numbers, batches whose examples have one shape, and small
    clean batches: that of a large one costs more memory than it saves time.
    """
    shared = SHARED.get() is not None  # a clean gradient of several processes is not ours to form
    if shared or RATIO * len(clean_batch[1]) > len(batch[1]) or not _alike(batch, clean_batch):
        return layerwise(objective, batch, clean_batch, parameters, wanted)
    with torch.enable_grad():
        losses, output = objective(_concatenated(batch, clean_batch))
    if not isinstance(output, Tensor) or output.shape[:1] != losses.shape:
        raise RefusedError("the module returns several outputs, or not one for each example")
    n = len(batch[1])
    layers = find_layers(losses)
    functions = functions_of(layers)
    _refuse_mixing(layers, functions.order, len(losses))
    deltas, norms = deltas_of(losses, layers, output, wanted.norms)
    with torch.no_grad():
        train = Part(0, n, len(losses))
        both = _Merged(layers, deltas, train, set(parameters.values()), functions)
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
        self,
        layers: list[Layer],
        deltas: list[Tensor],
        train: Part,
        chosen: set[Tensor],
        functions: Functions,
    ) -> None:
        self.layers, self.train = joined(layers, deltas), train
        self.clean = Part(train.stop, train.total, train.total)
        self.functions = functions
        self.chosen = chosen
        self.m = train.total - train.stop
        self.leaves = {layer: self._leaves(layer) for layer, _ in self.layers}
        self.uses = Counter(leaf for leaves in self.leaves.values() for leaf in leaves)
        self.by_leaf: dict[Tensor, Tensor] = {}
        self.formed: set[Layer] = set()

    def _leaves(self, layer: Layer) -> list[Tensor]:
        slots = [slot for slot in layer.slots if slot is not None]
        return [leaf for slot in slots for leaf in self.functions.below(slot)]

    def slopes(self) -> Tensor:
        """Slopes of the training examples along the gradient of the mean clean loss."""
        slopes = self.layers[0][1].new_zeros(self.train.stop)
        ones = slopes.new_ones(self.m)
        rest, gradients = [], Gradients(self.functions)
        for layer, delta in self.layers:
            leaves = self.leaves[layer]
            if self.chosen.isdisjoint(leaves):
                continue
            if self.chosen.issuperset(leaves) and _kernel_pays(
                layer, delta, self.m, self.train.total, self.uses
            ):
                slopes += _kernel_slopes(layer, delta, self.train.stop)
                continue
            rest.append((layer, delta))
            self.formed.add(layer)
            self._keep(gradients.add(layer, self.clean.gradients(layer, delta, ones)))
        self._keep(gradients.of_functions())
        along = {leaf: v for leaf, v in self.by_leaf.items() if leaf in self.chosen}
        slopes_along(rest, self.functions, along, self.train, slopes)
        return slopes / self.m

    def _keep(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        for leaf, g in pairs:
            self.by_leaf[leaf] = self.by_leaf[leaf] + g if leaf in self.by_leaf else g

    def backward(self, weights: Tensor, clean_weight: float) -> None:
        """Add the gradient of the weighted losses, and of the mean clean loss, to parameters."""
        share = clean_weight / self.m
        everything = [pair for pair in self.layers if share and pair[0] not in self.formed]
        formed = [pair for pair in self.layers if not share or pair[0] in self.formed]
        with torch.no_grad():
            all_weights = torch.cat([weights, weights.new_full((self.m,), share)])
            whole = Part(0, self.train.total, self.train.total)
            add_weighted(everything, self.functions, whole, all_weights)
            add_weighted(formed, self.functions, self.train, weights)
            add_to_gradients([*self.by_leaf.items()], share)
