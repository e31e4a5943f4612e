"""In pipelines: the clean set is scaled as X is, samplers come before, metadata find their way."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline as ImblearnPipeline
from imblearn.under_sampling import RandomUnderSampler
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object

from tests.small import (
    X_CLEAN,
    Y_CLEAN,
    blobs,
    joined,
    make_net,
    same_state,
    state_of,
)

RANGES, OFFSETS = np.array([1, 100, 1e4, 0.01]), np.array([50, -1e3, 1e6, 3])
NAMES = np.array(["ham", "spam"])


def unscaled(rows: Any) -> Any:
    return rows * RANGES + OFFSETS


ROWS, CODES = blobs(60)
X, Y = unscaled(ROWS), NAMES[np.where(np.arange(60) % 5 == 0, 1 - CODES, CODES)]
XV, YV = unscaled(X_CLEAN), NAMES[Y_CLEAN]
X_VAL: Any = {"X_val": XV, "y_val": YV}
SCALER = StandardScaler().fit(X)


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def net_of(clean_set: Any = None, **settings: Any) -> Any:
    return make_net(clean_set=clean_set, **settings)


def requesting(**settings: Any) -> Any:
    return net_of(**settings).set_fit_request(X_val=True, y_val=True, clean_mask=True)


def scaled_by_hand(X: Any = X, Y: Any = Y) -> Any:
    return net_of((SCALER.transform(XV), YV)).fit(SCALER.transform(X), Y)


def parameters(net: Any) -> dict[str, torch.Tensor]:
    return state_of((net[-1] if isinstance(net, Pipeline) else net).module_)


# Scaling


@pytest.mark.parametrize("kind", [Pipeline, ImblearnPipeline])
@pytest.mark.usefixtures("routing")
def test_scaled_clean_set_as_by_hand(kind: Any) -> None:
    pipe = kind([("scale", StandardScaler()), ("net", requesting())], transform_input=["X_val"])
    pipe.fit(X, Y, **X_VAL)
    expected = scaled_by_hand()
    assert same_state(parameters(pipe), parameters(expected))
    np.testing.assert_array_equal(pipe.predict(X), expected.predict(SCALER.transform(X)))
    np.testing.assert_allclose(pipe[-1].clean_set_[0], SCALER.transform(XV))
    assert set(pipe.predict(X)) == {"ham", "spam"}


@pytest.mark.usefixtures("routing")
def test_several_steps_and_frames() -> None:
    names = list("abcd")
    steps = [("scale", StandardScaler()), ("pca", PCA(3)), ("net", requesting(module__n_inputs=3))]
    pipe = Pipeline(steps, transform_input=["X_val"])
    pipe.fit(pd.DataFrame(X, columns=names), Y, X_val=pd.DataFrame(XV, columns=names), y_val=YV)
    pca = PCA(3).fit(SCALER.transform(X))
    by_hand = net_of((pca.transform(SCALER.transform(XV)), YV), module__n_inputs=3)
    by_hand.fit(pca.transform(SCALER.transform(X)), Y)
    assert same_state(parameters(pipe), parameters(by_hand), atol=1e-6)


@pytest.mark.parametrize("routed", [False, True])
def test_mask_and_numbers_are_scaled_with_x(routed: bool) -> None:
    """Their rows are in X, so no pipeline can miss them; scaling learns from them, too."""
    rows, labels, mask = joined(X, Y, XV, YV)
    scaler = StandardScaler().fit(rows)
    clean_set = (scaler.transform(XV), YV)
    expected = parameters(net_of(clean_set).fit(scaler.transform(X), Y))
    with sklearn.config_context(enable_metadata_routing=routed):
        net = requesting() if routed else net_of()
        pipe = Pipeline([("scale", StandardScaler()), ("net", net)])
        pipe.fit(rows, labels, **{"clean_mask" if routed else "net__clean_mask": mask})
        assert same_state(parameters(pipe), expected)
        split = Pipeline([("scale", StandardScaler()), ("net", net_of(8))]).fit(rows, labels)
        by_hand = net_of(8).fit(scaler.transform(rows), labels)
        assert same_state(parameters(split), parameters(by_hand))


@pytest.mark.usefixtures("routing")
def test_search_in_a_pipeline_scales_in_each_fold() -> None:
    pipe = Pipeline([("scale", StandardScaler()), ("net", requesting())], transform_input=["X_val"])
    folds = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    search = GridSearchCV(pipe, {"net__lr": [0.1, 0.3]}, cv=folds, error_score="raise")
    search.fit(X, Y, **X_VAL)
    for fold, (train, test) in enumerate(folds):
        scaler = StandardScaler().fit(X[train])
        net = net_of((scaler.transform(XV), YV)).fit(scaler.transform(X[train]), Y[train])
        score = search.cv_results_[f"split{fold}_test_score"][0]
        assert score == pytest.approx(net.score(scaler.transform(X[test]), Y[test]))
    best = net_of((SCALER.transform(XV), YV), lr=search.best_params_["net__lr"])
    best.fit(SCALER.transform(X), Y)
    assert same_state(parameters(search.best_estimator_), parameters(best))


# Samplers

RARE = np.flatnonzero((CODES == 0) | (np.arange(60) < 20))


@pytest.mark.parametrize("sampler", [RandomOverSampler, RandomUnderSampler, SMOTE])
@pytest.mark.parametrize("clean_set", [(X_CLEAN, YV), 6])
def test_samplers_before_the_net(sampler: Any, clean_set: Any) -> None:
    rows, y = ROWS[RARE].astype(np.float32), Y[RARE]
    pipe = ImblearnPipeline([("sample", sampler(random_state=0)), ("net", net_of(clean_set))])
    pipe.fit(rows, y)
    by_hand = net_of(clean_set).fit(*sampler(random_state=0).fit_resample(rows, y))
    assert same_state(parameters(pipe), parameters(by_hand))
    np.testing.assert_array_equal(pipe.predict(rows), by_hand.predict(rows))
    scores = cross_validate(pipe, rows, y, cv=3, error_score="raise")
    assert scores["test_score"].shape == (3,)


@pytest.mark.parametrize("scale_first", [True, False])
@pytest.mark.usefixtures("routing")
def test_scaler_and_sampler_with_a_given_clean_set(scale_first: bool) -> None:
    """The clean set is scaled, and is not resampled."""
    scale, sample = ("scale", StandardScaler()), ("sample", SMOTE(random_state=0))
    # imbalanced-learn transforms X_val where the last step before the net is no sampler.
    steps = [scale, sample, ("keep", "passthrough")] if scale_first else [sample, scale]
    pipe = ImblearnPipeline([*steps, ("net", requesting())], transform_input=["X_val"])
    pipe.fit(X[RARE], Y[RARE], **X_VAL)
    rows, y = X[RARE], Y[RARE]
    scaler = StandardScaler()
    if scale_first:
        rows, y = SMOTE(random_state=0).fit_resample(scaler.fit_transform(rows), y)
    else:
        rows, y = SMOTE(random_state=0).fit_resample(rows, y)
        rows = scaler.fit_transform(rows)
    by_hand = net_of((scaler.transform(XV), YV)).fit(rows, y)
    assert same_state(parameters(pipe), parameters(by_hand))


def test_mask_of_rows_that_a_sampler_has_changed() -> None:
    pipe = ImblearnPipeline([("sample", SMOTE(random_state=0)), ("net", net_of())])
    mask = np.arange(len(RARE)) % 4 == 0
    with pytest.raises(ValueError, match="clean_mask of shape"):
        pipe.fit(ROWS[RARE], Y[RARE], net__clean_mask=mask)


# A clean set that does not look like X

UNLIKE = "do not look like"


def raw_beside_scaled() -> Any:
    Pipeline([("scale", StandardScaler()), ("net", net_of((XV, YV)))]).fit(X, Y)


def raw_x_val_beside_scaled() -> Any:
    pipe = Pipeline([("scale", StandardScaler()), ("net", net_of())])
    pipe.fit(X, Y, net__X_val=XV, net__y_val=YV)


def scaled_beside_raw() -> Any:
    net_of((SCALER.transform(XV), YV)).fit(X, Y)


def frames() -> Any:
    net_of((pd.DataFrame(XV), YV)).fit(pd.DataFrame(SCALER.transform(X)), Y)


def tensors() -> Any:
    net_of((torch.as_tensor(XV), YV)).fit(torch.as_tensor(SCALER.transform(X)), Y)


def pixels() -> Any:
    """Bytes beside shares of them."""
    pixel = np.random.default_rng(0).integers(0, 256, (60, 4))
    net_of((pixel[:8], YV)).fit(pixel / 255, Y)


@pytest.mark.parametrize(
    "fit", [raw_beside_scaled, raw_x_val_beside_scaled, scaled_beside_raw, frames, tensors, pixels]
)
def test_warning_of_unlike_features(fit: Any) -> None:
    with pytest.warns(UserWarning, match=UNLIKE) as caught:
        fit()
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "Pipeline" in message
    assert "transform_input" in message


def healthy(n: int, n_clean: int, seed: int, kind: str) -> tuple[Any, Any, Any, Any]:
    """Data and a clean set of the same kind, balanced where the data are not."""
    generator = np.random.default_rng(seed)
    y = (np.arange(n) % 20 == 0) if kind == "imbalanced" else np.arange(n) % 2 == 0
    labels = np.concatenate([y, np.arange(n_clean) % 2 == 0]).astype(int)
    shift = 6.0 if kind == "far apart" else 2.0
    rows = generator.normal(size=(len(labels), 4)) + shift * labels[:, None]
    if kind == "heavy tails":
        rows = np.exp(rows)
    elif kind == "counts":
        rows = generator.poisson(0.1 + 0.2 * labels[:, None], rows.shape).astype(float)
    elif kind == "one-hot":
        groups = generator.choice(12, len(labels), p=[0.45, *[0.05] * 11])
        rows = np.eye(12)[groups] + 0.0
    elif kind == "constant":
        rows[:, :2] = 1.0
    return rows[:n], labels[:n], rows[n:], labels[n:]


@pytest.mark.parametrize(
    "kind", ["plain", "imbalanced", "far apart", "heavy tails", "counts", "one-hot", "constant"]
)
@pytest.mark.parametrize("n_clean", [2, 4, 6, 10, 40])
def test_no_warning_of_healthy_clean_sets(n_clean: int, kind: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in range(3):
            rows, y, clean, y_clean = healthy(300, n_clean, seed, kind)
            net = net_of((clean, y_clean), max_epochs=1, batch_size=-1)
            net.set_params(module__n_inputs=rows.shape[1]).fit(rows, y)
            net.set_params(clean_set=min(n_clean, 20)).fit(rows, y)
    assert [str(warning.message) for warning in caught if UNLIKE in str(warning.message)] == []


def test_one_hot_encoded_columns_beside_scaled_ones() -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(e=generator.choice(list("xyzuvw"), 60))
    columns = make_column_transformer(
        (StandardScaler(), list("abcd")), (OneHotEncoder(sparse_output=False), ["e"])
    )
    rows = columns.fit_transform(frame)
    clean_set = (columns.transform(frame[:10]), NAMES[CODES[:10]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = net_of(clean_set, module__n_inputs=10).fit(rows, Y)
    assert net.n_features_in_ == 10


def test_sparse_x_in_a_pipeline() -> None:
    to_sparse = FunctionTransformer(sparse.csr_matrix, accept_sparse=True)
    pipe = Pipeline([("sparse", to_sparse), ("net", net_of(8))]).fit(ROWS, Y)
    expected = net_of(8).fit(ROWS, Y)
    assert same_state(parameters(pipe), parameters(expected), atol=1e-6)


# Routing


@pytest.mark.parametrize("enabled", [False, True])
def test_the_setting_is_left_alone(enabled: bool) -> None:
    with sklearn.config_context(enable_metadata_routing=enabled):
        before = sklearn.get_config()
        net = net_of().fit(ROWS, Y, X_val=X_CLEAN, y_val=YV)
        net.partial_fit(ROWS, Y).predict(ROWS)
        net.score(ROWS, Y)
        with pytest.raises(ValueError, match="clean_mask"):
            net.fit(ROWS, Y, clean_mask=[True])
        assert sklearn.get_config() == before
    assert not sklearn.get_config()["enable_metadata_routing"]


@pytest.mark.usefixtures("routing")
def test_requests() -> None:
    net = net_of().set_fit_request(X_val=True, y_val="trusted", clean_mask=False)
    net.set_score_request(sample_weight=True).set_partial_fit_request(clean_mask=True)
    names = ["X_val", "y_val", "trusted", "clean_mask", "sample_weight"]
    for other in (net, clone(net)):
        found = get_routing_for_object(other)
        assert set(found.consumes("fit", names)) == {"X_val", "trusted"}
        assert set(found.consumes("partial_fit", names)) == {"clean_mask"}
        assert set(found.consumes("score", names)) == {"sample_weight"}
    assert set(get_routing_for_object(net_of()).consumes("fit", names)) == set()


@pytest.mark.usefixtures("routing")
def test_metadata_under_another_name() -> None:
    net = net_of().set_fit_request(clean_mask="trusted")
    mask = np.arange(60) % 6 < 2
    scores = cross_validate(
        net, ROWS, Y, params={"trusted": mask}, cv=3, return_estimator=True, return_indices=True,
        error_score="raise",
    )  # fmt: skip
    for fitted, train in zip(scores["estimator"], scores["indices"]["train"], strict=True):
        np.testing.assert_array_equal(fitted.clean_set_[0], ROWS[train][mask[train]])


@pytest.mark.usefixtures("routing")
def test_metadata_that_nobody_requested() -> None:
    with pytest.raises(ValueError, match=r"clean_mask.*requested"):
        cross_validate(net_of(), ROWS, Y, params={"clean_mask": np.arange(60) % 6 < 2}, cv=3)


def test_requests_need_routing() -> None:
    with pytest.raises(RuntimeError, match="enable_metadata_routing"):
        net_of().set_fit_request(clean_mask=True)
