"""A fit in several processes, each with its share of the rows, by skorch's AccelerateMixin."""

from __future__ import annotations

from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from ..data.batches import Batch
from ..data.checksum import checksum
from ..data.clean_batches import Position
from ..data.rows import Rows
from ..meta_gradient.processes import ALONE, Alone, Several
from ..meta_gradient.wrappers import check_whole
from .fit_state import Fit
from .net import Net

_DISTRIBUTED = {"NO", "MULTI_CPU", "MULTI_GPU", "MULTI_NPU", "MULTI_XPU", "MULTI_HPU", "MULTI_MLU"}


def is_skorchs(owner: type) -> bool:
    """Whether a class is skorch's AccelerateMixin, which is not imported for that."""
    return owner.__name__ == "AccelerateMixin" and owner.__module__.partition(".")[0] == "skorch"


def accelerator_of(net: Any) -> Any:
    """Accelerator of a net with skorch's AccelerateMixin; None of any other."""
    return net.accelerator if net._is_accelerated else None


def device_of(net: Any) -> torch.device:
    """Device of a net's batches; with ``device=None`` it is where accelerator or module are."""
    if net.device is not None:
        return torch.device(net.device)
    accelerator = accelerator_of(net)
    if accelerator is not None and accelerator.device_placement:
        return torch.device(accelerator.device)
    module = getattr(net, "module_", net.module)
    parameters = module.parameters() if isinstance(module, nn.Module) else iter(())
    return next((p.device for p in parameters), torch.device("cpu"))


def layers_of(net: Any) -> list[nn.Module]:
    """All layers of a net's modules."""
    return [layer for name in net._modules for layer in getattr(net, f"{name}_").modules()]


def check_accelerator(accelerator: Any) -> None:
    """Check that a step on learned weights is what the accelerator makes of it, too."""
    found = {
        f"mixed_precision={accelerator.mixed_precision}": (
            accelerator.mixed_precision not in ("no", "bf16")
        ),
        f"gradient_accumulation_steps={accelerator.gradient_accumulation_steps}": (
            accelerator.gradient_accumulation_steps != 1
        ),
        f"distributed_type={accelerator.distributed_type}": (
            str(getattr(accelerator.distributed_type, "value", "NO")) not in _DISTRIBUTED
        ),
        "even_batches=False": accelerator.num_processes > 1 and not accelerator.even_batches,
        "dispatch_batches=True": bool(accelerator.dispatch_batches),
    }
    wrong = [name for name, holds in found.items() if holds]
    if wrong:
        raise ValueError(
            f"Got an accelerator with {' and '.join(wrong)}, but expected no loss scaling "
            "(mixed_precision 'no' or 'bf16'), steps of one batch each "
            "(gradient_accumulation_steps=1; use a larger batch_size), whole parameters in each "
            "process (no FSDP, DeepSpeed, Megatron), as many steps in each (even_batches=True), "
            "and batches that each process reads for itself (dispatch_batches=None)."
        )


def join(net: Any) -> Alone:
    """Begin training: the processes that a net is trained in, all with the first's parameters."""
    held = {name: getattr(net, f"{name}_") for name in (*net._modules, *net._criteria)}
    wrapped = [name for name, m in held.items() if isinstance(m, DistributedDataParallel)]
    if wrapped:
        raise ValueError(
            f"Got {', '.join(wrapped)} in DistributedDataParallel, but expected it bare. For a "
            "fit in several processes use skorch's AccelerateMixin, which gives each its rows: "
            "class Net(AccelerateMixin, L2RWClassifier)."
        )
    accelerator = accelerator_of(net)
    if accelerator is None or accelerator.num_processes == 1:
        return ALONE
    processes = Several(None, torch.device(accelerator.device))
    modules = [m for m in held.values() if isinstance(m, nn.Module)]
    for module in modules:
        check_whole(module, processes.size)
    tensors = [t for m in modules for part in (m.parameters(), m.buffers()) for t in part]
    processes.first([t for t in tensors if not is_lazy(t)])
    return processes


