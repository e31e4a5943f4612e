r"""The net that predicts: a running mean of the parameters that training passes through.

Few examples carry a step on learned weights, so the parameters are noisy; their mean is not. With
``a`` the share of the steps that it looks back on, parameters after ``t`` steps are averaged with
weights that grow as ``t ** k``, ``k = 2 / a - 2`` (polynomial-decay averaging, Shamir and Zhang
2013), so that it is known at any time, whatever follows:

    ``mean_t = mean_{t-1} + (k + 1) / (t + k) * (theta_t - mean_{t-1})``.

Its mean age is that of a plain mean over the last ``a t`` steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from operator import is_not
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.parameter import is_lazy

from ..data.batches import countable
from ..meta_gradient.generators import generators_untouched
from ..meta_gradient.state import buffers_untouched
from .fit_state import Fit
from .net import Net

_LOW = (torch.float16, torch.bfloat16)  # in which a small step of a mean is lost
STATISTICS = (".running_mean", ".running_var")


def _all(modules: Mapping[str, nn.Module]) -> list[Tensor]:
    return [t for m in modules.values() for part in (m.parameters(), m.buffers()) for t in part]


def _tensors(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """What may be averaged, by name: parameters, and running statistics of their outputs."""
    found: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, p in module.named_parameters():
            if not is_lazy(p) and (p.is_floating_point() or p.is_complex()):
                found[f"{name}.{key}"] = p
        for key, layer in module.named_modules():
            if isinstance(layer, _NormBase):
                statistics = (layer.running_mean, layer.running_var)
                for end, tensor in zip(STATISTICS, statistics, strict=True):
                    if tensor is not None and not is_lazy(tensor):
                        found[f"{name}.{key}{end}"] = tensor
    return found


def _frozen(modules: Mapping[str, nn.Module]) -> set[str]:
    pairs = ((name, *pair) for name, m in modules.items() for pair in m.named_parameters())
    return {f"{name}.{key}" for name, key, p in pairs if not p.requires_grad}


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in _LOW else tensor


class Average:
    """Running mean of the parameters of modules, which can take their place.

    Outside of training epochs the modules have the mean, and ``raw`` what training goes on from.

    Parameters
    ----------
    share : float
        Share of the steps that the mean looks back on, in (0, 1).
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.steps = 0
        self.mean: dict[str, Tensor] = {}
        self.raw: dict[str, Tensor] = {}  # empty while training
        self._live: dict[str, Tensor] = {}  # the modules' own, as far as they are averaged
        self._seen: list[Tensor] = []  # all of the modules' tensors, for others to be noticed

    def copy(self) -> Average:
        """Copy of it, for a fit that may fail."""
        twin = Average(self.share)
        twin.steps = self.steps
        twin.mean = {name: t.clone() for name, t in self.mean.items()}
        twin.raw = {name: t.clone() for name, t in self.raw.items()}
        return twin

    def begin(self, modules: Mapping[str, nn.Module]) -> None:
        """Look at what there is to average, before a step."""
        frozen = _frozen(modules) - self.mean.keys()
        self._live = {name: t for name, t in _tensors(modules).items() if name not in frozen}
        self._seen = [t for t in _all(modules) if not is_lazy(t)]
        for name, tensor in self._live.items():  # one that is new has been constant until now
            mean = self.mean.get(name, tensor.detach())
            is_known = name in self.mean and mean.shape == tensor.shape
            source = mean if is_known else tensor.detach()
            self.mean[name] = source.to(_wide(tensor.detach()), copy=True)

    @torch.no_grad()
    def update(self, modules: Mapping[str, nn.Module]) -> None:
        """Take in the parameters after a step."""
        now = _all(modules)
        if len(now) != len(self._seen) or any(map(is_not, now, self._seen)):
            self.begin(modules)  # a lazy layer has been made, or a callback has put in another
        self.steps += 1
        k = 2 / self.share - 2
        mean = [self.mean[name] for name in self._live]
        ends = [_wide(t) for t in self._live.values()]
        if mean:
            torch._foreach_lerp_(mean, ends, (k + 1) / (self.steps + k))

    def enter(self, modules: Mapping[str, nn.Module]) -> None:
        """Put the mean in the place of the parameters, which are kept."""
        self._live, self._seen = {}, []
        if self.raw or not self.mean:
            return
        now = _tensors(modules)
        self.raw = {name: now[name].detach().clone() for name in self.mean if name in now}
        _copy(self.mean, now)

    def leave(self, modules: Mapping[str, nn.Module]) -> None:
        """Put back what training goes on from, unless the parameters were given other values.

        Then these are what it goes on from, and the mean begins anew.
        """
        now, raw, self.raw = _tensors(modules), self.raw, {}
        if not raw:
            return
        parameters = [name for name in raw if not name.endswith(STATISTICS)]
        known = raw.keys() <= now.keys()
        if known and all(_is(now[name], self.mean[name]) for name in parameters):
            _copy(raw, now)
        else:
            self.steps, self.mean = 0, {}


