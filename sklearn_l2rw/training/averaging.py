r"""The net that predicts: a running mean of the parameters that training passes through.

Few examples carry a step on learned weights, so the parameters are noisy; their mean is not. With
``a`` the share of the steps that it looks back on, parameters after ``t`` steps are averaged with
weights in proportion to ``t ** k``, ``k = 2 / a - 2`` (polynomial-decay averaging, Shamir and Zhang
2013), so that it is known at any time, whatever follows:

    ``mean_t = mean_{t-1} + (k + 1) / (t + k) * (theta_t - mean_{t-1})``.

Its mean age is that of a plain mean over the last ``a t`` steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy
from torch.optim.swa_utils import update_bn

from ..meta_gradient.generators import generators_untouched
from .fit_state import Fit
from .net import Net

_LOW = (torch.float16, torch.bfloat16)  # in which a small step of a mean is lost


def _tensors(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """What may be averaged, by name: parameters, and running statistics of their outputs."""
    found: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, p in module.named_parameters():
            if not is_lazy(p) and (p.is_floating_point() or p.is_complex()):
                found[f"{name}.{key}"] = p
        for key, layer in module.named_modules():
            if isinstance(layer, _BatchNorm) and not isinstance(layer, LazyModuleMixin):
                statistics = {"mean": layer.running_mean, "var": layer.running_var}
                found |= {
                    f"{name}.{key}.running_{k}": t for k, t in statistics.items() if t is not None
                }
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
        self._live: dict[str, Tensor] = {}  # the modules' own, of the epoch that is under way

    def copy(self) -> Average:
        """Copy of it, for a fit that may fail."""
        twin = Average(self.share)
        twin.steps = self.steps
        twin.mean = {name: t.clone() for name, t in self.mean.items()}
        twin.raw = {name: t.clone() for name, t in self.raw.items()}
        return twin

    @torch.no_grad()
    def update(self, modules: Mapping[str, nn.Module]) -> None:
        """Take in the parameters after a step."""
        if not self._live:
            self._look(modules)
        self.steps += 1
        k = 2 / self.share - 2
        mean = [self.mean[name] for name in self._live]
        ends = [_wide(t) for t in self._live.values()]
        torch._foreach_lerp_(mean, ends, (k + 1) / (self.steps + k))

    def _look(self, modules: Mapping[str, nn.Module]) -> None:
        """See which tensors there are to average; a new one has been constant until now."""
        left_out = _frozen(modules) - self.mean.keys()
        self._live = {name: t for name, t in _tensors(modules).items() if name not in left_out}
        new = self._live.keys() - self.mean.keys()
        self.mean |= {name: _wide(self._live[name].detach()).clone() for name in new}

    def enter(self, modules: Mapping[str, nn.Module]) -> None:
        """Put the mean in the place of the parameters, which are kept."""
        self._live = {}
        if self.raw or not self.mean:
            return
        now = _tensors(modules)
        self.raw = {name: now[name].detach().clone() for name in self.mean if name in now}
        _copy(self.mean, now)

    def leave(self, modules: Mapping[str, nn.Module]) -> None:
        """Put back what training goes on from, unless the modules have been given other values.

        Then these are what it goes on from, and the mean begins anew.
        """
        self._live = {}
        now, raw, self.raw = _tensors(modules), self.raw, {}
        if not raw:
            return
        if raw.keys() <= now.keys() and all(_is(now[name], self.mean[name]) for name in raw):
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
        named = {name: getattr(self, f"{name}_") for name in self._modules}
        return {name: module for name, module in named.items() if isinstance(module, nn.Module)}

    def run_single_epoch(self, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
        """Train on the parameters, and put their mean in their place."""
        average = self._average
        if not training or average is None or self._fit is None:
            super().run_single_epoch(iterator, training, *args, **kwargs)
            return
        average.leave(self._averaged_modules())
        if not self.average:
            self._average = None
        try:
            super().run_single_epoch(iterator, training, *args, **kwargs)
        finally:
            if self._average is not None:
                self._average.enter(self._averaged_modules())

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Take the step into the mean."""
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        if training and self._average is not None and self._fit is not None:
            self._average.update(self._averaged_modules())

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Make the statistics of batch normalization anew, for the mean."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        average, fit = self._average, self._fit
        if average is None or fit is None or not average.raw or fit.trained is None:
            return
        modules = self._averaged_modules()
        inferring = _Inferring(self, modules, fit.fit_params)
        if any(isinstance(m, _BatchNorm) for m in inferring.modules()):
            with generators_untouched(inferring):
                update_bn(self.get_iterator(fit.trained, training=True), inferring)
            now = _tensors(modules)
            average.mean |= {name: _wide(now[name]).clone() for name in average.mean.keys() & now}


class _Inferring(nn.Module):
    """The net's modules, called as the net calls them."""

    def __init__(
        self, net: Any, modules: Mapping[str, nn.Module], fit_params: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.net, self.fit_params = net, fit_params
        self.held = nn.ModuleDict(modules)

    def forward(self, X: Any) -> Any:
        """Output for inputs."""
        return self.net.infer(X, **self.fit_params)
