"""The components of a net, each made anew or a copy, and never the user's own."""

from __future__ import annotations

from typing import Any

from .accelerated import Accelerated, check_accelerator, device_of
from .averaging import Averaging
from .checks import check_device
from .copying import copy_of
from .fit_state import Fit
from .making import check_made, making
from .seeding import seeded

_LOADERS = ("iterator_train", "iterator_valid", "dataset")


class Components(Averaging, Accelerated):
    """skorch's seams where module, criterion and optimizer are made."""

    _fit: Fit | None = None
    module_: Any
    criterion_: Any
    optimizer: Any

    def initialize(self) -> Any:
        """Initialize all components; see :meth:`skorch.NeuralNet.initialize`."""
        if self._fit is not None:
            return self._initialize()
        with seeded(self.random_state, device_of(self), None) as states:
            self._initialize()
        self.generator_states_ = states
        return self

    def _initialize(self) -> Any:
        if self._is_accelerated:
            check_accelerator(self.accelerator)
        super().initialize()
        return self._initialize_accelerator() if self._is_accelerated else self

    def set_params(self, **kwargs: Any) -> Any:
        """Set parameters; see :meth:`skorch.NeuralNet.set_params`."""
        if not self.initialized_ or self._fit is not None:
            return super().set_params(**kwargs)
        check_device(kwargs.get("device", self.device))  # else no later call could put it right
        for name in [name for name in kwargs if name.startswith(_LOADERS)]:
            setattr(self, name, kwargs.pop(name))  # skorch has nothing to make anew, and fails
        optimizer = kwargs.pop("optimizer", self.optimizer)
        if optimizer is not self.optimizer:  # as with a criterion, which skorch makes anew
            self.optimizer = optimizer
            self._initialize_optimizer()
        with seeded(self.random_state, device_of(self), None):  # the module may be made anew
            return super().set_params(**kwargs)

    def initialize_module(self, *args: Any, **kwargs: Any) -> Any:
        """Make the module, a copy of one that was given."""
        with making("module", self.module):
            super().initialize_module(*args, **kwargs)
        check_made(self)
        for name in ("_chooser", "integers_are_floats_"):  # what was found out about the last one
            self.__dict__.pop(name, None)
        if self.module_ is self.module:
            self.module_ = copy_of(self.module)
        self.begin_average(keep=False)
        return self

    def initialize_criterion(self, *args: Any, **kwargs: Any) -> Any:
        """Make the criterion, a copy of one that was given."""
        with making("criterion", self.criterion):
            super().initialize_criterion(*args, **kwargs)
        check_made(self)
        self.__dict__.pop("_chooser", None)
        if self.criterion_ is self.criterion:
            self.criterion_ = copy_of(self.criterion)
        return self

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """Make the optimizer; see :meth:`skorch.NeuralNet.initialize_optimizer`."""
        with making("optimizer", self.optimizer):
            return super().initialize_optimizer(*args, **kwargs)