def _is(tensor: Tensor, mean: Tensor) -> bool:
    return tensor.shape == mean.shape and torch.equal(tensor.detach(), mean.to(tensor))


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name in source.keys() & target.keys():
        target[name].copy_(source[name])


class Averaging(Net):
    """skorch's seams around an epoch of training: the mean is what all others see."""

    _fit: Fit | None
    _average: Average | None = None
    cuda_dependent_attributes_: list[str]

    def begin_average(self, *, keep: bool) -> None:
        """Go on from where the last fit stopped, or begin a mean; a fit that fails leaves it."""
        before = self._average if keep else None
        share = self.average or None
        self._average = before.copy() if before is not None else None
        if share is not None:
            self._average = self._average or Average(share)
            self._average.share = share
        known: list[str] = self.cuda_dependent_attributes_
        if "_average" not in known:
            self.cuda_dependent_attributes_ = [*known, "_average"]

    def _averaged_modules(self) -> dict[str, nn.Module]:
        named = {name: getattr(self, f"{name}_") for name in (*self._modules, *self._criteria)}
        return {name: module for name, module in named.items() if isinstance(module, nn.Module)}

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Train on the parameters, and put their mean in their place."""
        average, fit = self._average, self._fit
        iterator = None if iterator is None else countable(iterator)
        epoch = iterator, training, prefix, step_fn
        if not training or average is None or fit is None:
            super().run_single_epoch(*epoch, **fit_params)
            return
        modules = self._averaged_modules()
        average.leave(modules)
        average.begin(modules)
        fit.fit_params = fit_params
        if not self.average:
            self._average = None
        try:
            super().run_single_epoch(*epoch, **fit_params)
        finally:
            if self._average is not None:
                self._average.enter(self._averaged_modules())

    def take_into_mean(self) -> None:
        """Take a step into the mean."""
        if self._average is not None and self._fit is not None:
            self._average.update(self._averaged_modules())

    def trim_for_prediction(self) -> None:
        """Leave out what training alone needs, here and in skorch."""
        super().trim_for_prediction()
        self._average = None

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Make the statistics of batch normalization anew, for the mean."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        average, fit = self._average, self._fit
        if average is None or fit is None or not average.raw or fit.trained is None:
            return
        held = nn.ModuleDict(self._averaged_modules())
        if any(isinstance(layer, _BatchNorm) for layer in held.modules()):
            with suppress(KeyboardInterrupt):  # then those of the mean stay, which are near
                for tensor, value in self._statistics(held, fit):
                    tensor.copy_(value)

    def _statistics(self, held: nn.Module, fit: Fit) -> list[tuple[Tensor, Tensor]]:
        """Mean over the training batches of what they leave in layers of batch normalization.

        `torch.optim.swa_utils.update_bn` does the same, but resets layers that are kept in
        evaluation, too, and leaves traces in other buffers.
        """
        modes = [(module, module.training) for module in held.modules()]
        with buffers_untouched(held), generators_untouched(held):
            self._set_training(True)
            norms = [m for m in held.modules() if isinstance(m, _BatchNorm) and m.training]
            layers = [layer for layer in norms if layer.track_running_stats]
            momenta = [layer.momentum for layer in layers]
            try:
                for layer in layers:
                    layer.reset_running_stats()
                    layer.momentum = None  # a cumulative mean
                for batch in self.get_iterator(fit.trained, training=True) if layers else ():
                    self.infer(batch[0], **fit.fit_params)
                pairs = [t for m in layers for t in (m.running_mean, m.running_var)]
                held_ = [t for t in pairs if t is not None]
                found = [
                    (t, m.clone()) for t, m in zip(held_, fit.processes.mean(held_), strict=True)
                ]
            finally:
                for layer, momentum in zip(layers, momenta, strict=True):
                    layer.momentum = momentum
                for module, mode in modes:
                    module.training = mode
        return found
