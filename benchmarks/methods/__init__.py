"""The arms by name: what L2RW is compared with, each a scikit-learn estimator around one net.

All get the same rows. Arms that have no use for a clean set have the clean rows among their
training rows; the others are told which ones they are, by ``clean_mask``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from imblearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.data.task import Task
from benchmarks.methods import others
from benchmarks.methods.arm import Arm, net, with_all_options
from benchmarks.methods.clean_term import CleanTerm
from benchmarks.methods.composed import LearningToBootstrap, Weighed
from benchmarks.methods.losses import (
    BalancedBatches,
    FocalLoss,
    HardBootstrap,
    HardMining,
    RandomWeights,
    SelfPaced,
    SoftBootstrap,
)
from benchmarks.methods.net import LogitAdjusted, Net
from benchmarks.methods.noise_layer import NoiseAdaptation
from benchmarks.methods.ours import default, l2rw, l2rw_fine_tuned_slowly
from benchmarks.methods.relabelled import CorrectedSoftly, GoldLossCorrection
from benchmarks.methods.sampling import resampled
from benchmarks.methods.setting import Setting
from benchmarks.methods.stages import (
    BestEpoch,
    CleanOnly,
    EarlyStopping,
    FineTuned,
    FineTunedSlowly,
    LastLayerRefitted,
    fifth,
)


def _early(kind: type[Net]) -> Callable[[Setting], Any]:
    def make(setting: Setting) -> Any:
        early = setting.net(kind, train_split=fifth())
        return early.set_params(callbacks=[*(early.callbacks or []), ("best_epoch", BestEpoch())])

    return make


def _adapted(setting: Setting, *, confusion_is_known: bool) -> Any:
    confusion = setting.task.confusion() if confusion_is_known else None
    module = partial(NoiseAdaptation, setting.factory, setting.task.n_classes, confusion)
    return setting.net(module=module)


def _learned(kind: type[Net], **more: Any) -> Callable[[Setting], Any]:
    return lambda setting: setting.net(kind, n_steps=setting.training.n_steps_ours, **more)


def _sampled(name: str, about: str) -> Arm:
    return Arm(partial(resampled, sampler=name), about)


BASE: dict[str, Arm] = {
    "unweighted": Arm(net(Net), "plain training"),
    "early_stopping": Arm(
        _early(EarlyStopping), "plain, best epoch on a held-out fifth", has_options=False
    ),
    "class_weighted": Arm(net(Net, class_weight="balanced"), "inverse class frequency"),
    "threshold_tuned": Arm(
        others.threshold_tuned, "plain, threshold tuned by CV", tuned_as="unweighted", binary=True
    ),
    "logit_adjusted": Arm(
        net(LogitAdjusted), "plain, then divided by class frequency", tuned_as="unweighted"
    ),
    "random_undersampled": _sampled("random_undersampled", "RandomUnderSampler"),
    "random_oversampled": _sampled("random_oversampled", "RandomOverSampler"),
    "smote": _sampled("smote", "SMOTE"),
    "borderline_smote": _sampled("borderline_smote", "BorderlineSMOTE"),
    "adasyn": _sampled("adasyn", "ADASYN"),
    "smoteenn": _sampled("smoteenn", "SMOTE, then edited nearest neighbours"),
    "smotetomek": _sampled("smotetomek", "SMOTE, then Tomek links"),
    "balanced_batches": Arm(net(BalancedBatches), "class-balanced batches (resample)"),
    "hard_mining": Arm(net(HardMining), "largest losses of the frequent class"),
    "focal_loss": Arm(net(FocalLoss), "focal loss, gamma 2"),
    "random_weights": Arm(net(RandomWeights), "rectified Gaussian weights"),
    "adaboost": Arm(others.adaboost, "AdaBoost, no net", tuned_as=None),
    "balanced_random_forest": Arm(
        others.balanced_random_forest, "BalancedRandomForest, no net", tuned_as=None
    ),
    "bootstrap_soft": Arm(net(SoftBootstrap), "Reed et al., soft"),
    "bootstrap_hard": Arm(net(HardBootstrap), "Reed et al., hard"),
    "noise_adaptation": Arm(
        partial(_adapted, confusion_is_known=False), "S-Model, learned confusion"
    ),
    "noise_adaptation_true": Arm(
        partial(_adapted, confusion_is_known=True), "S-Model, told the true confusion"
    ),
    "self_paced": Arm(net(SelfPaced), "MentorNet's predefined curriculum"),
    "clean_only": Arm(net(CleanOnly), "the clean set alone", takes_clean=True),
    "fine_tuned": Arm(net(FineTuned), "plain, then the clean set alone", takes_clean=True),
    "fine_tuned_slowly": Arm(
        net(FineTunedSlowly), "the same, at a tenth of the learning rate", takes_clean=True
    ),
    "early_stopping_fine_tuned": Arm(
        _early(FineTuned),
        "early stopping, then the clean set alone",
        takes_clean=True,
        has_options=False,
    ),
    "cleanlab": Arm(
        others.cleanlab,
        "CleanLearning around the net",
        tuned_as="unweighted",
        package="cleanlab",
        scaled_outside=False,
    ),
    "l2rw": Arm(l2rw, "L2RW", takes_clean=True),
    "l2rw_last": Arm(
        partial(l2rw, meta_parameters="last"), "L2RW by the last layer alone", takes_clean=True
    ),
    "l2rw_bare": Arm(partial(l2rw, max_grad_norm=None), "L2RW, unclipped", takes_clean=True),
    "l2rw_default": Arm(default, "this package's defaults", takes_clean=True),
    "l2rw_warm": Arm(
        partial(default, warm=0.5),
        "the same, rows not weighed in half the epochs",
        takes_clean=True,
    ),
    "l2rw_unscaled": Arm(
        partial(default, scale_slopes=False), "the same, slopes as they are", takes_clean=True
    ),
    "l2rw_balanced": Arm(
        partial(default, class_weight="balanced"),
        "the same, inverse class frequency",
        takes_clean=True,
    ),
}
"""The arms of all experiments; a preset that names none of them takes these."""

ABLATION: dict[str, Arm] = {
    "clean_term": Arm(net(CleanTerm), "plain, 0.3 of the clean loss added", takes_clean=True),
    "clean_term_1": Arm(
        net(CleanTerm, clean_term=1.0), "plain, the clean loss added", takes_clean=True
    ),
    "last_layer_refitted": Arm(
        net(LastLayerRefitted), "DFR: a logistic last layer of the clean set", takes_clean=True
    ),
    "glc": Arm(net(GoldLossCorrection), "gold loss correction", takes_clean=True),
    "corrected_softly": Arm(
        net(CorrectedSoftly), "MSLC, fixed: labels mixed with predictions", takes_clean=True
    ),
    "l2b": Arm(_learned(LearningToBootstrap), "learning to bootstrap", takes_clean=True),
    "l2rw_fine_tuned_slowly": Arm(
        l2rw_fine_tuned_slowly, "L2RW, then slowly the clean set alone", takes_clean=True
    ),
    "l2rw_clean_term": Arm(
        _learned(Weighed, clean_term=0.3), "L2RW, 0.3 of the clean loss added", takes_clean=True
    ),
    "l2rw_scaled": Arm(
        _learned(Weighed, scaled=True), "L2RW, slopes over the norm of r", takes_clean=True
    ),
    "l2rw_composed": Arm(
        _learned(Weighed, clean_term=0.3, scaled=True), "L2RW, both of these", takes_clean=True
    ),
}
"""Rivals that train on the clean set or mend labels, and L2RW with one part more or several.

