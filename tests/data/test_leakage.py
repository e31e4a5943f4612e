"""In cross-validation no test row reaches training or the clean batch: marked rows tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sklearn
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import Tensor

from tests.small import MLP, blobs, make_net

N = 60
RUNS: list[set[int]] = []
TESTED: list[set[int]] = []


class Seen(MLP):
    """Remembers the marks, in the first column, of the rows that it is given."""

    def forward(self, X: Tensor) -> Tensor:
        marks = set(X[:, 0].detach().int().tolist())
        (RUNS if self.training else TESTED)[-1].update(marks)
        return super().forward(X[:, 1:])


class NewRun(Callback):
    """Begins a set of marks for each training."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        RUNS.append(set())


def marked(rows: Any, first: int) -> Any:
    return np.column_stack([np.arange(first, first + len(rows)), rows]).astype(np.float32)


@pytest.fixture(autouse=True)
def _no_runs() -> Iterator[None]:
    RUNS.clear()
    TESTED[:] = [set()]
    yield
    RUNS.clear()


ROWS, CODES = blobs(N)
X = marked(ROWS, 0)
Y = np.array(["ham", "spam"])[CODES]
CLEAN_ROWS, CLEAN_CODES = blobs(8, seed=1)
X_CLEAN, Y_CLEAN = marked(CLEAN_ROWS, 1000), np.array(["ham", "spam"])[CLEAN_CODES]
CLEAN = set(range(1000, 1008))
MASK = np.arange(N) % 10 < 3
CV = StratifiedKFold(3, shuffle=True, random_state=0)
SPLITS = list(CV.split(X, Y))

# Constructor's clean_set, what is passed to fit, marks of clean rows that are not in X
WAYS: dict[str, Any] = {
    "constructor": ((X_CLEAN, Y_CLEAN), {}, CLEAN),
    "X_val": (None, {"X_val": X_CLEAN, "y_val": Y_CLEAN}, CLEAN),
    "clean_mask": (None, {"clean_mask": MASK}, set()),
    "number": (8, {}, set()),
    "share": (0.2, {}, set()),
}


def seen_net(clean_set: Any, **settings: Any) -> Any:
    net = make_net(
        Seen, clean_set=clean_set, max_epochs=1, callbacks=[("new_run", NewRun())], **settings
    )
    if sklearn.get_config()["enable_metadata_routing"]:
        net.set_fit_request(X_val=True, y_val=True, clean_mask=True, sample_weight=True)
    return net


def assert_trained_on(expected: list[Any], others: set[int]) -> None:
    """Each run has seen all of its own rows, and no others."""
    assert len(RUNS) == len(expected)
    for run, rows in zip(RUNS, expected, strict=True):
        assert run == set(rows.tolist()) | others


TRAINED = [train for train, _ in SPLITS]


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("routing", [False, True])
def test_cross_validate(routing: bool, way: str) -> None:
    clean_set, params, others = WAYS[way]
    with sklearn.config_context(enable_metadata_routing=routing):
        scores = cross_validate(
            seen_net(clean_set), X, Y, cv=SPLITS, params=params, return_estimator=True,
            error_score="raise",
        )  # fmt: skip
    assert_trained_on(TRAINED, others)
    assert TESTED[-1] >= set(range(N))
    clean = [set(net.clean_set_[0][:, 0].astype(int).tolist()) for net in scores["estimator"]]
    for rows, (train, test) in zip(clean, SPLITS, strict=True):
        assert rows <= set(train.tolist()) | others
        assert not rows & set(test.tolist())
        if way == "clean_mask":
            assert rows == set(np.flatnonzero(MASK)) & set(train.tolist())


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("routing", [False, True])
def test_grid_search(routing: bool, way: str) -> None:
    clean_set, params, others = WAYS[way]
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(
            seen_net(clean_set), {"lr": [0.1, 0.2]}, cv=SPLITS, error_score="raise"
        ).fit(X, Y, **params)
    assert_trained_on([*TRAINED, *TRAINED, np.arange(N)], others)
    assert search.best_estimator_.score(X, Y) > 0.4


@pytest.mark.parametrize("way", ["clean_mask", "number"])
@pytest.mark.parametrize("routing", [False, True])
def test_nested_search(routing: bool, way: str) -> None:
    clean_set, params, _ = WAYS[way]
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(
            seen_net(clean_set), {"lr": [0.1, 0.2]}, cv=2, refit=True, error_score="raise"
        )
        cross_validate(search, X, Y, cv=SPLITS, params=params, error_score="raise")
    assert len(RUNS) == 3 * (2 * 2 + 1)
    for fold, (train, test) in enumerate(SPLITS):
        inner = RUNS[5 * fold : 5 * fold + 5]
        assert inner[-1] == set(train.tolist())
        assert all(run < inner[-1] for run in inner[:-1])
        assert not any(run & set(test.tolist()) for run in inner)


def pipeline(clean_set: Any, **options: Any) -> Pipeline:
    """A pipeline that scales all but the marks."""
    scale = ColumnTransformer(
        [("mark", "passthrough", [0]), ("scale", StandardScaler(), slice(1, None))]
    )
    return Pipeline([("scale", scale), ("net", seen_net(clean_set))], **options)


