"""The bound on the norm of the gradient, of sparse gradients too."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_


def clip_gradient(parameters: Sequence[Tensor], max_norm: float) -> None:
    """Scale the gradient of parameters down to a norm of at most `max_norm`.

    As `torch.nn.utils.clip_grad_norm_`, which takes no sparse gradients, such as embeddings have.
    """
    held = [p for p in parameters if p.grad is not None]
    if not any(p.grad.is_sparse for p in held if p.grad is not None):
        clip_grad_norm_(held, max_norm)
        return
    parts = []
    for p in held:
        assert p.grad is not None
        if p.grad.is_sparse:
            p.grad = p.grad.coalesce()  # entries of one place count together
            parts.append(p.grad.values())
        else:
            parts.append(p.grad)
    norms = [torch.linalg.vector_norm(part) for part in parts]
    total = torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device) for norm in norms]))
    factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for part in parts:
        part.mul_(factor.to(part.device))
