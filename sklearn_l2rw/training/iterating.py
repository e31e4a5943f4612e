"""Batches of a net: whole, of rows that are known, encoded and cast as the module takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from ..data.checks import check_order_not_needed
from ..data.dtypes import cast_floats, cast_integers, has_integers
from ..data.rows import Encoded, as_rows, batch_loader
from ..data.tracking import CollateNumbered, Numbered, Tracked, positions_in
from .recording import WeightRecord

_ROW_LOADER_OPTIONS = {"batch_size", "shuffle", "drop_last"}


class Iterating:
    """What a skorch net iterates over, and how it calls its module."""

    record_weights: bool | str

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        net: Any = self
        prefix = "iterator_train" if training else "iterator_valid"
        options = {"batch_size": net.batch_size, **net.get_params_for(prefix)}
        rows = None
        if getattr(net, prefix) is DataLoader and set(options) <= _ROW_LOADER_OPTIONS:
            rows = as_rows(dataset, self._encode)
        if rows is None:
            return self._skorch_iterator(dataset, training)
        if options["batch_size"] == -1:
            options["batch_size"] = len(rows)
        # A DataLoader draws a seed for its workers: in a fit from where skorch's would, but
        # prediction has no need to touch the global generator.
        generator = None if getattr(net, "fitting_", False) else torch.Generator()
        loader = batch_loader(rows.to(net.device) if training else rows, generator, **options)
        return self._tracked(loader, dataset, training)

    def _skorch_iterator(self, dataset: Any, training: bool) -> Any:
        """Iterate as skorch does; over a DataLoader of ours we know which rows a batch has."""
        net: Any = self
        make = super().get_iterator  # type: ignore[misc]
        dataset = self._encoded(dataset)
        known = net.iterator_train is DataLoader and not isinstance(dataset, IterableDataset)
        if not (training and known and "fit_data_" in vars(net)):
            check_order_not_needed(vars(net).get("fit_data_"), training)
            return make(dataset, training)
        loader = make(Numbered(dataset), training)
        if loader.batch_sampler is not None:
            loader.collate_fn = CollateNumbered(loader.collate_fn)
        return self._tracked(loader, dataset, training)

    def _tracked(self, loader: Any, dataset: Any, training: bool) -> Any:
        net: Any = self
        if not training or "fit_data_" not in vars(net):
            return Tracked(loader, np.arange(len(dataset)))
        base = dataset.dataset if isinstance(dataset, Encoded) else dataset
        data = net.fit_data_
        positions = positions_in(base, data.base)
        if positions is None:
            check_order_not_needed(data, training)
            return Tracked(loader, np.arange(len(dataset)))
        net.loader_ = Tracked(loader, positions)
        if self.record_weights:
            net.weight_record_ = WeightRecord(data.n_rows, epochs=self.record_weights == "epochs")
        return net.loader_

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Apply the module, to floats where it cannot take integers."""
        infer = super().infer  # type: ignore[misc]
        x = cast_floats(x, self.module_)  # type: ignore[attr-defined]
        if not has_integers(x):
            return infer(x, **fit_params)
        if getattr(self, "integers_are_floats_", False):
            return infer(cast_integers(x, self.module_), **fit_params)  # type: ignore[attr-defined]
        try:
            return infer(x, **fit_params)
        except (RuntimeError, ValueError) as error:
            try:
                output = infer(cast_integers(x, self.module_), **fit_params)  # type: ignore[attr-defined]
            except (RuntimeError, ValueError):
                raise error from None
        if getattr(self, "fitting_", False):
            self.integers_are_floats_ = True
        return output

    def _encode(self, y: Any) -> Tensor:
        """Targets as the loss expects them."""
        return torch.as_tensor(y)

    def _encode_item(self, y: Any) -> Tensor:
        """Targets of a data set that is asked item by item; they were not checked before."""
        return self._encode(y)

    def _encoded(self, dataset: Any, weight: Tensor | None = None) -> Any:
        """Wrap a data set that is asked item by item, so that its targets are encoded."""
        if not getattr(self, "fitting_", False) or isinstance(dataset, IterableDataset):
            return dataset
        return Encoded(dataset, self._encode_item, weight)