class Accelerated(Net):
    """Takes the place of what skorch's AccelerateMixin does to modules and steps."""

    _fit: Fit | None
    _is_accelerated = False
    _wrapped_with_accelerator: bool
    accelerator: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Put our methods first where AccelerateMixin goes before, which calls no super's."""
        super().__init_subclass__(**kwargs)
        mro = cls.__mro__
        if NeuralNet in mro and any(map(is_skorchs, mro[mro.index(NeuralNet) :])):
            raise TypeError(
                f"Got {cls.__name__} with AccelerateMixin behind the net among its bases, where it "
                "does nothing, but expected it before: class Net(AccelerateMixin, L2RWClassifier), "
                "for instance."
            )
        cls._is_accelerated = any(map(is_skorchs, mro))
        for name in ("initialize", "train_step_single", "_initialize_accelerator"):
            owners = [kind for kind in mro if name in vars(kind)]
            if owners and is_skorchs(owners[0]):
                setattr(cls, name, vars(owners[1])[name])

    def _initialize_accelerator(self) -> Any:
        """Prepare all for the accelerator, but for DistributedDataParallel (see `processes`)."""
        if self._wrapped_with_accelerator:
            return self
        check_accelerator(self.accelerator)
        for name in (*self._criteria, *self._modules):
            module = getattr(self, f"{name}_")
            if isinstance(module, nn.Module):
                with self._current_init_context("module"):
                    module = self.accelerator.prepare_model(module, evaluation_mode=True)
                    setattr(self, f"{name}_", module)
        for name in self._optimizers:
            optimizer = getattr(self, f"{name}_")
            if isinstance(optimizer, torch.optim.Optimizer):
                with self._current_init_context("optimizer"):
                    setattr(self, f"{name}_", self.accelerator.prepare(optimizer))
        self._wrapped_with_accelerator = True
        return self

    def gathered(self, method_name: str, told: dict[str, Any]) -> dict[str, Any]:
        """Targets and outputs of a validation batch of all processes, for callbacks to score."""
        if method_name != "on_batch_end" or told.get("training"):
            return told
        X, y = told["batch"]
        if not isinstance(y, Tensor):
            return told
        y, y_pred = self.accelerator.gather_for_metrics((y, told["y_pred"]))
        return {**told, "batch": Batch(X, y), "y_pred": y_pred}

    def validation_step(self, batch: Any, **fit_params: Any) -> Any:
        """Loss of all processes, by which callbacks in all of them stop at the same epoch."""
        step = super().validation_step(batch, **fit_params)
        processes = ALONE if self._fit is None else self._fit.processes
        return {**step, "loss": processes.mean([step["loss"].detach()])[0]}


def same_place(position: Position, processes: Alone) -> Position:
    """The first process's place in the stream of clean batches."""
    if not isinstance(processes, Several):
        return position
    state, drawn = position.generator.clone(), torch.tensor([position.drawn])
    processes.first([state, drawn])
    return Position(state, int(drawn))


def check_clean(source: Any, targets: Any, weight: Tensor | None, processes: Alone) -> None:
    """Check that all processes have the same clean set, as far as it is in memory."""
    if not isinstance(processes, Several):
        return
    arrays = [source.X, source.y] if isinstance(source, Rows) else targets
    processes.check_same(
        "examples of the clean set",
        [len(source), checksum([arrays, weight])],
        "Each process is given the whole of it, in one order; where rows are split off X, set "
        "random_state.",
    )


def clean_batch_size(net: Any, n: int, processes: Alone) -> tuple[int, tuple[int, int]]:
    """Number of clean examples in a step, and this process's part of them.

    Each has its share, unless there are too few. With BatchNorm a clean batch that is no larger
    than a process's batch is the whole of each process's: of few examples, statistics are poor.
    """
    of_loader = net.get_params_for("iterator_train").get("batch_size", net.batch_size)
    batch = n if of_loader in (None, -1) else int(of_loader)
    k, asked_for = processes.size, int(net.clean_batch_size or 0)  # which may be NumPy's
    if k == 1:
        return asked_for or batch, (0, 1)
    of_step, of_one = (batch, batch // k) if net.accelerator.split_batches else (batch * k, batch)
    size = min(asked_for or of_step, n)
    normalizes = any(isinstance(layer, _BatchNorm) for layer in layers_of(net))
    whole = size < k or (normalizes and (size <= of_one or size < 2 * k))
    return size, (0, 1) if whole else (processes.rank, k)
