"""What predictions need beside parameters, as text in the header of a safetensors file.

The format keeps a mapping of text to text beside its tensors. One entry is ours, a JSON object:

    ``format``, ``version``, ``estimator``
        Of this text, of the package, and the class that wrote it.
    ``targets``
        What y means (``kind``), and its classes or sizes.
    ``n_features_in_``, ``feature_names_in_``
        Of X, where it was a table.
    ``reading``
        Parameters by which predictions are read off the module's output.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from ..targets.checks import agreed_number
from .pickles import VERSION

_KEY = "sklearn_l2rw"
_FORMAT = 1
_READING = ("criterion", "predict_nonlinearity", "threshold")
_MAX_BYTES = 100_000_000  # safetensors takes no header that is longer


def header_of(net: Any) -> dict[str, str]:
    """Describe a net, as far as it is fitted."""
    found: dict[str, Any] = {
        "format": _FORMAT,
        "version": VERSION,
        "estimator": type(net).__name__,
        "reading": _reading(net),
    }
    targets = getattr(net, "targets_", None)
    if targets is not None:
        try:
            found["targets"] = {"kind": type(targets).__name__, **targets.as_json()}
        except TypeError as error:  # a checkpoint would keep an error to itself, and write nothing
            warnings.warn(
                f"Got {error}, but expected text, bool or numbers: others are in no file that is "
                "free of pickle. It is written without them; name them with `classes` in the net "
                "that loads it.",
                UserWarning,
                stacklevel=3,
            )
    if hasattr(net, "n_features_in_"):
        found["n_features_in_"] = int(net.n_features_in_)
    if hasattr(net, "feature_names_in_"):
        found["feature_names_in_"] = net.feature_names_in_.tolist()
    return {"format": "pt", _KEY: json.dumps(found, allow_nan=False)}


def _reading(net: Any) -> dict[str, str]:
    values = {name: getattr(net, name) for name in _READING if hasattr(net, name)}
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    if value is None or isinstance(value, (str, int, float)):
        return str(value)
    return str(getattr(value, "__name__", type(value).__name__))


def read_header(file: IO[bytes]) -> Any:
    """Read what `header_of` has written; None where other software wrote the file."""
    size = int.from_bytes(file.read(8), "little")
    text = file.read(size) if size <= _MAX_BYTES else b""
    entries = json.loads(text).get("__metadata__", {})
    return json.loads(entries[_KEY]) if _KEY in entries else None


def recall(net: Any, found: Mapping[str, Any]) -> None:
    """Give a net what a header says; what the net knows by itself has to agree with it.

    Raises
    ------
    ValueError
        If classes, sizes or names are others than those of the net, or a later version wrote them.

    """
    if found["format"] > _FORMAT:
        raise ValueError(
            f"Got a file of format {found['format']}, which sklearn_l2rw {found['version']} wrote, "
            f"but expected one of format {_FORMAT}, which sklearn_l2rw {VERSION} reads. Install "
            "the later version."
        )
    if "targets" in found:
        known = getattr(net, "targets_", None)
        targets = net._make_targets() if known is None else copy.copy(known)
        if found["targets"]["kind"] != type(targets).__name__:
            raise ValueError(
                f"Got a file of an estimator of the class {found['estimator']}, but expected one "
                f"whose y is of the kind that {type(net).__name__} has. Load it into the class "
                "that wrote it."
            )
        targets.recall(found["targets"])
        net.targets_ = targets
    _recall_features(net, found)
    _warn_of_reading(net, found["reading"])


def _recall_features(net: Any, found: Mapping[str, Any]) -> None:
    known = getattr(net, "n_features_in_", None)
    n_features = agreed_number(found.get("n_features_in_"), known, "columns of X")
    names = found.get("feature_names_in_")
    ours = getattr(net, "feature_names_in_", None)
    if names is not None and ours is not None and not np.array_equal(names, ours):
        raise ValueError(
            f"Got a file for the columns {names}, but expected {ours.tolist()}, which this "
            "estimator has been fitted to. Load it into a new estimator."
        )
    if known is None and n_features is not None:
        net.n_features_in_ = n_features
        if names is not None:
            net.feature_names_in_ = np.array([str(name) for name in names], dtype=object)


def _warn_of_reading(net: Any, found: Mapping[str, str]) -> None:
    ours = _reading(net)
    other = [name for name in ours if found.get(name, ours[name]) != ours[name]]
    if other:
        wrote = ", ".join(f"{name}={found[name]}" for name in other)
        has = ", ".join(f"{name}={ours[name]}" for name in other)
        warnings.warn(
            f"Got a file of a net with {wrote}, but this one has {has}, by which predictions are "
            "read off the same outputs in another way. Set the parameters of the net that was "
            "saved, if that is not intended.",
            UserWarning,
            stacklevel=2,
        )
