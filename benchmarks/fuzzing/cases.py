"""A case: a few words that say what is given to which estimator, and how."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)

from .forms import CONTAINERS, DTYPES, LAYOUTS, WITH_LABELS, Items, contained, typed
from .modules import KINDS, USUAL, Small, module
from .parameters import PARAMETERS, value_of
from .values import LABELS, VALUES, WEIGHTS

ESTIMATORS: dict[str, tuple[Any, tuple[str, ...]]] = {  # and labels that it is made for
    "L2RWClassifier": (L2RWClassifier, ("0, 1", "0, 1, 2", "text", "bool", "series")),
    "L2RWBinaryClassifier": (L2RWBinaryClassifier, ("0, 1", "text", "bool", "categories")),
    "L2RWMultilabelClassifier": (L2RWMultilabelClassifier, ("indicators", "indicators of bool")),
    "L2RWRegressor": (L2RWRegressor, ("real", "three targets", "0, 1, 2")),
}
SEVERAL = ("dict", "dict of two", "dict of lists", "tuple of two", "nested", "uneven dict")
CLEAN_SETS: dict[str, Any] = {  # of the clean rows and their labels
    "number": lambda rows, labels: 4,
    "share": lambda rows, labels: 0.4,
    "a Dataset": lambda rows, labels: Items(rows, labels),
    "nothing": lambda rows, labels: None,
    "0": lambda rows, labels: 0,
    "-1": lambda rows, labels: -1,
    "too many": lambda rows, labels: 1000,
    "NaN": lambda rows, labels: float("nan"),
    "inf": lambda rows, labels: float("inf"),
    "10**400": lambda rows, labels: 10**400,
    "True": lambda rows, labels: True,
    "text": lambda rows, labels: "ab",
    "X alone": lambda rows, labels: rows,
    "pair of None": lambda rows, labels: (None, None),
    "empty pair": lambda rows, labels: (rows[:0], np.zeros(0)),
    "three": lambda rows, labels: (rows, labels, labels),
    "dict": lambda rows, labels: {"X": rows, "y": labels},
    "pairs": lambda rows, labels: [(row, 0) for row in rows],
    "set": lambda rows, labels: {1, 2},
    "other columns": lambda rows, labels: (rows[:, :1].repeat(7, axis=1), labels),
    "other form": lambda rows, labels: contained(rows, labels, "frame of names"),
    "one row": lambda rows, labels: (rows[:1], np.asarray(labels).ravel()[:1]),
}
MASKS: dict[str, Any] = {
    "mask": lambda mask: mask,
    "two ways": lambda mask: mask,
    "mask of ints": lambda mask: mask.astype(int),
    "mask of no row": lambda mask: mask & False,
    "mask of all": lambda mask: mask | True,
    "short mask": lambda mask: mask[1:],
    "mask of text": lambda mask: "rows",
    "masked mask": lambda mask: np.ma.array(mask, mask=mask),
}
USUAL_CLEAN = ("pair", "number", "share", "mask", "X_val", "a Dataset")


@dataclass(frozen=True)
class Case:
    """What is given; what is left out is usual."""

    estimator: str
    n: int = 12
    d: int = 3
    seed: int = 0
    values: str = "normal"
    dtype: str = "float32"
    layout: str = "rows"
    container: str = "array"
    labels: str = ""
    clean: str = "pair"
    weights: str = "none"
    module: str = "small"
    parameters: dict[str, Any] = field(default_factory=dict)
    fitted: bool = False  # by usual data, before
    call: str = "fit"

    def __repr__(self) -> str:
        said = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        told = {name: getattr(self, name) for name in said}
        told.pop("parameters", None)
        words = [f"{name}={value!r}" for name, value in told.items()]
        return ", ".join([*words, *(f"{k}={v!r}" for k, v in self.parameters.items())])


_STRANGE: dict[str, st.SearchStrategy[Any]] = {
    "n": st.integers(1, 20),
    "d": st.integers(0, 4),
    "values": st.sampled_from(list(VALUES)),
    "dtype": st.sampled_from(DTYPES),
    "layout": st.sampled_from(list(LAYOUTS)),
    "container": st.sampled_from(CONTAINERS),
    "labels": st.sampled_from(list(LABELS)),
    "clean": st.sampled_from([*CLEAN_SETS, *MASKS, "X_val alone"]),
    "weights": st.sampled_from(list(WEIGHTS)),
    "module": st.sampled_from(KINDS),
    "parameters": st.sampled_from(list(PARAMETERS)),
}


@st.composite
def cases(draw: Any) -> Case:
    """Cases that are usual but for up to three things."""
    name = draw(st.sampled_from(list(ESTIMATORS)))
    told: dict[str, Any] = {
        "n": draw(st.integers(8, 12)),
        "d": draw(st.integers(1, 4)),
        "seed": draw(st.integers(0, 3)),
        "labels": draw(st.sampled_from(ESTIMATORS[name][1])),
        "clean": draw(st.sampled_from(USUAL_CLEAN)),
        "module": draw(st.sampled_from(USUAL)),
        "fitted": draw(st.booleans()),
        "call": draw(st.sampled_from(["fit", "partial_fit"])),
    }
    parameters = {}
    for part in draw(st.lists(st.sampled_from([*_STRANGE, "parameters"]), min_size=1, max_size=4)):
        drawn = draw(_STRANGE[part])
        if part == "parameters":
            parameters[drawn] = draw(PARAMETERS[drawn])
        else:
            told[part] = drawn
    if told.get("container") in SEVERAL and told["module"] in USUAL:
        told["module"] = "sums"
    return Case(name, parameters=parameters, **told)


class Given:
    """What a case gives to an estimator, made anew.

    Attributes
    ----------
    settings : dict
        Of the constructor.
    arguments : dict
        Of `fit`.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        random = np.random.default_rng(case.seed)
        base = VALUES[case.values](random, (case.n, case.d))
        rows = LAYOUTS[case.layout](typed(base, case.dtype))
        codes = np.arange(case.n)
        usual = ESTIMATORS[case.estimator][1]
        labels = LABELS[case.labels or usual[0]]
        X, y = contained(rows, labels(codes), case.container)
        clean_base = VALUES[case.values](random, (6, case.d))
        if case.values not in ("normal", "whole", "constant", "zero", "negative"):
            clean_base = random.normal(size=(6, case.d))  # what is strange is so in X
        self._clean = typed(clean_base, case.dtype), labels(np.arange(6))
        self.settings = self._settings(clean_base.shape[1])
        self.arguments: dict[str, Any] = {"X": X, "y": y}
        if case.weights != "none":
            self.arguments["sample_weight"] = WEIGHTS[case.weights](case.n)
        self._add_clean()

    def _settings(self, n_features: int) -> dict[str, Any]:
        case = self.case
        n_outputs = self._n_outputs()
        made = module(case.module, n_features, n_outputs)
        settings = {"module": made, "max_epochs": 1, "batch_size": 8, "random_state": 0}
        if case.module in ("sums", "words"):
            settings["module__n_outputs"] = n_outputs
        if case.module == "default":
            settings["module__hidden_layer_sizes"] = 5
        drawn = {name: value_of(name, value) for name, value in case.parameters.items()}
        return {**settings, "verbose": 0, **drawn}

    def _n_outputs(self) -> int:
        if self.case.estimator == "L2RWBinaryClassifier":
            return 1
        y = self._clean[1]
        if self.case.estimator == "L2RWClassifier":
            return 3 if self.case.labels == "0, 1, 2" else 2
        return int(np.shape(y)[1]) if np.ndim(y) == 2 else 1

    def _add_clean(self) -> None:
        case, (rows, labels) = self.case, self._clean
        X, y = contained(rows, labels, case.container)
        pair = X if case.container in WITH_LABELS else (X, y)
        if case.clean in ("pair", "two ways"):
            self.settings["clean_set"] = pair
        elif case.clean in CLEAN_SETS:
            self.settings["clean_set"] = CLEAN_SETS[case.clean](rows, labels)
        mask = np.arange(case.n) < case.n // 2
        if case.clean == "X_val":
            self.arguments.update(X_val=X, y_val=labels)
        elif case.clean == "X_val alone":
            self.arguments.update(X_val=X)
        elif case.clean in MASKS:
            self.arguments["clean_mask"] = MASKS[case.clean](mask)

    def estimator(self) -> Any:
        """The estimator, fitted on usual data first where the case says so."""
        case = self.case
        kind, usual = ESTIMATORS[case.estimator]
        if not case.fitted:
            return kind(**self.settings)
        labels = case.labels if case.labels in usual else usual[0]
        net = pickle.loads(_fitted(case.estimator, case.d or 1, labels))
        changed = {"clean_set": None, **self.settings}
        if case.module in USUAL:
            for name in {"module", "module__hidden_layer_sizes"} - case.parameters.keys():
                changed.pop(name, None)
        return net.set_params(**changed)


@cache
def _fitted(estimator: str, d: int, labels: str) -> bytes:
    """Pickle of an estimator that is fitted on usual data."""
    X = np.random.default_rng(7).normal(size=(10, d)).astype("float32")
    y = LABELS[labels](np.arange(10))
    net = ESTIMATORS[estimator][0](
        Small, max_epochs=1, batch_size=8, random_state=0, verbose=0, clean_set=(X, y)
    )
    return pickle.dumps(net.fit(X, y))
