"""Checks of what the user makes an estimator of: its parameters and callbacks."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from ..meta_gradient.choice import META_GRADIENTS
from ..meta_gradient.composed import as_float, check_number, check_parts


def check_parameters(net: Any) -> None:
    """Check values of the constructor's parameters."""
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
    check_number(
        "warm_up", net.warm_up, isinstance(net.warm_up, Integral) and as_float(net.warm_up) >= 0,
        "a number of epochs, an int of at least 0",
    )  # fmt: skip
    if net.average is not None:
        check_number(
            "average", net.average, 0 < as_float(net.average) < 1,
            "a share of the steps between 0 and 1, or None for the parameters of the last step",
        )  # fmt: skip


def _check_positive(name: str, value: Any, kind: Any, expected: str) -> None:
    if value is None:
        return
    is_kind = isinstance(value, kind) and not isinstance(value, bool)
    if not is_kind or not value > 0:
        error = ValueError if is_kind else TypeError
        raise error(f"Got {name}={value!r}, but expected {expected}.")


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
