"""The arms by name: what L2RW is compared with, each a scikit-learn estimator around one net.

All get the same rows. Arms that have no use for a clean set have the clean rows among their
training rows; the others are told which ones they are, by ``clean_mask``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from imblearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.data.task import Task
from benchmarks.methods import others
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
from benchmarks.methods.ours import l2rw
from benchmarks.methods.sampling import resampled
from benchmarks.methods.setting import Setting
from benchmarks.methods.stages import (
    BestEpoch,
    CleanOnly,
    EarlyStopping,
    FineTuned,
    FineTunedSlowly,
    fifth,
)


@dataclass(frozen=True)
class Arm:
    """How an arm is made.

    Parameters
    ----------
    make : callable
        Makes the estimator for a `Setting`.
    about : str
        A line for the tables.
    takes_clean : bool
        Whether ``fit`` is told by ``clean_mask`` which rows are clean.
    tuned_as : str or None
        Arm whose learning rate it takes, which is its own name by default: a wrapper around the
        unweighted net takes that of the net. None for arms without a net.
    binary : bool
        Whether it is for two classes alone.
    package : str or None
        What has to be installed.
    scaled_outside : bool
        Whether a scaler comes before it in a Pipeline, rather than inside.

    """

    make: Callable[[Setting], Any]
    about: str
    takes_clean: bool = False
    tuned_as: str | None = "itself"
    binary: bool = False
    package: str | None = None
    scaled_outside: bool = True


def _net(kind: type[Net], **more: Any) -> Callable[[Setting], Any]:
    return lambda setting: setting.net(kind, **more)


def _early(kind: type[Net]) -> Callable[[Setting], Any]:
    def make(setting: Setting) -> Any:
        net = setting.net(kind, train_split=fifth())
        return net.set_params(callbacks=[*(net.callbacks or []), ("best_epoch", BestEpoch())])

    return make


def _adapted(setting: Setting, *, confusion_is_known: bool) -> Any:
    confusion = setting.task.confusion() if confusion_is_known else None
    module = partial(NoiseAdaptation, setting.factory, setting.task.n_classes, confusion)
    return setting.net(module=module)


def _sampled(name: str, about: str) -> Arm:
    return Arm(partial(resampled, sampler=name), about)


ARMS: dict[str, Arm] = {
    "unweighted": Arm(_net(Net), "plain training"),
    "early_stopping": Arm(_early(EarlyStopping), "plain, best epoch on a held-out fifth"),
    "class_weighted": Arm(_net(Net, class_weight="balanced"), "inverse class frequency"),
    "threshold_tuned": Arm(
        others.threshold_tuned, "plain, threshold tuned by CV", tuned_as="unweighted", binary=True
    ),
    "logit_adjusted": Arm(
        _net(LogitAdjusted), "plain, then divided by class frequency", tuned_as="unweighted"
    ),
    "random_undersampled": _sampled("random_undersampled", "RandomUnderSampler"),
    "random_oversampled": _sampled("random_oversampled", "RandomOverSampler"),
    "smote": _sampled("smote", "SMOTE"),
    "borderline_smote": _sampled("borderline_smote", "BorderlineSMOTE"),
    "adasyn": _sampled("adasyn", "ADASYN"),
    "smoteenn": _sampled("smoteenn", "SMOTE, then edited nearest neighbours"),
    "smotetomek": _sampled("smotetomek", "SMOTE, then Tomek links"),
    "balanced_batches": Arm(_net(BalancedBatches), "class-balanced batches (resample)"),
    "hard_mining": Arm(_net(HardMining), "largest losses of the frequent class"),
    "focal_loss": Arm(_net(FocalLoss), "focal loss, gamma 2"),
    "random_weights": Arm(_net(RandomWeights), "rectified Gaussian weights"),
    "adaboost": Arm(others.adaboost, "AdaBoost, no net", tuned_as=None),
    "balanced_random_forest": Arm(
        others.balanced_random_forest, "BalancedRandomForest, no net", tuned_as=None
    ),
    "bootstrap_soft": Arm(_net(SoftBootstrap), "Reed et al., soft"),
    "bootstrap_hard": Arm(_net(HardBootstrap), "Reed et al., hard"),
    "noise_adaptation": Arm(
        partial(_adapted, confusion_is_known=False), "S-Model, learned confusion"
    ),
    "noise_adaptation_true": Arm(
        partial(_adapted, confusion_is_known=True), "S-Model, told the true confusion"
    ),
    "self_paced": Arm(_net(SelfPaced), "MentorNet's predefined curriculum"),
    "clean_only": Arm(_net(CleanOnly), "the clean set alone", takes_clean=True),
    "fine_tuned": Arm(_net(FineTuned), "plain, then the clean set alone", takes_clean=True),
    "fine_tuned_slowly": Arm(
        _net(FineTunedSlowly), "the same, at a tenth of the learning rate", takes_clean=True
    ),
    "early_stopping_fine_tuned": Arm(
        _early(FineTuned), "early stopping, then the clean set alone", takes_clean=True
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
}
OURS = tuple(name for name in ARMS if name.startswith("l2rw"))


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
