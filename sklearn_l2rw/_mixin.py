"""The method inside skorch: the training step of a NeuralNet with learned example weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from skorch.dataset import get_len, unpack_data
from skorch.utils import is_dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ._checks import check_clean_form, check_parameters
from ._clean_set import CleanBatches, Position
from ._epoch_log import Deferred, EpochLog, check_losses
from ._parameters import MetaParameters, select_parameters
from ._random import seeded
from ._rollback import rollback
from ._rows import as_rows, batch_loader
from ._step import Reweighting
from ._tree import map_leaves, own
from ._weights import per_example

_WHILE_FITTING = ("reweighting_", "epoch_log_")
_NOT_PICKLED = (*_WHILE_FITTING, "fitting_")
_ROW_LOADER_OPTIONS = {"batch_size", "shuffle", "drop_last"}


class _NetObjective(nn.Module):
    """Per-example losses of a skorch net, with the net's modules and criteria as children."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        for name in [*net._modules, *net._criteria]:
            holder = getattr(net, name + "_")
            if isinstance(holder, nn.Module):
                self.add_module(name, holder)
        self._losses = net._example_losses
        self._named = list(self.named_parameters())
        self.fit_params: dict[str, Any] = {}

    def trainable(self) -> dict[str, nn.Parameter]:
        """Parameters that require a gradient at this moment, by name."""
        return {name: p for name, p in self._named if p.requires_grad}

    def forward(self, batch: Any) -> tuple[Tensor, Any]:
        losses: tuple[Tensor, Any] = self._losses(batch, self.fit_params)
        return losses


@contextmanager
def _unreduced(criterion: Any) -> Iterator[None]:
    """Let a criterion return one loss for each example."""
    if not hasattr(criterion, "reduction"):
        yield
        return
    reduction = criterion.reduction
    criterion.reduction = "none"
    try:
        yield
    finally:
        criterion.reduction = reduction


