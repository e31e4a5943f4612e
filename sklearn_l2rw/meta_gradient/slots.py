"""What goes into a layer beside the examples: parameters, views of them, and functions of them.

A function is whatever the graph holds below an input that has no place for the examples (see
`axes`): position embeddings that are broadcast, a weight that is normalised, a sum of two
parameters, or all of a net below an operation that puts examples together. Its tangent is pushed
forward, its gradient is autograd's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from .graph import inputs_first, tangents_at
from .rules import RULES, call, shape_of, transposed

VIEWS = {"TBackward0", "TransposeBackward0", "PermuteBackward0", "ViewBackward0"}

Output = tuple[Any, int]  # a node, and which of its outputs
Slots = list[Tensor | None]


class Slot(NamedTuple):
    """An input of a layer: a leaf seen through views, or else an output of a function."""

    leaf: Tensor | None
    views: tuple[Any, ...] = ()
    output: Output | None = None

    def key(self) -> Any:
        """Same for slots that hold the same."""
        views = tuple(v.name() if v.name() == "TBackward0" else v for v in self.views)
        return id(self.leaf), views, self.output


def slot_of(node: Any, out: int) -> Slot:
    """What an input is, if no examples have a place in it."""
    views, below = [], node
    while below.name() in VIEWS and below.next_functions[0][0] is not None:
        views.append(below)
        below = below.next_functions[0][0]
    if hasattr(below, "variable"):
        return Slot(below.variable, tuple(views))
    return Slot(None, (), (node, out))


class Functions:
    """All functions that go into the layers of a graph."""

    def __init__(self, slots: Iterable[Slot]) -> None:
        self.outputs = list(dict.fromkeys(s.output for s in slots if s.output is not None))
        self.order: list[Any] = inputs_first(*(node for node, _ in self.outputs))
        self.leaves: list[Tensor] = [n.variable for n in self.order if hasattr(n, "variable")]
        self._below: dict[Output, list[Tensor]] = {}

    def below(self, slot: Slot) -> list[Tensor]:
        """Leaves that a slot depends on."""
        if slot.output is None:
            return [] if slot.leaf is None else [slot.leaf]
        if slot.output not in self._below:
            nodes = inputs_first(slot.output[0])
            self._below[slot.output] = [n.variable for n in nodes if hasattr(n, "variable")]
        return self._below[slot.output]

    def tangents(self, by_leaf: Mapping[Tensor, Tensor]) -> dict[Output, Tensor]:
        """Tangents of the outputs, from those of leaves."""
        return tangents_at(self.outputs, self.order, by_leaf) if self.outputs else {}

    def gradients(self, cotangents: Mapping[Output, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Gradients by leaf, from those by the outputs."""
        if not cotangents:
            return []
        edges = [GradientEdge(*output) for output in cotangents]
        found = torch.autograd.grad(
            edges, self.leaves, list(cotangents.values()), retain_graph=True, allow_unused=True
        )
        return [(leaf, g) for leaf, g in zip(self.leaves, found, strict=True) if g is not None]


def by_slot(
    slots: Sequence[Slot | None], by_leaf: Mapping[Tensor, Tensor], along: Mapping[Output, Tensor]
) -> Slots:
    """Tangents of a layer's inputs, from those of leaves and of functions."""
    found: Slots = []
    for slot in slots:
        if slot is None or slot.leaf is None:
            found.append(None if slot is None or slot.output is None else along.get(slot.output))
            continue
        tangent = by_leaf.get(slot.leaf)
        for view in reversed(slot.views):
            tangent = _moved(tangent, view)
        found.append(tangent)
    return found


def by_leaf_or_output(
    slots: Sequence[Slot | None], gradients: Slots
) -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Output, Tensor]]]:
    """Gradients by leaves and by outputs of functions, from those by a layer's inputs."""
    leaves, outputs = [], []
    for slot, gradient in zip(slots, gradients, strict=True):
        if slot is None or gradient is None:
            continue
        if slot.output is not None:
            outputs.append((slot.output, _reduced(gradient, *slot.output)))
        elif slot.leaf is not None:
            back: Tensor | None = gradient
            for view in slot.views:
                back = None if back is None else _back(_reduced(back, view, 0), view)
            if back is not None:
                same = back.shape == slot.leaf.shape
                leaves.append((slot.leaf, back if same else back.sum_to_size(slot.leaf.shape)))
    return leaves, outputs


def _reduced(gradient: Tensor, node: Any, out: int) -> Tensor:
    """Gradient by an output of a node, summed over what it was broadcast along."""
    shape = shape_of(node, out)
    return gradient if gradient.shape == shape else gradient.sum_to_size(shape)


def _back(gradient: Tensor, view: Any) -> Tensor | None:
    """Gradient by what a view is of."""
    return gradient.t() if view.name() == "TBackward0" else call(view, gradient)[0]


def _moved(tangent: Tensor | None, view: Any) -> Tensor | None:
    """Tangent of a view."""
    if tangent is None or view.name() == "TBackward0":
        return None if tangent is None else tangent.t()
    return RULES.get(view.name(), transposed)(view, [tangent])[0]
