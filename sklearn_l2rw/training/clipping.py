"""The bound on the norm of a gradient some of which is sparse, as that of embeddings may be."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def clip_sparse(parameters: Sequence[Tensor], max_norm: float) -> None:
    """Scale the gradient of parameters down to a norm of at most `max_norm`.

    As `torch.nn.utils.clip_grad_norm_`, which takes no sparse gradients.
    """
    parts = []
    for p in parameters:
        if p.grad is None:
            continue
        if p.grad.is_sparse:
            p.grad = p.grad.coalesce()  # entries of one place count together
        parts.append(p.grad.values() if p.grad.is_sparse else p.grad)
    norms = [torch.linalg.vector_norm(part) for part in parts]
    total = torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device) for norm in norms]))
    factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for part in parts:
        part.mul_(factor.to(part.device))
