"""Arms by name: each trains and predicts, on the rows that are its own."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from imblearn.pipeline import Pipeline
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import TunedThresholdClassifierCV
from skorch import NeuralNetClassifier

from benchmarks.data.task import held_out
from benchmarks.methods import ABLATION, ARMS, BASE, OURS, fit, is_installed, make, tuned_as
from benchmarks.methods.net import Net
from benchmarks.methods.noise_layer import NoiseAdaptation
from benchmarks.methods.others import MissingPackageError, import_cleanlab
from benchmarks.methods.setting import Setting
from benchmarks.methods.stages import BestEpoch, FineTunedAfter
from benchmarks.methods.training import OnFlatRows, n_epochs
from tests.small_benchmarks import TINY, tiny_setting, tiny_task

ISSUE = {
    "unweighted", "early_stopping", "class_weighted", "threshold_tuned", "random_undersampled",
    "random_oversampled", "smote", "borderline_smote", "adasyn", "smoteenn", "smotetomek",
    "balanced_batches", "hard_mining", "focal_loss", "random_weights", "adaboost",
    "balanced_random_forest", "bootstrap_soft", "bootstrap_hard", "noise_adaptation",
    "noise_adaptation_true", "self_paced", "clean_only", "fine_tuned",
    "early_stopping_fine_tuned", "cleanlab", "l2rw", "l2rw_last",
}  # fmt: skip


WITH_OPTIONS = (
    "unweighted_averaged", "fine_tuned_slowly_falling", "threshold_tuned_averaged",
    "smote_clipped_averaged", "l2rw_clipped_falling_averaged", "l2rw_composed_averaged",
)  # fmt: skip
TRIED = (*BASE, *ABLATION, *WITH_OPTIONS)
SOME_SLOWLY = [  # arms of the ablation, and the same once more behind a scaler
    pytest.param(arm, scale, marks=[pytest.mark.slow] if scale or arm in ABLATION else [])
    for arm in TRIED
    for scale in (False, True)
]
LONGER = replace(TINY, n_steps=60, n_steps_ours=60)


def installed(arm: str) -> str:
    if not is_installed(arm):
        pytest.skip(f"{ARMS[arm].package} is not installed")
    return arm


# cleanlab warns of what is to come in its own dependencies
@pytest.mark.filterwarnings("ignore::FutureWarning:cleanlab", "ignore::DeprecationWarning:cleanlab")
@pytest.mark.parametrize(("arm", "scale"), SOME_SLOWLY)
def test_each_arm_trains_and_predicts(arm: str, scale: bool) -> None:
    task = tiny_task()
    setting = tiny_setting(task, replace(LONGER, scale=scale))
    estimator = fit(installed(arm), setting)
    proba = estimator.predict_proba(task.X_test)
    assert proba.shape == (80, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert np.mean(estimator.predict(task.X_test) == task.y_test) > 0.6
    again = fit(arm, setting)
    np.testing.assert_array_equal(again.predict_proba(task.X_test), proba)


def proba_of(arm: str) -> Any:
    task = tiny_task()
    return fit(arm, tiny_setting(task, LONGER)).predict_proba(task.X_test)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning:cleanlab", "ignore::DeprecationWarning:cleanlab")
def test_cleanlab_in_a_process_of_joblibs() -> None:
    """There, a pool of its own would not find what it shares."""
    here = proba_of(installed("cleanlab"))
    (there,) = Parallel(n_jobs=2)([delayed(proba_of)("cleanlab")])
    np.testing.assert_allclose(there, here, atol=1e-6)


@pytest.mark.parametrize("arm", [name for name in TRIED if not ARMS[name].binary])
def test_arms_take_several_classes(arm: str) -> None:
    if arm in ("cleanlab", "adasyn"):
        pytest.skip("needs more data than this")
    task = tiny_task(3)
    estimator = fit(arm, tiny_setting(task))
    assert estimator.predict_proba(task.X_test).shape == (80, 3)


def test_all_arms_that_were_asked_for_are_there() -> None:
    assert set(ARMS) >= ISSUE
    assert set(OURS) == {
        "l2rw",
        "l2rw_last",
        "l2rw_bare",
        "l2rw_default",
        "l2rw_warm",
        "l2rw_unscaled",
        "l2rw_balanced",
    }
    assert tuned_as("threshold_tuned") == tuned_as("cleanlab") == "unweighted"
    assert tuned_as("smote") == "smote"
    assert tuned_as("adaboost") is None
    assert tuned_as("threshold_tuned_averaged") == "unweighted_averaged"
    assert tuned_as("l2b_averaged") == "l2b_averaged"


def test_every_net_has_its_options_and_no_other_arm() -> None:
    suffixes = ("averaged", "falling", "clipped_falling_averaged")
    for name in BASE | ABLATION:
        has_none = name.startswith("early_stopping") or tuned_as(name) is None
        for suffix in suffixes:
            assert (f"{name}_{suffix}" in ARMS) is not has_none
    assert {tuned_as(name) for name in ARMS} - {None} <= set(ARMS)
    assert ARMS["smote_averaged"].about == "SMOTE; averaged"


@pytest.mark.parametrize("arm", TRIED)
def test_arms_are_estimators_around_the_same_net(arm: str) -> None:
    task = tiny_task()
    estimator = clone(make(installed(arm), tiny_setting(task)))
    if arm in ("adaboost", "balanced_random_forest"):
        return
    net = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    net = net.estimator if isinstance(net, TunedThresholdClassifierCV) else net
    net = net.clf if arm == "cleanlab" else net
    assert isinstance(net, NeuralNetClassifier)
    module = net.module()
    module = module.net if isinstance(module, NoiseAdaptation) else module
    assert isinstance(module, OnFlatRows)
    assert net.optimizer is torch.optim.SGD
    assert net.get_params()["optimizer__momentum"] == 0.9
    assert (net.lr, net.batch_size) == (0.1, 20)


def record_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of rows of each training set that a net gets."""
    sizes: list[int] = []
    fit_loop = Net.fit_loop

    def recorded(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(X))
        return fit_loop(self, X, *args, **kwargs)

    monkeypatch.setattr(Net, "fit_loop", recorded)
    return sizes


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("unweighted", [160]),
        ("clean_only", [12]),
        ("fine_tuned", [160, 12]),
        ("clean_term", [160]),
        ("last_layer_refitted", [160]),
        ("glc", [148, 160]),
        ("corrected_softly", [160]),
        ("l2b", [148]),
        ("l2rw_composed", [148]),
        ("l2rw_fine_tuned_slowly", [12]),
    ],
)
def test_who_gets_the_clean_rows(
    arm: str, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = record_rows(monkeypatch)
    fit(arm, tiny_setting(tiny_task()))
    assert sizes == expected


@pytest.mark.parametrize(("arm", "lr"), [("fine_tuned", 0.1), ("fine_tuned_slowly", 0.01)])
def test_the_rate_of_fine_tuning(arm: str, lr: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[tuple[int, float]] = []
    step = Net.train_step

    def recorded(self: Any, batch: Any, **kwargs: Any) -> Any:
        rates.append((len(batch[1]), self.optimizer_.param_groups[0]["lr"]))
        return step(self, batch, **kwargs)

    monkeypatch.setattr(Net, "train_step", recorded)
    fit(arm, tiny_setting(tiny_task()))
    assert dict(rates) == {20: pytest.approx(0.1), 12: pytest.approx(lr)}


def test_l2rw_is_fine_tuned_from_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FineTunedAfter, "factor", 0.0)
    task = tiny_task()
    net = fit("l2rw_fine_tuned_slowly", tiny_setting(task, LONGER))
    l2rw = make("l2rw", tiny_setting(task, replace(LONGER, n_steps_ours=48)))
    X, y, clean_mask = task.with_clean()
    expected = l2rw.fit(X, y, clean_mask=clean_mask).predict_proba(task.X_test)
    np.testing.assert_array_equal(net.predict_proba(task.X_test), expected)
    assert len(net.history) == 12, "a fifth of 60 steps, on one clean batch"


def test_the_last_layer_alone_is_refitted() -> None:
    task = tiny_task()
    setting = tiny_setting(task, LONGER)
    plain, net = fit("unweighted", setting), fit("last_layer_refitted", setting)
    for name, value in plain.module_.state_dict().items():
        assert torch.equal(net.module_.state_dict()[name], value)
    features = net.features(task.X_test)
    last = [m for m in net.module_.modules() if isinstance(m, torch.nn.Linear)][-1]
    logits = last(torch.as_tensor(features)).detach().softmax(1)
    np.testing.assert_allclose(logits, plain.predict_proba(task.X_test), atol=1e-6)
    expected = net.last_layer_.predict_proba(features)
    np.testing.assert_allclose(net.predict_proba(task.X_test), expected, atol=1e-6)
    assert net.last_layer_.n_features_in_ == last.in_features
    assert len(net.last_layer_.best_estimator_[0].mean_) == last.in_features


def test_logit_adjustment_divides_by_the_frequencies_in_training() -> None:
    task = tiny_task(3)
    _, y, _ = task.with_clean()
    plain = fit("unweighted", tiny_setting(task)).predict_proba(task.X_test)
    net = fit("logit_adjusted", tiny_setting(task))
    expected = plain / np.bincount(y)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict_proba(task.X_test), expected, rtol=1e-5)
    np.testing.assert_array_equal(net.predict(task.X_test), expected.argmax(axis=1))
    assert not np.array_equal(expected.argmax(axis=1), plain.argmax(axis=1))


