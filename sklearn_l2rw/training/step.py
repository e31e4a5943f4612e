"""skorch's seams of a training step and of an epoch: weighted steps, and what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import GradientNormClipping
from torch import nn
from torch.nn.utils import clip_grad_norm_

from ..data.batches import Batch, Uneven
from ..data.clean_batches import CleanBatches, Position
from ..data.items import stack_items
from ..data.rows import as_rows, encoded
from ..meta_gradient.algorithm import Link
from ..meta_gradient.choice import Chooser
from ..meta_gradient.gradients import at_output, before_sigmoid, before_softmax
from ..meta_gradient.state import no_trace, perturbed
from ..nested import copied
from ..targets.targets import Targets
from .accelerated import (
    Accelerated,
    accelerator_of,
    check_clean,
    clean_batch_size,
    device_of,
    is_skorchs,
    join,
    same_place,
)
from .averaging import Averaging
from .checks import check_callbacks
from .clipping import clip_sparse
from .epoch_log import EpochLog, check_losses
from .first_look import check_clean_losses, check_n_rows, check_range, check_single, told_by_shapes
from .fit_state import Fit
from .health import HealthCheck
from .iterate import precision
from .recording import RECORDED
from .reweighting import NetObjective, Reweighting

_WITH_BATCH = ("on_batch_begin", "on_batch_end", "on_grad_computed")
_COUNTS = 0.01  # of what the mean example counts


class Stepping(Averaging, Accelerated):
    """Training steps on weighted losses."""

    _fit: Fit | None
    targets_: Targets

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Weigh the batch's examples, and differentiate (see `meta_gradient.composed`)."""
        fit = self._fit or self._needs_fit("train_step")
        batch = batch.batch if isinstance(batch, Uneven) else batch
        self._set_training(True)
        if fit.reweighting is None or not fit.reweighting.objective.is_of(self):
            fit.reweighting = self._reweighting(fit, fit_params)
            self._check_items(fit, fit.reweighting, batch[0], fit_params)
        fit.reweighting.objective.fit_params = fit_params
        step = fit.reweighting.step(batch)
        self.meta_gradient_ = fit.reweighting.chooser.name
        return step

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Forget the weights of the batch before, which may have been the same object."""
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)
        if training and self._fit is not None and self._fit.reweighting is not None:
            self._fit.reweighting.last = None

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        """Bound the update, unless a callback of the user's does."""
        super().on_grad_computed(net, named_parameters, **kwargs)
        self._check_weighed("train_step_single")
        clips = self._fit is not None and not self._fit.clips_itself
        if self.max_grad_norm is not None and clips:
            parameters = [p for _, p in named_parameters]
            sparse = any(p.grad is not None and p.grad.is_sparse for p in parameters)
            (clip_sparse if sparse else clip_grad_norm_)(parameters, self.max_grad_norm)

    def _check_weighed(self, name: str) -> None:
        """Check that other classes, if they override a method, have let this one's step be taken.

        A subclass of ours may take a step as it likes; a mixin that does not know of us may not.
        """
        fit = self._fit
        if fit is None or (fit.reweighting is not None and fit.reweighting.last is not None):
            return
        mro, ours = type(self).__mro__, getattr(Stepping, name, None)
        before = [kind for kind in mro[: mro.index(Stepping)] if not is_skorchs(kind)]
        if name == "train_step":
            before = [kind for kind in before if not issubclass(kind, Stepping)]
        kinds = [kind for kind in before if vars(kind).get(name, ours) is not ours]
        if kinds:
            raise TypeError(
                "Got a training step without learned weights, by "
                f"{' or '.join(f'{kind.__name__}.{name}' for kind in kinds)}, but expected one "
                f"that calls super().{name}, or a class that stands behind L2RWMixin among the "
                "bases."
            )

    def _reweighting(self, fit: Fit, fit_params: Any) -> Reweighting:
        """Make the state of the method, now that callbacks have had their say about the net."""
        replaced = fit.reweighting
        if replaced is not None:  # a callback has made the module anew
            self.__dict__.pop("_chooser", None)
        clean = self._clean_batches(fit) if replaced is None else replaced.clean_batches
        objective = NetObjective(self)
        objective.fit_params = fit_params
        self._check_data(fit, objective, clean, fit_params)
        chooser = self.__dict__.get("_chooser")
        if chooser is None or chooser.meta_gradient != self.meta_gradient:
            self._check_output(objective, clean, fit_params)
            chooser = self._chooser = Chooser(self.meta_gradient)
        return Reweighting(
            objective, clean, chooser, self.meta_parameters, self._link(), fit.processes
        )

    def _link(self) -> Link:
        """From the gradient at the module's output to that at its logits, if it has some."""
        criterion = getattr(self, "criterion_", None)  # a net may name its own otherwise
        if isinstance(criterion, nn.NLLLoss) and isinstance(self, NeuralNetClassifier):
            return before_softmax
        return before_sigmoid if isinstance(criterion, nn.BCELoss) else at_output

    def _clean_batches(self, fit: Fit) -> CleanBatches:
        """Take the clean set as rows, or as a data set whose targets are codes."""
        examples = fit.clean
        dataset = examples.X if examples.in_dataset else self.get_dataset(examples.X, examples.y)
        # A Dataset, and rows of X, go through the user's function; arrays are a batch already.
        as_items = examples.in_dataset or hasattr(self, "clean_indices_")
        collate = self.get_params_for("iterator_train").get("collate_fn") if as_items else None
        source = as_rows(dataset, self.targets_.encode) if collate is None else None
        if source is None:
            source = encoded(dataset, self.targets_.encode_item)
        # partial_fit goes on drawing where the last fit stopped
        position = getattr(self, "clean_position_", None) or Position.start(torch.initial_seed())
        position = same_place(position, fit.processes)
        weight = None if fit.clean_weight is None else torch.as_tensor(fit.clean_weight)
        check_clean(source, examples.targets, weight, fit.processes)
        size, part = clean_batch_size(self, len(dataset), fit.processes)
        device = self.device if accelerator_of(self) is None else device_of(self)
        return CleanBatches(source, size, device, position, weight, part, collate or stack_items)

    def _check_output(self, objective: NetObjective, clean: CleanBatches, fit_params: Any) -> None:
        """Look at what the module returns for a clean batch, before the first step."""
        X, y, *_ = clean.peek()
        self._set_training(False)
        with torch.no_grad(), no_trace(objective):
            with told_by_shapes(X):
                outputs = [self.infer(copied(X), **fit_params)]
            with perturbed(objective, 0.1):  # probabilities are so anywhere
                outputs.append(self.infer(copied(X), **fit_params))
        first = [output[0] if isinstance(output, tuple) else output for output in outputs]
        if self.targets_.n_outputs is not None:
            check_n_rows(first[0], len(y))
        self.targets_.check_output(first, getattr(self, "criterion_", None))
        with torch.no_grad(), no_trace(objective), told_by_shapes(X):
            losses, _ = objective((X, y))
        check_clean_losses(losses)
        self._set_training(True)

    def _check_items(self, fit: Fit, reweighting: Reweighting, X: Any, fit_params: Any) -> None:
        """Check that the module takes a Dataset's items, which are not compared with earlier X."""
        given = [(X, "X")] if fit.examples.in_dataset else []
        if fit.clean.in_dataset:
            given.append((reweighting.clean_batches.peek()[0], "the clean set"))
        self._set_training(False)
        for batch, name in given:
            with torch.no_grad(), no_trace(reweighting.objective), told_by_shapes(batch, name):
                self.infer(copied(batch), **fit_params)
        self._set_training(True)

    def _check_data(
        self, fit: Fit, objective: NetObjective, clean: CleanBatches, fit_params: Any
    ) -> None:
        """Check, before the first step, that the module can take all numbers and all batches."""
        for examples, name in ((fit.examples, "X"), (fit.clean, "X of the clean_set")):
            check_range(examples.inputs, precision(objective), name)
        if fit.processes.size > 1 or 1 not in (fit.least_batch, clean.batch_size):
            return
        with no_trace(objective):
            X = clean.peek()[0]
            check_single(self, X, fit_params, last=fit.least_batch == 1)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a callback method; callbacks see labels where the loss sees codes."""
        if self._fit is not None and self._fit.processes.size > 1:
            cb_kwargs = self.gathered(method_name, cb_kwargs)
        if isinstance(cb_kwargs.get("batch"), Uneven):
            cb_kwargs["batch"] = cb_kwargs["batch"].batch
        if method_name in _WITH_BATCH and self._fit is not None and self.targets_.decodes:
            batch = cb_kwargs["batch"]
            known = (batch.rows, batch.weight) if isinstance(batch, Batch) else ()
            cb_kwargs["batch"] = Batch(batch[0], self.targets_.decode(batch[1]), *known)
        try:
            super().notify(method_name, **cb_kwargs)
        finally:  # callbacks have had their say about the parameters; Ctrl-C in one comes after
            if method_name == "on_batch_end" and cb_kwargs.get("training"):
                self.take_into_mean()

    # -- what is kept -----------------------------------------------------------------------

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Begin to watch the health of training."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        fit = self._fit or self._needs_fit("on_train_begin")
        fit.processes = join(self)
        fit.health = HealthCheck(self.history)
        check_callbacks(self)
        callbacks = (callback for _, callback in self.callbacks_)
        fit.clips_itself = any(isinstance(c, GradientNormClipping) for c in callbacks)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin a log."""
        super().on_epoch_begin(net, **kwargs)
        (self._fit or self._needs_fit("on_epoch_begin")).log = EpochLog()

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Keep what a step leaves."""
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        fit = self._fit
        if fit is None or fit.log is None or not training:
            return
        self._check_weighed("train_step")
        if fit.reweighting is None or "weights" not in kwargs:
            return
        batch = batch if isinstance(batch, Batch) else Batch(*batch)
        step: Mapping[str, Any] = kwargs
        if fit.processes.size > 1:
            batch, step = fit.reweighting.whole(batch, step)
            self.history.record_batch("train_batch_size", len(step["weights"]))
        fit.log.add(batch, step, self._lr(), self.history)
        if batch.rows is None:  # weights whose rows are not known are no record
            fit.record = None

    def _lr(self) -> float:
        """Learning rate of the step that was taken."""
        try:
            return float(self.optimizer_.param_groups[0].get("lr", self.lr))
        except (AttributeError, TypeError, IndexError):  # an optimizer may be anything
            return float("nan")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Close the log."""
        super().on_epoch_end(net, **kwargs)
        self._close_epoch(self._needs_fit("on_epoch_end"))
        check_losses(self.history)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Keep the weights, and look at what training came to."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        fit = self._needs_fit("on_train_end")
        self._close_epoch(fit)  # an interrupted epoch is yet to be written
        fit.health.end()
        labels = self.targets_.classes_of(fit.examples.targets)
        if labels is not None and fit.record is not None:
            weights = fit.record.mean()[fit.rows]
            if fit.weight is not None:  # a class may be left aside because the user says so
                weights[fit.weight < _COUNTS] = np.nan
            fit.health.classes(weights, labels)

    def _close_epoch(self, fit: Fit) -> None:
        """Move what the steps of an epoch left to the history and to the record of weights."""
        log, fit.log = fit.log, None
        if log is None:
            return
        log.write(self.history)
        fit.health.epoch(self.history[-1]["batches"], len(self.history))
        for name in RECORDED:
            self.__dict__.pop(name, None)
        if fit.record is not None:
            rows, weights, values = log.of_rows()
            fit.record.add_epoch(fit.rows[rows], weights, values)
            self.example_weights_ = fit.record.mean()
            self.example_values_ = fit.record.values()
            if self.record_weights == "epochs":
                self.epoch_example_weights_ = fit.record.by_epoch()
