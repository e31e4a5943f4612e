"""What a skorch net iterates over, and how it calls its module and its criterion."""

from __future__ import annotations

import re
from numbers import Integral
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from ..data.arrays import numpy_knows
from ..data.batches import (
    Batches,
    CollateNumbered,
    Numbered,
    Pairs,
    UnknownRows,
    positions_in,
    refuse_weights,
)
from ..data.items import stacking
from ..data.rows import as_rows, batch_loader, encoded
from ..nested import leaves, logits_of, map_leaves
from ..targets.targets import Targets
from .accelerated import Accelerated
from .calling import called
from .first_look import least_batch
from .fit_state import Fit

# how torch says that a layer takes no integers
_OF_TYPES = re.compile("dtype|datatype|scalar type|Input type|not implemented for")
_ROW_LOADER_OPTIONS = {"batch_size", "shuffle", "drop_last"}


class Iterating(Accelerated):
    """Batches of a net: of rows that are known, encoded and cast as the module takes them."""

    _fit: Fit | None
    targets_: Targets

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Make a loader of a data set; see :meth:`skorch.NeuralNet.get_iterator`."""
        fit = self._fit
        if fit is None or dataset is not fit.dataset or not training:
            return self._other_loader(dataset, training)
        fit.dataset = None  # a callback that asks for it again gets a loader of its own
        rows = self._rows(dataset, "iterator_train", self.targets_.encode)
        in_order = not isinstance(dataset, IterableDataset)
        positions = positions_in(dataset, fit.base) if in_order else None
        if rows is not None:
            loader = self._row_loader(rows, "iterator_train", self.device)
        elif self.iterator_train is DataLoader and in_order:
            coded = encoded(dataset, self.targets_.encode_item)
            loader = super().get_iterator(Numbered(coded), training)
            if loader.batch_sampler is not None:
                loader.collate_fn = CollateNumbered(stacking(loader).collate_fn)
        else:
            coded, positions = encoded(dataset, self.targets_.encode_item), None
            loader = super().get_iterator(coded, training)
            loader = stacking(loader) if self.iterator_train is DataLoader else loader
            loader = self.accelerator.prepare(loader) if self._is_accelerated else loader
            if fit.weight is None:
                return UnknownRows(loader, "iterator_train")
        if positions is None and fit.weight is not None:
            refuse_weights()
        fit.least_batch = least_batch(loader)
        if self._is_accelerated:  # its share of the batches
            loader = self.accelerator.prepare(loader)
        return Batches(loader, positions, fit.weight)

    def _other_loader(self, dataset: Any, training: bool) -> Any:
        """Loader of what is not trained on: validation, prediction, a callback's own."""
        prefix = "iterator_train" if training else "iterator_valid"
        targets = getattr(self, "targets_", Targets(type(self).__name__))
        fitting = self._fit is not None
        rows = self._rows(
            dataset, prefix, targets.encode_checked if fitting else targets.placeholder
        )
        if rows is not None:
            loader = self._row_loader(rows, prefix)
            loader = self.accelerator.prepare(loader) if self._is_accelerated else loader
            return Batches(loader, None)
        loader = super().get_iterator(
            encoded(dataset, targets.encode_item) if fitting else dataset, training
        )
        if getattr(self, prefix) is DataLoader:
            loader = stacking(loader)
            if not fitting and not loader.num_workers and loader.generator is None:
                loader.generator = torch.Generator()  # see _row_loader
        return Pairs(loader, labelled=fitting)

    def get_params_for(self, prefix: str) -> dict[str, Any]:
        """Parameters of a component; the batch size of a loader as an int, as torch wants it."""
        options: dict[str, Any] = super().get_params_for(prefix)
        if prefix in ("iterator_train", "iterator_valid"):
            size = options.setdefault("batch_size", self.batch_size)
            options["batch_size"] = int(size) if isinstance(size, Integral) else size
        return options

    def _rows(self, dataset: Any, prefix: str, encode: Any) -> Any:
        """Rows of a data set that can be indexed a batch at a time; None for any other."""
        known = set(self.get_params_for(prefix)) <= _ROW_LOADER_OPTIONS
        return as_rows(dataset, encode) if getattr(self, prefix) is DataLoader and known else None

    def _row_loader(self, rows: Any, prefix: str, device: Any = "cpu") -> Any:
        options = self.get_params_for(prefix)
        if options["batch_size"] == -1:
            options["batch_size"] = len(rows)
        # A DataLoader draws a seed for its workers: in a fit from where skorch's would, but
        # prediction has no need to touch the global generator.
        generator = torch.Generator() if self._fit is None else None
        return batch_loader(rows, device, generator, **options)

    def evaluation_step(self, batch: Any, training: bool = False) -> Any:
        """Output for a batch, in a precision that NumPy has."""
        output = super().evaluation_step(batch, training=training)
        if isinstance(output, tuple):
            return tuple(numpy_knows(x) if isinstance(x, Tensor) else x for x in output)
        return numpy_knows(output) if isinstance(output, Tensor) else output

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Apply the module, to floats where it cannot take integers.

        A tuple or list of inputs is given to it as arguments, if it takes so many. Of an output
        with names, such as a dict, a dataclass or a ``ModelOutput``, its ``logits`` are returned.
        """
        if isinstance(x, Tensor) and x.is_floating_point():
            return self._call(x.to(precision(self.module_) or x.dtype), fit_params)
        x = _cast_floats(x, self.module_)
        if not _has_integers(x):
            return self._call(x, fit_params)
        if getattr(self, "integers_are_floats_", False):
            return self._call(_cast_integers(x, self.module_), fit_params)
        try:
            return self._call(x, fit_params)
        except (RuntimeError, ValueError) as error:
            try:
                output = self._call(_cast_integers(x, self.module_), fit_params)
            except (RuntimeError, ValueError) as of_floats:
                raise (of_floats if _OF_TYPES.search(str(error)) else error) from None
        if self._fit is not None:
            self.integers_are_floats_ = True
        return output

    def _call(self, x: Any, fit_params: Any) -> Any:
        below = super().infer
        if isinstance(x, list) and getattr(below, "__func__", None) is NeuralNet.infer:
            return called(self, below, x, fit_params)
        output = below(x, **fit_params)
        return output if isinstance(output, Tensor) else logits_of(output)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        """Loss of the (first) output; see :meth:`skorch.NeuralNet.get_loss`."""
        first = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        if getattr(self, "targets_", None) is not None and self.targets_.reshapes:
            y_true = self.targets_.like_output(y_true, first)
        loss = super().get_loss(first, y_true, X=X, training=training)
        validates = self._fit is not None and not training
        return loss.mean() if validates and loss.ndim > 0 else loss


def precision(module: nn.Module) -> torch.dtype | None:
    """Find the type of a module's first parameter of floats; None where it has none."""
    floats = (p.dtype for p in module.parameters() if p.is_floating_point())
    return next(floats, None)


def _is_integer(x: Any) -> bool:
    return isinstance(x, Tensor) and not x.is_floating_point() and not x.is_complex()


def _has_integers(X: Any) -> bool:
    """Tell whether some array of X holds integers or booleans."""
    return any(_is_integer(x) for x in leaves(X))


def _cast_floats(X: Any, module: nn.Module) -> Any:
    """Floating inputs in the module's precision."""
    dtype = precision(module)
    return map_leaves(
        lambda x: x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x, X
    )


def _cast_integers(X: Any, module: nn.Module) -> Any:
    """Integer inputs as floats in the module's precision."""
    dtype = precision(module) or torch.get_default_dtype()
    return map_leaves(lambda x: x.to(dtype) if _is_integer(x) else x, X)
