"""Arms of the benchmarks: each trains and predicts, and does what its name says."""

from __future__ import annotations

import sys
from collections.abc import Callable
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
from torch import nn
from torch.nn import functional as F

from benchmarks.data.task import held_out
from benchmarks.methods import ARMS, OURS, fit, is_installed, make, tuned_as
from benchmarks.methods.losses import (
    BalancedBatches,
    FocalLoss,
    HardBootstrap,
    HardMining,
    RandomWeights,
    SelfPaced,
    SoftBootstrap,
)
from benchmarks.methods.net import Batches, Net
from benchmarks.methods.noise_layer import NoiseAdaptation
from benchmarks.methods.others import MissingPackageError, import_cleanlab
from benchmarks.methods.setting import Setting
from benchmarks.methods.stages import BestEpoch
from benchmarks.methods.training import NETS, OnFlatRows, Training, n_epochs, shifted_and_mirrored
from benchmarks.wide_resnet import WideResNet
from tests.small_benchmarks import TINY, tiny_setting, tiny_task

ISSUE = {
    "unweighted", "early_stopping", "class_weighted", "threshold_tuned", "random_undersampled",
    "random_oversampled", "smote", "borderline_smote", "adasyn", "smoteenn", "smotetomek",
    "balanced_batches", "hard_mining", "focal_loss", "random_weights", "adaboost",
    "balanced_random_forest", "bootstrap_soft", "bootstrap_hard", "noise_adaptation",
    "noise_adaptation_true", "self_paced", "clean_only", "fine_tuned",
    "early_stopping_fine_tuned", "cleanlab", "l2rw", "l2rw_last",
}  # fmt: skip
LONGER = replace(TINY, n_steps=60, n_steps_ours=60)


def installed(arm: str) -> str:
    if not is_installed(arm):
        pytest.skip(f"{ARMS[arm].package} is not installed")
    return arm


# cleanlab warns of what is to come in its own dependencies
@pytest.mark.filterwarnings("ignore::FutureWarning:cleanlab", "ignore::DeprecationWarning:cleanlab")
@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("arm", ARMS)
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


@pytest.mark.filterwarnings("ignore::FutureWarning:cleanlab", "ignore::DeprecationWarning:cleanlab")
def test_cleanlab_in_a_process_of_joblibs() -> None:
    """There, a pool of its own would not find what it shares."""
    here = proba_of(installed("cleanlab"))
    (there,) = Parallel(n_jobs=2)([delayed(proba_of)("cleanlab")])
    np.testing.assert_allclose(there, here, atol=1e-6)


@pytest.mark.parametrize("arm", [name for name, arm in ARMS.items() if not arm.binary])
def test_arms_take_several_classes(arm: str) -> None:
    if arm in ("cleanlab", "adasyn"):
        pytest.skip("needs more data than this")
    task = tiny_task(3)
    estimator = fit(arm, tiny_setting(task))
    assert estimator.predict_proba(task.X_test).shape == (80, 3)


def test_all_arms_that_were_asked_for_are_there() -> None:
    assert set(ARMS) >= ISSUE
    assert set(OURS) == {"l2rw", "l2rw_last", "l2rw_bare"}
    assert tuned_as("threshold_tuned") == tuned_as("cleanlab") == "unweighted"
    assert tuned_as("smote") == "smote"
    assert tuned_as("adaboost") is None


@pytest.mark.parametrize("arm", ARMS)
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
    [("unweighted", [160]), ("clean_only", [12]), ("fine_tuned", [160, 12])],
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
    bare = make("l2rw_bare", tiny_setting(task)).initialize()
    assert "gradient_clipping" in dict(net.callbacks_)
    assert dict(bare.callbacks_).get("gradient_clipping") is None
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


# -- the net ----------------------------------------------------------------------------------


def test_steps_are_counted_over_the_rows_there_are() -> None:
    assert n_epochs(1000, 5000, 100) == 20
    assert n_epochs(1000, 50, 100) == 1000
    assert n_epochs(1, 5000, 100) == 1
    task = tiny_task()
    net = fit("random_undersampled", tiny_setting(task))[-1]
    batches = sum(len(row["batches"]) for row in net.history)
    assert abs(batches - TINY.n_steps) <= 1


def test_training_leaves_torchs_generator_alone() -> None:
    task = tiny_task()
    state = torch.get_rng_state()
    fit("random_weights", tiny_setting(task))
    assert torch.equal(torch.get_rng_state(), state)


def test_batches_hold_each_row_once() -> None:
    X = torch.arange(10.0)[:, None]
    seen = [
        row for x, _ in Batches(X, torch.arange(10), 4, Net(nn.Identity)) for row in x.flatten()
    ]
    assert len(Batches(X, torch.arange(10), 4)) == 3
    assert sorted(int(x) for x in seen) == list(range(10))
    in_order = torch.cat([y for _, y in Batches(X, torch.arange(10), 4)])
    assert in_order.tolist() == list(range(10))


def test_learning_rate_falls_at_the_milestones() -> None:
    training = Training("mlp", 16, 16, 20, lrs=(1.0,), milestones=(0.5,))
    for arm in ("unweighted", "l2rw"):
        net = fit(arm, tiny_setting(tiny_task(), training))
        assert net.optimizer_.param_groups[0]["lr"] == pytest.approx(0.01)


# -- what the losses are ----------------------------------------------------------------------

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.0, 0.3], [1.0, 1.0]])
LABELS = torch.tensor([0, 0, 0, 1, 0])