The steps of the last three, and of ``l2b``, are plain loops of their own, and slow.
"""

_OURS_LAST = sorted((BASE | ABLATION).items(), key=lambda item: item[0].startswith("l2rw"))
ARMS = with_all_options(dict(_OURS_LAST))
OURS = tuple(name for name in BASE if name.startswith("l2rw"))


def tuned_as(name: str) -> str | None:
    """Arm whose learning rate an arm takes; None where it has none."""
    arm = ARMS[name]
    return name if arm.tuned_as == "itself" else arm.tuned_as


def is_installed(name: str) -> bool:
    """Whether the package that an arm needs is there."""
    package = ARMS[name].package
    return package is None or find_spec(package) is not None


def make(name: str, setting: Setting) -> Any:
    """Estimator of an arm, unfitted: the net, or a Pipeline around it."""
    estimator = ARMS[name].make(setting)
    if not (setting.training.scale and ARMS[name].scaled_outside):
        return estimator
    scaler = ("scaler", StandardScaler())
    if isinstance(estimator, Pipeline):
        return Pipeline([scaler, *estimator.steps])
    return Pipeline([scaler, ("net", estimator)])


def fit(name: str, setting: Setting) -> Any:
    """Make an arm's estimator, and fit it on all that there is to train on."""
    return fit_on(make(name, setting), setting.task, takes_clean=ARMS[name].takes_clean)


def fit_on(estimator: Any, task: Task, *, takes_clean: bool) -> Any:
    """Fit an estimator on all rows of a task, and tell it which are clean if it takes that."""
    X, y, clean_mask = task.with_clean()
    if not takes_clean:
        return estimator.fit(X, y)
    key = "net__clean_mask" if isinstance(estimator, Pipeline) else "clean_mask"
    return estimator.fit(X, y, **{key: clean_mask})
