"""What must be the same before and after: everything that an extra pass could disturb."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.zoo_parts import Problem

KERNELS = ("flash", "mem_efficient", "math", "cudnn")  # of attention


def _settings() -> dict[str, Any]:
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    return {
        "grad mode": torch.is_grad_enabled(),
        "anomaly mode": torch.is_anomaly_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "default dtype": torch.get_default_dtype(),
        "attention": [
            *(getattr(cuda, f"{kernel}_sdp_enabled")() for kernel in KERNELS),
            torch.backends.mha.get_fastpath_enabled(),
        ],
        "cudnn": (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32),
        "mkldnn": torch._C._get_mkldnn_enabled(),
        "global hooks": [
            len(value)
            for name, value in vars(nn.modules.module).items()
            if name.startswith("_global_") and name.endswith("_hooks")
        ],
        "random": random.getstate(),
        "numpy": [
            part.tolist() if isinstance(part, np.ndarray) else part
            for part in np.random.get_state(legacy=True)
        ],
    }


def _structure(module: nn.Module) -> dict[str, Any]:
    """Names, identities and flags of a module and all in it, hooks included."""
    return {
        name: (
            type(part),
            part.training,
            sorted(vars(part)),
            {key: len(value) for key, value in vars(part).items() if key.endswith("_hooks")},
            [
                (key, id(p), p.requires_grad, p.is_leaf, id(p.grad))
                for key, p in part.named_parameters(recurse=False)
            ],
            [(key, id(b)) for key, b in part.named_buffers(recurse=False)],
        )
        for name, part in module.named_modules()
    }


def snapshot(problem: Problem) -> dict[str, Any]:
    """State of the problem and of the process, as it is now."""
    state: dict[str, Any] = {"settings": _settings(), "generator": torch.get_rng_state()}
    for owner, holder in (("module", problem.module), ("loss", problem.loss)):
        if isinstance(holder, nn.Module):
            state[f"structure of the {owner}"] = _structure(holder)
            for name, tensor in holder.state_dict().items():
                state[f"{owner}.{name}"] = tensor.clone()
            for name, p in holder.named_parameters():
                state[f"{owner}.{name}.grad"] = None if p.grad is None else p.grad.clone()
    return state


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for name, value in before.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, after[name]), name
        else:
            assert value == after[name], name