def net_of(kind: type[Net], **more: Any) -> Net:
    net = kind(nn.Identity, **more)
    net.class_counts_ = np.array([90, 10])
    return net


def test_class_weights_are_inverse_frequencies() -> None:
    net = net_of(Net, class_weight="balanced")
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    weights = torch.tensor([100 / 180, 100 / 20])[LABELS]
    torch.testing.assert_close(net.training_loss(LOGITS, LABELS), (weights * losses).mean())
    plain = net_of(Net).training_loss(LOGITS, LABELS)
    torch.testing.assert_close(plain, losses.mean())


def test_focal_loss() -> None:
    p = LOGITS.softmax(1)[torch.arange(5), LABELS]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    torch.testing.assert_close(net_of(FocalLoss).training_loss(LOGITS, LABELS), expected)


def test_hard_mining_keeps_the_largest_losses_of_the_frequent_class() -> None:
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    expected = (losses[1] + losses[3]) / 2  # one of class 1, so one of class 0: the second
    torch.testing.assert_close(net_of(HardMining).training_loss(LOGITS, LABELS), expected)


def test_random_weights_are_a_distribution() -> None:
    equal = torch.zeros(50, 2)
    loss = net_of(RandomWeights).training_loss(equal, torch.zeros(50, dtype=torch.int64))
    torch.testing.assert_close(loss, torch.tensor(2.0).log())


def test_bootstrap_targets() -> None:
    q = LOGITS.softmax(1)
    given = F.one_hot(LABELS, 2)
    soft = -((0.95 * given + 0.05 * q) * q.log()).sum(1).mean()
    torch.testing.assert_close(net_of(SoftBootstrap).training_loss(LOGITS, LABELS), soft)
    predicted = F.one_hot(LOGITS.argmax(1), 2)
    hard = -((0.8 * given + 0.2 * predicted) * q.log()).sum(1).mean()
    torch.testing.assert_close(net_of(HardBootstrap).training_loss(LOGITS, LABELS), hard)


def test_self_paced_drops_large_losses_after_a_while() -> None:
    net = net_of(SelfPaced, n_steps=10)
    net.on_train_begin(net)
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    for _ in range(2):
        torch.testing.assert_close(net.training_loss(LOGITS, LABELS), losses.mean())
    kept = losses[losses <= losses.quantile(0.75)]
    assert len(kept) == 4
    torch.testing.assert_close(net.training_loss(LOGITS, LABELS), kept.mean())


def test_balanced_batches_draw_the_rare_class_as_often() -> None:
    y = torch.cat([torch.zeros(900, dtype=torch.int64), torch.ones(100, dtype=torch.int64)])
    share = y[net_of(BalancedBatches).draw_order(y)].float().mean()
    assert 0.45 < float(share) < 0.55


def test_noise_layer() -> None:
    confusion = np.array([[0.7, 0.3], [0.0, 1.0]])
    known = NoiseAdaptation(nn.Identity, 2, confusion)
    expected = LOGITS.softmax(1) @ torch.tensor(confusion, dtype=torch.float32)
    torch.testing.assert_close(known(LOGITS).exp(), expected)
    torch.testing.assert_close(known.eval()(LOGITS), LOGITS)
    assert not [p for p in known.parameters() if p.requires_grad]
    learned = NoiseAdaptation(nn.Identity, 3)
    rows = learned.rows.softmax(1)
    torch.testing.assert_close(rows.diag(), torch.full((3,), 0.9))
    assert learned.rows.requires_grad


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


# -- nets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", [name for name in NETS if name != "wrn"])
def test_each_net_takes_flat_rows(net: str) -> None:
    shape = {"mlp": (5,), "lenet": (1, 28, 28), "lenet5": (1, 28, 28)}.get(net, (3, 32, 32))
    make_net: Callable[[], nn.Module] = TINY.factory(shape, 3)
    make_net = replace(TINY, net=net).factory(shape, 3)
    X = torch.randn(2, int(np.prod(shape)))
    assert make_net()(X).shape == (2, 3)


def test_wide_resnet() -> None:
    net = WideResNet(depth=10, width=1)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    with torch.device("meta"):
        full = WideResNet()
    assert sum(p.numel() for p in full.parameters()) == pytest.approx(36.5e6, rel=0.01)


def test_images_are_shifted_and_mirrored_each_in_its_way() -> None:
    X = torch.arange(2 * 6 * 6.0).reshape(1, 2, 6, 6).repeat(64, 1, 1, 1) + 1
    found = shifted_and_mirrored(X, pad=2)
    assert found.shape == X.shape
    assert len({tuple(x.flatten().tolist()) for x in found}) > 20
    sides = set(shifted_and_mirrored(X, pad=0)[:, :, :, 0].flatten().tolist())
    assert sides == set(X[..., [0, 5]].flatten().tolist())
    inside = found[:, 0, 2:4, 2:4]
    assert bool((inside > 0).all()), "the middle is never padding"
    channels = found[:, 1] - found[:, 0]
    assert set(channels[found[:, 0] > 0].tolist()) == {36.0}, "channels move together"


def test_a_missing_cleanlab_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cleanlab", "cleanlab.rank"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match="pip install cleanlab"):
        import_cleanlab("rank")


def test_setting_counts_the_rarest_class() -> None:
    task = tiny_task()
    setting = Setting(task, TINY, 0.1, 0)
    assert setting.n_rarest == np.bincount(np.r_[task.y, task.y_clean]).min()
