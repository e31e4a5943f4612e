"""What can be seen of a module before the first step: errors that say what is to be changed."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.data import BatchSampler

from ..nested import leaves, map_leaves
from .accelerated import layers_of

_OF_TORCH = (
    RuntimeError,
    IndexError,
    TypeError,
)  # and not what is derived of them, as want of memory is


@contextmanager
def told_by_shapes(X: Any, name: str = "the clean set") -> Iterator[None]:
    """Say of an error of torch's in the block which inputs the module, or its loss, was given."""
    try:
        yield
    except (*_OF_TORCH, ValueError) as error:
        if type(error) not in _OF_TORCH and not _is_raised_in_torch(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"The module, or its loss, failed on a batch of {name}, inputs of {_described(X)}: "
            f"{error}. Expected a module that takes such rows: look at the size of its first layer "
            "(in_features, in_channels, num_embeddings), or at how X is made."
        ) from error


def _is_raised_in_torch(error: Exception) -> bool:
    """Whether an error of values is one of torch's layers and losses, not one of ours or users'."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return type(error) is ValueError and "torch/nn/" in Path(frame.filename).as_posix()


def _described(X: Any) -> str:
    found = [
        f"shape {tuple(x.shape)} and dtype {str(x.dtype).removeprefix('torch.')}"
        for x in leaves(X)
        if isinstance(x, Tensor)
    ]
    return "; ".join(found) or type(X).__name__


def check_n_rows(output: Any, n: int) -> None:
    """Check that the module returns something for each example, and for no other."""
    if isinstance(output, Tensor) and (output.ndim == 0 or len(output) != n):
        raise ValueError(
            f"The module returns an output of shape {tuple(output.shape)} for {n} examples, but "
            "expected a row for each. Look at its forward, where rows are put together or lost."
        )


def check_clean_losses(losses: Tensor) -> None:
    """Check that the module, as it is before training, has finite losses."""
    if not bool(torch.isfinite(losses).all()):
        raise ValueError(
            f"The loss of {int((~torch.isfinite(losses)).sum())} of {len(losses)} examples of the "
            "clean set is not finite before the first step. Scale X, whose values may be too "
            "large; look for parameters of the module that are not finite; or for a module or "
            "criterion that divides by or takes the logarithm of 0."
        )


def check_range(X: Any, dtype: torch.dtype | None, name: str) -> None:
    """Check that no value of X becomes infinite in the module's precision."""
    largest = np.inf if dtype is None else torch.finfo(dtype).max
    for x in leaves(X):
        values = x.data if sparse.issparse(x) else x
        is_wide = isinstance(values, (np.ndarray, Tensor)) and "float" in str(values.dtype)
        if is_wide and np.prod(values.shape) and _largest(values) > largest:
            most = max(float(values.max()), -float(values.min()))
            if most > largest:
                raise ValueError(
                    f"Got {name} with values up to {most:.3g}, but expected at most {largest:.3g}, "
                    f"the largest number of the module's precision, {dtype}. Scale X, for instance "
                    "with sklearn.preprocessing.StandardScaler in a Pipeline, or look for a mark "
                    "of missing values."
                )


def _largest(x: Any) -> float:
    return float((torch.finfo if isinstance(x, Tensor) else np.finfo)(x.dtype).max)


def least_batch(loader: Any) -> int | None:
    """Number of examples of a loader's smallest batch; None where that is not known."""
    sampler = getattr(loader, "batch_sampler", None)
    if type(sampler) is not BatchSampler:
        return None
    n, size = len(sampler.sampler), sampler.batch_size  # type: ignore[arg-type]
    rest = 0 if sampler.drop_last else n % size
    return rest or size


def check_single(net: Any, X: Any, fit_params: Any, *, last: bool) -> None:
    """Check that a module with normalization can be trained on a batch of one row.

    Parameters
    ----------
    net : NeuralNet
        In training mode.
    X : object
        A batch, of which the first row is taken.
    fit_params : mapping
        For the module's forward.
    last : bool
        Whether it is the last batch of an epoch that has one row.
    """
    norms = [x for x in layers_of(net) if isinstance(x, _NormBase) and x.training]
    if not norms or not all(isinstance(x, Tensor) for x in leaves(X)):
        return
    told: str | None = None
    with torch.no_grad(), suppress(Exception):  # of what cannot be cut into rows, nothing is known
        try:
            net.infer(map_leaves(lambda x: x[:1].clone(), X), **fit_params)
        except ValueError as error:
            told = str(error) if "Expected more than 1" in str(error) else None
    if told is not None:
        which, do = (
            (
                "the last batch of an epoch",
                "Set iterator_train__drop_last=True, or another batch_size",
            )
            if last
            else ("a clean batch", "Give more clean examples, or another clean_batch_size")
        )
        raise ValueError(
            f"Got one row in {which}, but expected at least two, since the module has "
            f"{type(norms[0]).__name__}, which has no statistics of one row in training. {do}."
        )