def test_l2rw_gets_the_clean_rows_as_its_clean_set() -> None:
    task = tiny_task()
    net = fit("l2rw", tiny_setting(task))
    X_clean, y_clean = net.clean_set_
    np.testing.assert_array_equal(X_clean, task.X_clean)
    np.testing.assert_array_equal(y_clean, task.y_clean)
    assert len(net.history) == n_epochs(TINY.n_steps_ours, len(task.y), TINY.batch_size)
    bare = make("l2rw_bare", tiny_setting(task))
    assert (net.max_grad_norm, bare.max_grad_norm) == (1.0, None)
    assert make("l2rw_last", tiny_setting(task)).meta_parameters == "last"


def test_no_test_row_reaches_an_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    task = tiny_task()
    X_test = np.full_like(task.X_test, np.nan)  # would be an error in a fit
    for arm in ("unweighted", "fine_tuned", "smote", "l2rw"):
        estimator = fit(arm, tiny_setting(replace(task, X_test=X_test)))
        assert np.isfinite(estimator.predict_proba(task.X)).all()
    part = held_out(replace(task, X_test=X_test), 0.25, 0)
    assert np.isfinite(part.X_test).all()
    assert len(part.y) + len(part.y_test) == len(task.y)
    np.testing.assert_array_equal(part.X_clean, task.X_clean)


def test_best_epoch_is_kept() -> None:
    task = tiny_task()
    net = make("early_stopping", tiny_setting(task, replace(TINY, n_steps=300)))
    X, y, _ = task.with_clean()
    net.fit(X, y)
    losses = net.history[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert len(losses) <= best + 1 + max(5, net.n_epochs_ // 5)
    stopped = next(c for _, c in net.callbacks_ if isinstance(c, BestEpoch))
    assert stopped.best_ == losses[best]
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, stopped.state_[name])


def test_a_missing_cleanlab_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cleanlab", "cleanlab.rank"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match="pip install cleanlab"):
        import_cleanlab("rank")


def test_setting_counts_the_rarest_class() -> None:
    task = tiny_task()
    setting = Setting(task, TINY, 0.1, 0)
    assert setting.n_rarest == np.bincount(np.r_[task.y, task.y_clean]).min()
