"""Estimators that predict one label for each example: y as users have it, codes for the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from skorch.dataset import unpack_data
from skorch.utils import is_dataset
from torch import Tensor

from ..data.arrays import to_numpy
from ..data.clean_sources import FitArguments, Mask
from ..data.sample_weight import Prior, with_class_weight
from .checks import check_classes, check_known, check_labels, warn_of_lacking
from .encoder import Encoder

_COUNTS = 0.01  # of what the mean example counts
_DECODED = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class Labelled:
    """Labels of any kind, their classes and class weights. Goes before `L2RWMixin`."""

    classes: Any
    class_weight: Any
    label_encoder_: Encoder

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in the order of `predict_proba`'s columns."""
        if getattr(self, "classes", None) is not None:
            return np.asarray(self.classes)
        if "classes_inferred_" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__} has no classes_ before it is fitted; name them with "
                "`classes`, or call `fit`."
            )
        inferred: NDArray[Any] = vars(self)["classes_inferred_"]
        return inferred

    def _check_targets(self, X: Any, targets: Any, *, keep: bool, classes: Any) -> Any:
        check_classes(getattr(self, "classes", None))
        if targets is None and not is_dataset(X):
            raise ValueError(
                f"Got y=None, but expected labels: {type(self).__name__} requires y to be passed, "
                "but the target y is None."
            )
        known = keep and hasattr(self, "classes_inferred_")
        if targets is not None:
            targets = check_labels(targets, "y")
            check_classification_targets(targets)
        if classes is not None:
            self._learn_classes(check_labels(classes, "classes"), known=known)
        elif targets is not None and not known:
            self._learn_classes(targets, known=False)
        self.label_encoder_ = Encoder(self.classes_)
        if targets is not None:
            check_known(targets, self.label_encoder_, "y")
        return targets

    def _take_clean(
        self,
        X: Any,
        y: Any,
        targets: Any,
        prior: Prior | None,
        arguments: FitArguments,
        *,
        reuse: bool,
    ) -> Mask:
        left: Mask = super()._take_clean(  # type: ignore[misc]
            X, y, targets, prior, arguments, reuse=reuse
        )
        if arguments.clean_mask is not None and targets is not None and not reuse:
            trained = targets[~np.asarray(arguments.clean_mask)]
            lost = np.setdiff1d(targets, trained)
            if len(lost) and getattr(self, "classes", None) is None:
                raise ValueError(
                    f"Got labels {lost.tolist()} in rows of the clean_mask that are not among the "
                    f"classes {np.unique(trained).tolist()} of the rows to train on. Leave a row "
                    "of each class unmasked, or name all classes with `classes`."
                )
        return left

    def _learn_classes(self, labels: NDArray[Any], *, known: bool) -> None:
        classes = np.unique(labels)
        if known and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"Got classes={classes.tolist()}, but expected those of the first call of "
                f"`partial_fit`, {self.classes_.tolist()}. Leave classes out, or call `fit`."
            )
        self.classes_inferred_ = classes

    def _check_clean_targets(self, y_clean: Any, targets: Any) -> Any:
        y_clean = check_labels(y_clean, "yv of the clean_set")
        check_known(y_clean, self.label_encoder_, "the clean_set")
        warn_of_lacking(y_clean, self.classes_ if targets is None else targets)
        return y_clean

    def _groups(self, targets: Any, counts: NDArray[np.bool_]) -> NDArray[Any]:
        if targets is None:
            raise ValueError(
                "Got a number as clean_set with a Dataset whose labels cannot be read, but "
                "expected labels in memory to choose as many rows of each class. Pass y beside "
                "the Dataset, a clean_mask, or the clean examples themselves."
            )
        return np.asarray(targets[counts])

    def _prior(self, prior: Prior | None, targets: Any) -> Prior | None:
        return with_class_weight(prior, self.class_weight, targets, self.classes_)

    def _judge_weights(self) -> None:
        net: Any = self
        data = net.fit_data_
        if data.targets is not None and "weight_record_" in vars(net):
            weights = net.weight_record_.mean()[data.rows]
            if data.prior is not None:  # a class may be left aside because the user says so
                weights[data.prior < _COUNTS] = np.nan
            net.health_check_.classes(weights, data.targets)

    def _n_outputs(self) -> int | None:
        return len(self.classes_) if hasattr(self, "classes_") else None

    def _encode(self, y: Any) -> Tensor:
        if not getattr(self, "fitting_", False):  # y plays no part in prediction
            return torch.zeros(np.shape(y), dtype=torch.int64)
        return self.label_encoder_.encode(y)

    def _encode_item(self, y: Any) -> Tensor:
        check_known(
            np.atleast_1d(to_numpy(y)), self.label_encoder_, "a Dataset (X or the clean_set)"
        )
        return self._encode(y)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a callback method; callbacks see labels where the loss sees codes."""
        if method_name in _DECODED and not self.label_encoder_.identity:
            X, codes = unpack_data(cb_kwargs["batch"])
            cb_kwargs["batch"] = X, self.label_encoder_.decode(codes)
        super().notify(method_name, **cb_kwargs)  # type: ignore[misc]
