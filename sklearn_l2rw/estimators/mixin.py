"""The method inside skorch: the training step of a NeuralNet with learned example weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from skorch.callbacks import GradientNormClipping
from skorch.dataset import get_len, unpack_data
from skorch.utils import is_dataset, to_tensor
from torch import Tensor, nn

from ..data.checks import check_order_not_needed
from ..data.clean_batches import CleanBatches, Position
from ..data.rows import as_rows
from ..data.tracking import Positions
from ..meta_gradient.parameters import MetaParameters, select_parameters
from ..meta_gradient.state import no_trace
from ..meta_gradient.weights import per_example
from ..nested import own
from ..training.checks import check_copyable
from ..training.epoch_log import Deferred, EpochLog, check_losses
from ..training.fitting import WHILE_FITTING, Fitting
from ..training.health import HealthCheck
from ..training.iterating import Iterating
from ..training.random import seeded
from ..training.step import Reweighting
from .citizen import Citizen

_NOT_PICKLED = (*WHILE_FITTING, "fitting_")


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


class L2RWMixin(Citizen, Fitting, Iterating):
    """Gives any skorch NeuralNet subclass the training step of L2RW.

    To be placed before the NeuralNet class. A criterion with a ``reduction``, or one that returns
    a loss for each example, is needed; targets are passed to it as they are.

    Parameters
    ----------
    module, clean_set, clean_batch_size, meta_gradient, meta_parameters, random_state, \
