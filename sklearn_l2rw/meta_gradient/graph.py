"""Forward mode over the graph that autograd has recorded.

The forward pass of the training batch is an ordinary one. Its graph, read from the parameters to
the losses, then says how a tangent of the parameters moves every intermediate result: node by
node (see `rules`), without running the module again, without recording anything, with tangents
freed as soon as they are used. Random masks, in-place operations, shared weights and batch
statistics are those of the one forward pass, because its own saved tensors are used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from .rules import RULES, transposed


def inputs_first(*roots: Any) -> list[Any]:
    """Nodes of the graph below some nodes, each after all that it depends on."""
    order: list[Any] = []
    seen: set[Any] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(root.next_functions))]
        while stack:
            node, edges = stack[-1]
            for child, _ in edges:
                if child is not None and child not in seen:
                    seen.add(child)
                    stack.append((child, iter(child.next_functions)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def push_forward(result: Tensor, seeds: Mapping[Tensor, Tensor]) -> Tensor:
    """Tangent of `result` (with a graph), given those of leaves; no gradient is recorded."""
    if result.grad_fn is None:
        return torch.zeros_like(result)
    target = (result.grad_fn, result.output_nr)
    found = tangents_at([target], inputs_first(result.grad_fn), seeds)
    return found.get(target, torch.zeros_like(result))


def tangents_at(
    targets: Sequence[tuple[Any, int]], order: Sequence[Any], seeds: Mapping[Tensor, Tensor]
) -> dict[tuple[Any, int], Tensor]:
    """Tangents of outputs of nodes, given those of leaves; those that are zero are left out.

    `order` has all nodes below, each after all that it depends on.
    """
    uses = Counter(edge for node in order for edge in node.next_functions)
    uses.update(targets)  # never used up
    tangents: dict[tuple[Any, int], Tensor] = {
        (get_gradient_edge(leaf).node, 0): t for leaf, t in seeds.items()
    }
    with torch.no_grad():
        for node in order:
            incoming = [tangents.get(edge) for edge in node.next_functions]
            if all(t is None for t in incoming):
                continue
            for edge in node.next_functions:
                uses[edge] -= 1
                if not uses[edge]:
                    tangents.pop(edge, None)
            found = RULES.get(node.name(), transposed)(node, incoming)
            del incoming
            tangents.update({(node, i): t for i, t in enumerate(found) if t is not None})
            del found
    return {target: tangents[target] for target in targets if target in tangents}
