"""What has to hold whatever is given: a case is run, and what does not hold is told."""

from __future__ import annotations

import pickle
import random
import re
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.exceptions import DeviceWarning
from torch import nn

from .cases import Case, Given

WAYS_OUT = re.compile(
    r"[Ee]xpect|Leave|[Mm]ust|should|require|[Uu]se |[Ss]et |[Ll]ower |[Vv]alid param|supported|"
    r"minimum of|instead|contains NaN|contains infinity|unexpected (keyword )?argument"
)
NOT_FINITE = re.compile("not finite")  # training itself may come to that, and says so
OURS = re.compile(
    "clean|[Ww]eights?|labels|batch|epoch|column-vector|classes|targets|X has feature"
)


class Offender(AssertionError):  # noqa: N818  # what it is, no mistake of the code's
    """Something that has to hold, and does not.

    Attributes
    ----------
    kind : str
        Which, without the particulars.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class _Steps(Callback):
    """Counts updates, in all instances."""

    taken = 0

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """One more."""
        _Steps.taken += bool(training)


def run(case: Case) -> str:
    """Run a case; return what came of it: ``"fitted"``, or the name of the error.

    Raises
    ------
    Offender
        If something does not hold.

    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(case.seed)
        first = _attempt(case, closely=True)
        if not isinstance(first, str):
            torch.manual_seed(case.seed)
            second = _attempt(case, closely=False)
            _hold("same seed, same net", _same(_learned(first), _learned(second)), case)
    return first if isinstance(first, str) else "fitted"


def _attempt(case: Case, *, closely: bool) -> Any:
    """The fitted estimator, or the name of the error."""
    given = Given(case)
    before = _seen(given)
    settings = _settings(seeded=case.parameters.get("random_state", 0) is not None)
    net, old = None, None
    _Steps.taken = 0
    try:
        with _no_warnings(case):
            net = given.estimator()
            if "callbacks" not in case.parameters:
                net.set_params(callbacks=[("steps", _Steps())])
            old = _state(net)
            _Steps.taken = 0
            getattr(net, case.call)(**given.arguments)
    except Exception as error:
        _check_error(error, case)
        result: Any = type(error).__name__
        if old is not None:
            _hold("a failed fit changes nothing", _same(old, _state(net)), case)
    else:
        if closely:
            _check_fitted(net, given, case)
        result = net
    _hold("what is given stays as it is", before == _seen(given), case)
    after = _settings(seeded=case.parameters.get("random_state", 0) is not None)
    changed = [name for name in settings if settings[name] != after[name]]
    _hold("settings and generators stay", not changed, case, str(changed))
    return result


def _hold(kind: str, holds: bool, case: Case, text: str = "") -> None:
    if not holds:
        raise Offender(kind, f"{text} [{case}]")


# Errors and warnings


def _check_error(error: Exception, case: Case) -> None:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('site-packages/')[2].rpartition('/tmp/')[2]}:{frame.name}"
    text = f"{type(error).__name__} in {place}: {str(error)[:300]} [{case}]"
    if isinstance(error, Offender):
        raise error
    if not isinstance(error, (ValueError, TypeError)):
        raise Offender(f"another exception, {type(error).__name__} in {place}", text) from error
    message = str(error)
    if "torch/nn/" in frame.filename:
        raise Offender(f"an error of torch's own, in {place}", text) from error
    if not WAYS_OUT.search(message):
        raise Offender(f"does not say what to do, in {place}", text) from error
    if _Steps.taken and not NOT_FINITE.search(message):
        raise Offender(f"after the first step, in {place}", text) from error