record_weights, train_split, iterator_train__shuffle
        As in :class:`L2RWClassifier`.
    **kwargs
        All other parameters of the NeuralNet class.

    See Also
    --------
    L2RWClassifier : Documents parameters, attributes and method.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skorch import NeuralNet
    >>> from sklearn_l2rw import L2RWMixin
    >>> class Net(L2RWMixin, NeuralNet):
    ...     pass
    >>> X = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    >>> net = Net(
    ...     torch.nn.Linear, module__in_features=2, module__out_features=2,
    ...     criterion=torch.nn.MSELoss, clean_set=(X[:10], X[:10]), verbose=0,
    ... )
    >>> net.fit(X[10:], X[10:]).predict(X).shape
    (60, 2)

    """

    def __init__(
        self,
        module: Any = None,
        *,
        clean_set: Any = None,
        clean_batch_size: int | None = None,
        meta_gradient: str = "auto",
        meta_parameters: MetaParameters = None,
        random_state: Any = None,
        record_weights: bool | str = True,
        train_split: Any = None,
        iterator_train__shuffle: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(  # type: ignore[call-arg]
            module,
            train_split=train_split,
            iterator_train__shuffle=iterator_train__shuffle,
            **kwargs,
        )
        self.clean_set = clean_set
        self.clean_batch_size = clean_batch_size
        self.meta_gradient = meta_gradient
        self.meta_parameters = meta_parameters
        self.random_state = random_state
        self.record_weights = record_weights

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        *scores, log = super()._default_callbacks  # type: ignore[misc]
        given = [c[1] if isinstance(c, tuple) else c for c in vars(self).get("callbacks") or []]
        if any(c is GradientNormClipping or isinstance(c, GradientNormClipping) for c in given):
            return [*scores, log]
        return [*scores, ("gradient_clipping", GradientNormClipping(1.0)), log]

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
            check_copyable(net.module)
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
        net.health_check_ = HealthCheck(net.history)
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
        step = net.reweighting_.step(self._with_ones(batch), self._batch_prior())
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
        if step["loss"].device.type != "cpu":  # there is something to wait for
            step["loss"] = step["loss"].as_subclass(Deferred)
        return step

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        super().on_epoch_begin(net, **kwargs)  # type: ignore[misc]
        net.epoch_log_ = EpochLog()

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        super().on_batch_end(net, batch=batch, training=training, **kwargs)  # type: ignore[misc]
        if training and "weights" in kwargs:
            net.epoch_log_.add(kwargs["weights"], kwargs["clean_loss"], net.history)
            if "weight_record_" in vars(net):
                rows = self._batch_rows()
                if rows is None:
                    self._stop_recording()
                else:
                    net.epoch_log_.add_rows(net.fit_data_.rows[rows], self._batch_prior())

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        super().on_epoch_end(net, **kwargs)  # type: ignore[misc]
        self._close_epoch()
        check_losses(net.history)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        super().on_train_end(net, X=X, y=y, **kwargs)  # type: ignore[misc]
        if "epoch_log_" in vars(net):  # an interrupted epoch is yet to be written
            self._close_epoch()
        net.health_check_.end()
        self._judge_weights()

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        first = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        loss = super().get_loss(first, y_true, X=X, training=training)  # type: ignore[misc]
        return loss if training or loss.ndim == 0 else loss.mean()

    def _close_epoch(self) -> None:
        """Move what the steps of an epoch left to the history and to the record of weights."""
        net: Any = self
        log = vars(net).pop("epoch_log_")
        log.write(net.history)
        net.health_check_.epoch(net.history[-1]["batches"], len(net.history))
        if "weight_record_" in vars(net):
            net.weight_record_.add_epoch(*log.relative_weights())
            net.example_weights_ = net.weight_record_.mean()
            if self.record_weights == "epochs":
                net.epoch_example_weights_ = net.weight_record_.by_epoch()

    def _stop_recording(self) -> None:
        """Forget weights whose rows are not known."""
        for name in ("weight_record_", "example_weights_", "epoch_example_weights_"):
            vars(self).pop(name, None)

    def _batch_prior(self) -> Tensor | None:
        """What the examples of the current batch count; None for all the same."""
        net: Any = self
        prior = net.fit_data_.prior
        if prior is None:
            return None
        rows = self._batch_rows()
        if rows is None:
            check_order_not_needed(net.fit_data_, training=True)
        of_batch: Tensor = to_tensor(prior[rows], net.device)
        return of_batch

    def _batch_rows(self) -> Positions | None:
        """Rows of the current batch, among those trained on."""
        net: Any = self
        rows: Positions | None = net.loader_.rows
        return rows

    def _with_ones(self, batch: Any) -> Any:
        """A batch of the form that the clean batches have: with weights where these have them."""
        net: Any = self
        if net.fit_data_.clean_prior is None:
            return batch
        return (*batch, torch.ones(get_len(batch[0]), device=net.device))

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {key: value for key, value in state.items() if key not in _NOT_PICKLED}

    # -- pieces -----------------------------------------------------------------------------

    def _example_losses(self, batch: Any, fit_params: Mapping[str, Any]) -> tuple[Tensor, Any]:
        net: Any = self
        Xi, yi, *weights = batch if len(batch) == 3 else unpack_data(batch)
        y_pred = net.infer(own(Xi), **fit_params)
        with _unreduced(net.criterion_):
            losses = net.get_loss(y_pred, yi, X=Xi, training=True)
        losses = per_example(losses, get_len(Xi))
        return losses * weights[0] if weights else losses, y_pred

    def _start_reweighting(self) -> None:
        net: Any = self
        dataset = self._clean_dataset()
        size = net.batch_size if self.clean_batch_size is None else self.clean_batch_size
        size = len(dataset) if size == -1 else int(size)
        # partial_fit goes on drawing where the last fit stopped
        position = getattr(net, "clean_position_", None) or Position.start(torch.initial_seed())
        clean = CleanBatches(dataset, size, net.device, position)
        X_clean = own(clean.peek()[0])
        net._set_training(False)
        with torch.no_grad(), no_trace(net.module_):
            output = net.infer(X_clean)
        self._check_output(output[0] if isinstance(output, tuple) else output)
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
        clean = net.clean_set_ if is_dataset(net.clean_set_) else net.get_dataset(*net.clean_set_)
        prior = net.fit_data_.clean_prior
        weight = None if prior is None else torch.as_tensor(prior)
        rows = as_rows(clean, self._encode, weight)
        return self._encoded(clean, weight) if rows is None else rows

    def _judge_weights(self) -> None:
        """Look at the recorded weights at the end of training."""

    def _check_output(self, output: Any) -> None:
        """Check what the module makes of a clean batch."""