@pytest.mark.parametrize("way", list(WAYS))
def test_pipeline_with_routing(way: str) -> None:
    clean_set, params, others = WAYS[way]
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = pipeline(clean_set, transform_input=["X_val"])
        cross_validate(pipe, X, Y, cv=SPLITS, params=params, error_score="raise")
    assert_trained_on(TRAINED, others)


@pytest.mark.parametrize("way", ["constructor", "clean_mask", "number", "share"])
def test_pipeline_without_routing(way: str) -> None:
    clean_set, params, others = WAYS[way]
    params = {f"net__{name}": value for name, value in params.items()}
    grid = {"net__lr": [0.1, 0.2]}
    search = GridSearchCV(pipeline(clean_set), grid, cv=SPLITS, error_score="raise")
    search.fit(X, Y, **params)
    assert_trained_on([*TRAINED, *TRAINED, np.arange(N)], others)


@pytest.mark.parametrize("way", ["constructor", "number"])
def test_pipeline_with_a_sampler(way: str) -> None:
    clean_set, _, others = WAYS[way]
    rows = np.flatnonzero((CODES == 0) | (np.arange(N) % 4 == 1))
    sampler = RandomOverSampler(random_state=0)
    cross_validate(
        make_imblearn_pipeline(sampler, seen_net(clean_set)), X[rows], Y[rows],
        cv=CV, error_score="raise",
    )  # fmt: skip
    assert_trained_on([rows[train] for train, _ in CV.split(X[rows], Y[rows])], others)


@pytest.mark.parametrize("way", ["constructor", "clean_mask", "number"])
def test_cross_val_predict(way: str) -> None:
    clean_set, params, others = WAYS[way]
    predicted = cross_val_predict(seen_net(clean_set), X, Y, cv=SPLITS, params=params)
    assert set(predicted) <= {"ham", "spam"}
    assert_trained_on(TRAINED, others)


def test_learning_curve() -> None:
    learning_curve(seen_net(8), X, Y, cv=SPLITS, train_sizes=[0.5, 1.0], error_score="raise")
    parts = [train[:n].tolist() for train in TRAINED for n in (20, 40)]
    assert sorted(sorted(run) for run in RUNS) == sorted(sorted(part) for part in parts)


def test_calibration_and_stacking() -> None:
    """Calibration and the final estimator see rows that the net did not."""
    CalibratedClassifierCV(seen_net(8), cv=SPLITS, method="sigmoid").fit(X, Y)
    assert_trained_on(TRAINED, set())
    RUNS.clear()
    StackingClassifier([("net", seen_net(8))], cv=SPLITS).fit(X, Y)
    assert_trained_on([np.arange(N), *TRAINED], set())


@pytest.mark.parametrize("way", ["constructor", "clean_mask", "number"])
def test_rows_of_weight_zero(way: str) -> None:
    """A prior of 0 hides rows from training and from the clean set, fold by fold."""
    clean_set, params, others = WAYS[way]
    weight = np.where(np.arange(N) % 7 == 0, 0.0, 1.0)
    cross_validate(
        seen_net(clean_set), X, Y, cv=SPLITS, params={**params, "sample_weight": weight},
        error_score="raise",
    )  # fmt: skip
    assert_trained_on([train[weight[train] > 0] for train in TRAINED], others)


@pytest.mark.parametrize("way", list(WAYS))
def test_rows_that_validate(way: str) -> None:
    """Those of skorch's `train_split` are not trained on, and clean rows are not among them."""
    clean_set, params, others = WAYS[way]
    net = seen_net(clean_set, train_split=ValidSplit(4, stratified=True))
    net.fit(X, Y, **params)
    clean = set(net.clean_set_[0][:, 0].astype(int).tolist())
    validated = set(range(N)) - RUNS[0]
    assert len(RUNS) == 1
    assert clean <= RUNS[0] <= set(range(N)) | others
    n_rows = N - len(clean - others)
    assert n_rows // 4 - 1 <= len(validated) <= n_rows // 4 + 1


@pytest.mark.parametrize("way", ["clean_mask", "number"])
def test_clean_rows_are_not_trained_on(way: str) -> None:
    """They are taken out of the training rows."""
    clean_set, params, _ = WAYS[way]
    batches: list[int] = []

    class Batches(Callback):
        def on_batch_begin(self, net: Any, batch: Any = None, **kwargs: Any) -> None:
            batches.extend(batch[0][:, 0].int().tolist())

    net = make_net(
        MLP, clean_set=clean_set, max_epochs=1, callbacks=[("batches", Batches())],
        module__n_inputs=5,
    ).fit(X, Y, **params)  # fmt: skip
    clean = set(net.clean_set_[0][:, 0].astype(int).tolist())
    assert len(batches) == len(set(batches))
    assert set(batches) == set(range(N)) - clean
    assert clean == set(np.flatnonzero(MASK)) if way == "clean_mask" else len(clean) == 8
