"""Checks of what the user makes an estimator of: its parameters and callbacks."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from ..meta_gradient.choice import META_GRADIENTS
from ..meta_gradient.composed import as_float, check_number, check_parts
from ..nested import leaves
from .seeding import random_state_of

_LARGEST = torch.finfo(torch.float32).max
_NUMBERS = ("optimizer__momentum", "optimizer__weight_decay", "optimizer__dampening")


def check_parameters(net: Any) -> None:
    """Check values of the constructor's parameters."""
    net.check_training_readiness()  # skorch's, before a word on what trimming has taken away
    _check_skorchs(net)
    if not isinstance(net.record_weights, bool) and net.record_weights != "epochs":
        raise ValueError(
            f"Got record_weights={net.record_weights!r}, but expected True, False, or 'epochs'."
        )
    if net.meta_gradient not in META_GRADIENTS:
        raise ValueError(
            f"Got meta_gradient={net.meta_gradient!r}, but expected one of {list(META_GRADIENTS)}."
        )
    _check_positive(
        "clean_batch_size",
        net.clean_batch_size,
        Integral,
        "a positive int, or None for the whole clean set up to batch_size",
    )
    _check_positive(
        "max_grad_norm",
        net.max_grad_norm,
        Real,
        "a positive number, or None for an update that is not bounded",
    )
    check_parts(net.clean_loss_weight, net.scale_slopes)
    _check_epochs("warm_up", net.warm_up)
    if net.average is not None:
        check_number(
            "average", net.average, 0 < as_float(net.average) < 1,
            "a share of the steps between 0 and 1, or None for the parameters of the last step",
        )  # fmt: skip


def _check_skorchs(net: Any) -> None:
    """Check values of skorch's parameters, of which it refuses some late and others not at all."""
    _check_epochs("max_epochs", net.max_epochs)
    for name in ("batch_size", "iterator_train__batch_size", "iterator_valid__batch_size"):
        _check_batch_size(name, vars(net).get(name))
    _check_optimizer(net)
    if "threshold" in vars(net):  # of skorch's classifier for one logit
        check_number(
            "threshold", net.threshold, 0 <= as_float(net.threshold) <= 1,
            "a probability, between 0 and 1",
        )  # fmt: skip
    callbacks = net.callbacks
    if not (callbacks is None or isinstance(callbacks, (list, tuple)) or callbacks == "disable"):
        raise TypeError(
            f"Got callbacks={callbacks!r}, but expected a list of callbacks, None, or 'disable'."
        )
    split = net.train_split
    if split is not None and split is not False and not callable(split):  # False is skorch's None
        raise TypeError(
            f"Got train_split={split!r}, but expected what splits, such as "
            "skorch.dataset.ValidSplit(5), or None to train on all rows."
        )
    random_state_of(net.random_state)
    check_device(net.device)


def _check_epochs(name: str, value: Any) -> None:
    is_count = isinstance(value, Integral) and as_float(value) >= 0
    check_number(name, value, is_count, "a number of epochs, an int of at least 0")


def _check_positive(name: str, value: Any, kind: Any, expected: str) -> None:
    if value is None:
        return
    is_kind = isinstance(value, kind) and not isinstance(value, bool)
    if not is_kind or not value > 0:
        error = ValueError if is_kind else TypeError
        raise error(f"Got {name}={value!r}, but expected {expected}.")


def _check_batch_size(name: str, value: Any) -> None:
    if value is not None:  # for a Dataset whose items are batches
        is_size = isinstance(value, Integral) and (as_float(value) >= 1 or value == -1)
        check_number(
            name, value, is_size, "a number of rows, a positive int, or -1 for all of them"
        )


def _check_optimizer(net: Any) -> None:
    """Check that what the optimizer is made with is finite; torch takes NaN and infinity."""
    lr = net.lr.item() if isinstance(net.lr, Tensor) and net.lr.numel() == 1 else net.lr
    if lr is not None:  # for an optimizer that finds its own
        check_number(
            "lr", net.lr, 0 <= as_float(lr) <= _LARGEST, "a learning rate, finite and at least 0"
        )
    for name, value in vars(net).items():
        if name in _NUMBERS and isinstance(value, bool):
            raise TypeError(f"Got {name}={value}, but expected a number.")
        if name.startswith("optimizer__"):
            wrong = [x for x in leaves(value) if isinstance(x, Real) and not _is_finite(x)]
            if wrong:
                raise ValueError(
                    f"Got {name}={value!r}, but expected finite numbers. What has no bound is "
                    "given by a very large number."
                )


def _is_finite(value: Any) -> bool:
    return isinstance(value, bool) or abs(as_float(value)) <= _LARGEST


def check_device(device: Any) -> None:
    """Check that torch can train on a device."""
    if device is None:
        return
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise ValueError(
            f"Got device={device!r}, which torch cannot use here ({str(error).splitlines()[0]}), "
            "but expected 'cpu', the name of an accelerator that is there, or None."
        ) from None
    if torch.device(device).type == "meta":
        raise ValueError(
            "Got device='meta', on which nothing is computed, but expected one to train on."
        )


def check_callbacks(net: Any) -> None:
    """Check that parameters of callbacks name some: skorch forgets others without a word."""
    names = [name for name, _ in net.callbacks_]
    for key in vars(net):
        prefix, _, rest = key.partition("__")
        name = rest.partition("__")[0]
        if prefix == "callbacks" and rest and name not in names and not _is_removed(net, key):
            raise ValueError(
                f"Got {key}, but there is no callback of that name; expected one of {names}. The "
                "clipping of gradients is a parameter, max_grad_norm."
            )


def _is_removed(net: Any, key: str) -> bool:
    """Whether a parameter takes away a callback, skorch's own or of the user's."""
    all_of_them = [*net._default_callbacks, *(net.callbacks or ())]
    named = [pair[0] for pair in all_of_them if isinstance(pair, tuple)]
    return getattr(net, key) is None and key in {f"callbacks__{name}" for name in named}