@contextmanager
def _no_warnings(case: Case) -> Iterator[None]:
    """No warnings but those that speak of what the user has given."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
    for warning in seen:
        if issubclass(warning.category, DeviceWarning):  # skorch's, of a device that is None
            continue
        text = f"{warning.category.__name__}: {warning.message}"
        if not (issubclass(warning.category, UserWarning) and OURS.search(str(warning.message))):
            place = warning.filename.rpartition("site-packages/")[2]
            raise Offender(f"a warning in {place}", f"{text[:300]} [{case}]")


# What is learned


def _check_fitted(net: Any, given: Given, case: Case) -> None:
    tensors = [*net.module_.parameters(), *net.module_.buffers()]
    finite = all(bool(torch.isfinite(t).all()) for t in tensors if t.is_floating_point())
    _hold("no NaN after a fit", finite, case, "parameters")
    weights = getattr(net, "example_weights_", None)
    if weights is not None:
        _hold("no NaN after a fit", not bool(np.isinf(weights).any()), case, "weights")
    X = given.arguments["X"]
    if not _Steps.taken:  # nothing is known of a module that was never called
        return
    with _no_warnings(case):
        try:
            predicted = net.predict(X)
            twin = pickle.loads(pickle.dumps(net)).predict(X)
        except Exception as error:
            if "predict_nonlinearity" in str(error):  # what it returns is known in prediction
                return
            raise Offender(
                "what was trained on cannot be predicted", f"{error!r} [{case}]"
            ) from error
    _hold("a pickle predicts the same", np.array_equal(predicted, twin), case)
    n = np.shape(X)[0] if hasattr(X, "shape") else case.n
    if not isinstance(X, (dict, tuple, list)):
        _hold("a prediction for each row", len(predicted) == n, case)
    if np.asarray(predicted).dtype.kind == "f" and case.estimator == "L2RWRegressor":
        _hold("no NaN after a fit", bool(np.isfinite(predicted).all()), case, "predictions")
    if hasattr(net, "predict_proba"):
        p = net.predict_proba(X)
        _hold("no NaN after a fit", bool(np.isfinite(p).all()), case, "probabilities")


def _tensors(holder: Any) -> Any:
    return holder.state_dict() if hasattr(holder, "state_dict") else None


def _learned(net: Any) -> Any:
    return [_tensors(net.module_), getattr(net, "example_weights_", None)]


def _state(net: Any) -> dict[str, Any]:
    """Attributes of an estimator, by identity, and the contents of what changes in place."""
    state: dict[str, Any] = {name: id(value) for name, value in vars(net).items()}
    for name in ("module_", "criterion_", "optimizer_"):
        if name in vars(net):
            state[f"contents of {name}"] = _copied(_tensors(getattr(net, name)))
    state["epochs"] = len(net.history_ or [])
    return state


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool(((a == b) | ((a != a) & (b != b))).all())  # NaN may be there before a fit


def _same(a: Any, b: Any) -> bool:
    """Equal to the bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and _equal(a, b)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b or (a != a and b != b))


# What is the user's


def _seen(given: Given) -> Any:
    """All that the user gave, as it is now."""
    return {
        name: _print_of(value)
        for part in (given.settings, given.arguments)
        for name, value in part.items()
        if name
        not in ("random_state", "callbacks")  # which are moved, as in scikit-learn and skorch
    }


def _print_of(value: Any) -> Any:
    """What tells a value from what it would be after a change; nothing for what has no contents."""
    if isinstance(value, nn.Module):
        structure = [
            (
                name,
                m.training,
                sorted(vars(m)),
                [(p.requires_grad, p.grad is None) for p in m.parameters()],
            )
            for name, m in value.named_modules()
        ]
        return structure, _print_of(list(value.state_dict().values()))
    if isinstance(value, torch.Tensor):
        if value.device.type == "meta" or value.is_sparse:
            return value.shape, value.dtype
        held = value.detach()
        return (
            held.dtype,
            held.stride(),
            value.requires_grad,
            value.grad is None,
            held.tolist().__repr__(),
        )
    if isinstance(value, np.ndarray):
        flags = value.flags.writeable, value.strides
        return type(value), value.dtype, value.shape, flags, repr(value.tolist())
    if isinstance(value, (list, tuple)):
        return type(value), [_print_of(part) for part in value]
    if isinstance(value, dict):
        return type(value), [(key, _print_of(part)) for key, part in value.items()]
    if hasattr(value, "toarray"):
        return type(value), _print_of(value.toarray())
    if hasattr(value, "iloc"):
        cells = repr(value.to_numpy(dtype=object).tolist())  # of any dtype, which JSON is not
        return type(value), str(value.dtypes), [repr(axis) for axis in value.axes], cells
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return type(value), _print_of(dict(vars(value)))
    return repr(value)


def _numpys_generator() -> Any:
    name, key, *rest = np.random.get_state(legacy=True)
    return name, np.asarray(key).tobytes(), rest


def _settings(*, seeded: bool) -> dict[str, Any]:
    """Settings and generators of the process."""
    return {
        "gradients": torch.is_grad_enabled(),
        "default dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "anomalies": torch.is_anomaly_enabled(),
        "numpy's errors": np.geterr(),
        "filters": len(warnings.filters),
        "numpy's generator": _numpys_generator(),
        "Python's generator": hash(random.getstate()),
        "torch's generator": torch.get_rng_state().numpy().tobytes() if seeded else None,
    }