class L2RWMixin:
    """Gives a skorch NeuralNet subclass the training step of L2RW.

    To be placed before the NeuralNet class. The class sets, in its ``__init__``, ``clean_set``,
    ``clean_batch_size``, ``meta_gradient``, ``meta_parameters`` and ``random_state``.
    """

    clean_set: Any
    clean_batch_size: int | None
    meta_gradient: str
    meta_parameters: MetaParameters
    random_state: Any

    # -- fit: all or nothing, on generators of its own --------------------------------------

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        net: Any = self
        with self._fitting(keep=net.warm_start and net.initialized_):
            X, y = self._check_fit(X, y, keep=net.warm_start and net.initialized_)
            return super().fit(X, y, **fit_params)  # type: ignore[misc]

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Any:
        net: Any = self
        if getattr(self, "fitting_", False):  # called by fit
            return super().partial_fit(X, y, classes=classes, **fit_params)  # type: ignore[misc]
        with self._fitting(keep=net.initialized_):
            X, y = self._check_fit(X, y, keep=net.initialized_)
            return super().partial_fit(X, y, classes=classes, **fit_params)  # type: ignore[misc]

    @contextmanager
    def _fitting(self, *, keep: bool) -> Iterator[None]:
        net: Any = self
        check_parameters(self.meta_gradient, self.clean_batch_size)
        check_clean_form(self.clean_set)
        resume = getattr(net, "generator_states_", None) if keep else None
        with rollback(net):
            with seeded(self.random_state, str(net.device), resume) as states:
                net.fitting_ = True
                if not keep:
                    vars(net).pop("clean_position_", None)
                try:
                    yield
                    net.clean_position_ = net.reweighting_.clean_batches.position
                finally:
                    net.fitting_ = False
                    for name in _WHILE_FITTING:
                        vars(net).pop(name, None)
            net.generator_states_ = states

    def _check_fit(self, X: Any, y: Any, *, keep: bool) -> tuple[Any, Any]:
        """Check X, y and the clean set; ``keep`` says that a fit is continued."""
        return X, y

    # -- skorch's seams ---------------------------------------------------------------------

    def initialize(self) -> Any:
        """Initialize all components; see :meth:`skorch.NeuralNet.initialize`."""
        net: Any = self
        if getattr(net, "fitting_", False):
            return super().initialize()  # type: ignore[misc]
        with seeded(self.random_state, str(net.device), None) as states:
            super().initialize()  # type: ignore[misc]
        net.generator_states_ = states
        return self

    def set_params(self, **kwargs: Any) -> Any:
        """Set parameters; see :meth:`skorch.NeuralNet.set_params`."""
        net: Any = self
        if not net.initialized_ or getattr(net, "fitting_", False):
            return super().set_params(**kwargs)  # type: ignore[misc]
        with seeded(self.random_state, str(net.device), None):  # the module may be made anew
            return super().set_params(**kwargs)  # type: ignore[misc]

    def initialize_module(self, *args: Any, **kwargs: Any) -> Any:
        super().initialize_module(*args, **kwargs)  # type: ignore[misc]
        net: Any = self
        if net.module_ is net.module:
            net.module_ = copy.deepcopy(net.module)
        return self

    def initialize_criterion(self, *args: Any, **kwargs: Any) -> Any:
        super().initialize_criterion(*args, **kwargs)  # type: ignore[misc]
        net: Any = self
        if net.criterion_ is net.criterion:
            net.criterion_ = copy.deepcopy(net.criterion)
        return self

    def initialize_history(self) -> Any:
        net: Any = self
        net.history_ = None  # a new one: a failed fit gives the old one back
        return super().initialize_history()  # type: ignore[misc]

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        super().on_train_begin(net, X=X, y=y, **kwargs)  # type: ignore[misc]
        self._start_reweighting()

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)  # type: ignore[misc]
        if training:
            net.reweighting_.new_batch()

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Weigh the batch's examples (Algorithm 1, lines 4 to 10) and differentiate."""
        net: Any = self
        net._set_training(True)
        net.reweighting_.objective.fit_params = fit_params
        step = net.reweighting_.step(batch)
        net.meta_gradient_ = net.reweighting_.plan.name
        return {
            "loss": step.loss,
            "y_pred": step.output,
            "weights": step.weights,
            "clean_loss": step.clean_loss,
        }

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take an optimisation step; see :meth:`skorch.NeuralNet.train_step`."""
        step: dict[str, Any] = super().train_step(batch, **fit_params)  # type: ignore[misc]
        return {**step, "loss": step["loss"].as_subclass(Deferred)}

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        super().on_epoch_begin(net, **kwargs)  # type: ignore[misc]
        net.epoch_log_ = EpochLog()

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        super().on_batch_end(net, batch=batch, training=training, **kwargs)  # type: ignore[misc]
        if training and "weights" in kwargs:
            net.epoch_log_.add(kwargs["weights"], kwargs["clean_loss"])

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        super().on_epoch_end(net, **kwargs)  # type: ignore[misc]
        net.epoch_log_.write(net.history)
        check_losses(net.history)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        super().on_train_end(net, X=X, y=y, **kwargs)  # type: ignore[misc]
        if hasattr(net, "epoch_log_"):  # an interrupted epoch is yet to be written
            net.epoch_log_.write(net.history)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        first = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        loss = super().get_loss(first, y_true, X=X, training=training)  # type: ignore[misc]
        return loss if training or loss.ndim == 0 else loss.mean()

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        net: Any = self
        prefix = "iterator_train" if training else "iterator_valid"
        options = {"batch_size": net.batch_size, **net.get_params_for(prefix)}
        rows = None
        if getattr(net, prefix) is DataLoader and set(options) <= _ROW_LOADER_OPTIONS:
            rows = as_rows(dataset, self._encode)
        if rows is None:
            return super().get_iterator(self._encoded(dataset), training)  # type: ignore[misc]
        if options["batch_size"] == -1:
            options["batch_size"] = len(rows)
        # A DataLoader draws a seed for its workers: in a fit from where skorch's would, but
        # prediction has no need to touch the global generator.
        generator = None if getattr(net, "fitting_", False) else torch.Generator()
        return batch_loader(rows.to(net.device) if training else rows, generator, **options)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        return super().infer(self._cast(x), **fit_params)  # type: ignore[misc]

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {key: value for key, value in state.items() if key not in _NOT_PICKLED}

    # -- pieces -----------------------------------------------------------------------------

    def _example_losses(self, batch: Any, fit_params: Mapping[str, Any]) -> tuple[Tensor, Any]:
        net: Any = self
        Xi, yi = unpack_data(batch)
        y_pred = net.infer(own(Xi), **fit_params)
        with _unreduced(net.criterion_):
            losses = net.get_loss(y_pred, yi, X=Xi, training=True)
        return per_example(losses, get_len(Xi)), y_pred

    def _start_reweighting(self) -> None:
        net: Any = self
        dataset = self._clean_dataset()
        size = net.batch_size if self.clean_batch_size is None else self.clean_batch_size
        size = len(dataset) if size == -1 else int(size)
        # partial_fit goes on drawing where the last fit stopped
        position = getattr(net, "clean_position_", None) or Position.start(torch.initial_seed())
        clean = CleanBatches(dataset, size, net.device, position)
        self._check_clean_batch(clean.peek())
        net._set_training(True)
        net.reweighting_ = Reweighting(_NetObjective(net), clean, self.meta_gradient, self._select)

    def _select(self, objective: nn.Module) -> Mapping[str, nn.Parameter]:
        """Parameters of the meta-gradient, by their names in the objective."""
        if self.meta_parameters is None and isinstance(objective, _NetObjective):
            return objective.trainable()  # those of the criterion too
        chosen = select_parameters(objective.get_submodule("module"), self.meta_parameters)
        return {f"module.{name}": p for name, p in chosen.items()}

    def _clean_dataset(self) -> Any:
        """Take the clean set as rows, or as a data set whose targets are codes."""
        net: Any = self
        clean = self.clean_set if is_dataset(self.clean_set) else net.get_dataset(*self.clean_set)
        rows = as_rows(clean, self._encode)
        return self._encoded(clean) if rows is None else rows

    def _check_clean_batch(self, batch: Any) -> None:
        """Check what the module makes of a clean batch."""

    def _encode(self, y: Any) -> Tensor:
        """Targets as the loss expects them."""
        return torch.as_tensor(y)

    def _encoded(self, dataset: Any) -> Any:
        return dataset

    def _cast(self, X: Any) -> Any:
        """Floating inputs in the module's precision."""
        net: Any = self
        floats = (p.dtype for p in net.module_.parameters() if p.is_floating_point())
        dtype = next(floats, None)
        if dtype is None:
            return X

        def cast(x: Any) -> Any:
            return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x

        return map_leaves(cast, X)
