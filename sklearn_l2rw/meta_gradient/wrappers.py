"""What a module is wrapped in: who shares its batches by that, and what cannot be shared."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from .processes import ALONE, Alone, Several

_SHARDED = ("FullyShardedDataParallel", "FSDPModule", "DeepSpeedEngine", "PipelineStage")


def processes_of(module: Any) -> tuple[Any, Alone]:
    """The bare module, and the processes that share a batch by its DistributedDataParallel."""
    if not (dist.is_available() and dist.is_initialized() and isinstance(module, nn.Module)):
        return module.module if isinstance(module, DistributedDataParallel) else module, ALONE
    if isinstance(module, DistributedDataParallel):
        bare, size = module.module, dist.get_world_size(module.process_group)
        check_whole(bare, size)
        if size == 1:
            return bare, ALONE
        _check_wrapper(module)
        device = next((p.device for p in bare.parameters()), torch.device("cpu"))
        return bare, Several(module.process_group, device, buffers=module.broadcast_buffers)
    check_whole(module, 1)
    if dist.get_world_size() > 1:
        warnings.warn(
            f"Got a bare module in one of {dist.get_world_size()} processes: weights and gradient "
            "are of this process's batch alone. Give the module in DistributedDataParallel, "
            "unless that is meant.",
            UserWarning,
            stacklevel=3,
        )
    return module, ALONE


def _check_wrapper(module: DistributedDataParallel) -> None:
    if module._join_config.enable:
        raise ValueError(
            "Got a module within DistributedDataParallel's join(), but expected as many steps in "
            "each process. Leave it out, and drop the last batches that not all processes have."
        )
    if module.mixed_precision is not None:
        raise ValueError(
            "Got DistributedDataParallel with mixed_precision, but expected the parameters that "
            "are trained. Use torch.autocast in the module's forward."
        )


def check_whole(module: nn.Module, size: int) -> None:
    """Check that nothing below a module has an understanding of its own with other processes."""
    for part in module.modules():
        name = type(part).__name__
        sharded = any(kind.__name__ in _SHARDED for kind in type(part).__mro__)
        if sharded or any(hasattr(p, "device_mesh") for p in part._parameters.values()):
            raise ValueError(
                f"Got parameters that are shared out among processes ({name}), but expected whole "
                "ones. Use DistributedDataParallel."
            )
        if isinstance(part, DistributedDataParallel):
            raise ValueError(
                "Got DistributedDataParallel inside of another module, but expected it around "
                "the whole: DistributedDataParallel(torch.compile(module)), for instance."
            )
        if size > 1 and isinstance(part, nn.SyncBatchNorm):
            raise ValueError(
                "Got SyncBatchNorm, by which the examples of all processes interact, but expected "
                "passes that are each process's own. Use BatchNorm, whose statistics are those "
                "of a process's share."
            )
