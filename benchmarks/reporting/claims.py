"""What the READMEs claim of the results. A claim that fails is an error: it must go."""

from __future__ import annotations

from functools import partial

from benchmarks.experiments.preset import Point
from benchmarks.experiments.sizes import NOISE_MNIST
from benchmarks.reporting.judges import (
    Claim,
    finds_errors,
    in_order,
    least,
    less,
    most,
    ranks_between,
    share_of,
)
from benchmarks.reporting.tables import is_ours


def _uniform(rate: float) -> Point:
    return {"noise": "uniform", "rate": rate}


OURS = "l2rw_default"
_BETTER_ON_TABLES = (
    "balanced_batches", "random_oversampled", "class_weighted", "smote", "threshold_tuned",
    "fine_tuned",
)  # fmt: skip
_PAPERS_RIVALS = ("unweighted", "class_weighted", "balanced_batches", "hard_mining")

_NOT_TOLD = tuple(
    arm for arm in NOISE_MNIST["cpu"].arms
    if not is_ours(arm)
    and arm not in ("noise_adaptation_true", "fine_tuned_slowly", "unweighted_averaged")
)  # fmt: skip

CLAIMS: tuple[Claim, ...] = (
    *(
        Claim(
            f"{100 * rate:.0f}% {noise}: L2RWClassifier has less error than every other method",
            "noise-mnist", "cpu",
            partial(least, arm=OURS, point={"noise": noise, "rate": rate}, measure="error"),
        )
        for noise, rate in (("uniform", 0.0), ("uniform", 0.4), ("uniform", 0.6),
                            ("background", 0.4))
    ),
    *(
        Claim(
            f"long tail, {100 * rate:.0f}% background: L2RWClassifier has less error than every "
            "other method",
            "noise-and-imbalance", "cpu",
            partial(least, arm=OURS, point={"noise": "background", "rate": rate},
                    measure="error"),
        )
        for rate in (0.0, 0.2, 0.4, 0.5)
    ),
    *(
        Claim(
            f"{n_clean} clean images: L2RWClassifier has less error than every other method",
            "clean-size", "cpu",
            partial(least, arm=OURS, measure="error",
                    point={"n_clean": n_clean, "noise": "background", "rate": 0.4}),
        )
        for n_clean in (15, 30, 50, 100, 200, 500, 1000)
    ),
    *(
        Claim(
            f"{100 * share:g}% nines: {arm} has less error than L2RWClassifier",
            "imbalance-mnist", "cpu",
            partial(less, arm=arm, others=(OURS,), point={"majority": share}, measure="error"),
        )
        for share, arm in ((0.9, "class_weighted"), (0.98, "fine_tuned"),
                           (0.98, "fine_tuned_slowly"), (0.995, "fine_tuned_slowly"))
    ),
    *(
        Claim(
            f"{100 * share:g}% nines: L2RW's error is less than those of SMOTE, of adjusted logits "
            "and of the paper's rivals",
            "imbalance-mnist", "cpu",
            partial(less, arm="l2rw", others=("smote", "logit_adjusted", *_PAPERS_RIVALS),
                    point={"majority": share}, measure="error"),
        )
        for share in (0.98, 0.995)
    ),
    *(
        Claim(
            f"{100 * share:g}% nines: {arm} has less error than L2RW",
            "imbalance-mnist", "cpu",
            partial(less, arm=arm, others=("l2rw",), point={"majority": share}, measure="error"),
        )
        for share, arm in ((0.9, "fine_tuned"), (0.98, "fine_tuned"), (0.995, "fine_tuned_slowly"))
    ),
    *(
        Claim(
            f"{100 * share:g}% nines: L2RWClassifier has less error than class weights and SMOTE",
            "imbalance-mnist", "cpu",
            partial(less, arm=OURS, others=("class_weighted", "smote"),
                    point={"majority": share}, measure="error"),
        )
        for share in (0.98, 0.995)
    ),
    Claim(
        "90% nines: class weights have less error than L2RW",
        "imbalance-mnist", "cpu",
        partial(less, arm="class_weighted", others=("l2rw",), point={"majority": 0.9},
                measure="error"),
    ),
    Claim(
        "tables with rare classes and right labels: resampling, class weights, a threshold and "
        "fine-tuning rank before L2RW; plain training ranks behind it",
        "imbalance-tabular", "cpu",
        partial(ranks_between, arm=OURS, before=_BETTER_ON_TABLES, behind=("unweighted",),
                measure="balanced_error"),
    ),
    *(
        Claim(
            f"{100 * rate:.0f}% {noise}: {arm} has less error than all not told the noise, "
            "but for gentle fine-tuning and averaged parameters",
            "noise-mnist", "cpu",
            partial(less, arm=arm, others=_NOT_TOLD, point={"noise": noise, "rate": rate},
                    measure="error"),
        )
        for noise, rate in (("uniform", 0.4), ("uniform", 0.6), ("background", 0.4))
        for arm in ("l2rw", "l2rw_last")
    ),
    Claim(
        "40% uniform, 100 passes: L2RW has at most a fifth of plain training's error",
        "noise-mnist", "cpu_long",
        partial(share_of, arm="l2rw", other="unweighted", point=_uniform(0.4), measure="error",
                bound=0.2),
    ),
    Claim(
        "40% uniform, 100 passes: L2RW has less error than all others",
        "noise-mnist", "cpu_long",
        partial(least, arm="l2rw", point=_uniform(0.4), measure="error"),
    ),
    *(
        Claim(
            f"{100 * rate:.0f}% {noise}: {arm} has less error than l2rw",
            "noise-mnist", "cpu",
            partial(less, arm=arm, others=("l2rw",), point={"noise": noise, "rate": rate},
                    measure="error"),
        )
        for noise, rate in (("uniform", 0.4), ("uniform", 0.6), ("background", 0.4))
        for arm in ("l2rw_last", "fine_tuned_slowly")
    ),
    Claim(
        "40% uniform, small: plain training has less error than L2RW",
        "noise-cifar", "cpu",
        partial(less, arm="unweighted", others=("l2rw", "l2rw_last"), point=_uniform(0.4),
                measure="error"),
    ),
    Claim(
        "40% background, small: L2RW has less error than plain training and fine-tuning",
        "noise-cifar", "cpu",
        partial(less, arm="l2rw", others=("unweighted", "fine_tuned"), measure="error",
                point={"noise": "background", "rate": 0.4}),
    ),
    *(
        Claim(
            f"40% {noise}, small: {arm} has less error than L2RWClassifier",
            "noise-cifar", "cpu",
            partial(less, arm=arm, others=(OURS,), measure="error",
                    point={"noise": noise, "rate": 0.4}),
        )
        for noise, arm in (("uniform", "unweighted"), ("background", "fine_tuned_slowly"))
    ),
    Claim(
        "40% background, small: with rows not weighed at first, L2RWClassifier has less error than "
        "plain training and fine-tuning",
        "noise-cifar", "cpu",
        partial(less, arm="l2rw_warm", others=("unweighted", "fine_tuned", "fine_tuned_slowly"),
                measure="error", point={"noise": "background", "rate": 0.4}),
    ),
    *(
        Claim(
            f"people's labels, {name}: plain training, averaged, has less error than the others",
            "noise-human", "cpu",
            partial(less, arm="unweighted_averaged", measure="error", point={"noise": name},
                    others=("unweighted", "fine_tuned_slowly", "l2rw", OURS, "l2rw_warm")),
        )
        for name in ("aggre", "random1", "worse")
    ),
    Claim(
        "100 passes, 40% uniform: L2RWClassifier has the least error",
        "noise-mnist", "cpu_long",
        partial(least, arm=OURS, point=_uniform(0.4), measure="error"),
    ),
    Claim(
        "no noise: plain training has less error than L2RW",
        "noise-mnist", "cpu",
        partial(less, arm="unweighted", others=("l2rw", "l2rw_last"), point=_uniform(0.0),
                measure="error"),
    ),
    *(
        Claim(
            f"long tail, {100 * rate:.0f}% background: gentle fine-tuning has less error than "
            "L2RW, L2RW less than SMOTE",
            "noise-and-imbalance", "cpu",
            partial(in_order, arms=("fine_tuned_slowly", "l2rw", "smote"), measure="error",
                    point={"noise": "background", "rate": rate}),
        )
        for rate in (0.2, 0.4, 0.5)
    ),
    *(
        Claim(
            f"long tail, {100 * rate:.0f}% background: L2RW has at most half of plain training's "
            "error",
            "noise-and-imbalance", "cpu",
            partial(share_of, arm="l2rw", other="unweighted",
                    point={"noise": "background", "rate": rate}, measure="error", bound=0.5),
        )
        for rate in (0.2, 0.4, 0.5)
    ),
    *(
        Claim(
            f"{n_clean} clean images: {arm} has less error than {other}",
            "clean-size", "cpu",
            partial(less, arm=arm, others=(other,), measure="error",
                    point={"n_clean": n_clean, "noise": "background", "rate": 0.4}),
        )
        for n_clean, arm, other in (
            (15, "l2rw", "fine_tuned"), (50, "l2rw", "fine_tuned"), (100, "l2rw", "fine_tuned"),
            (500, "fine_tuned", "l2rw"), (1000, "fine_tuned", "l2rw"),
            *((n, "fine_tuned_slowly", "l2rw") for n in (15, 30, 50, 100, 200, 500, 1000)),
        )
    ),
    *(
        Claim(
            f"{100 * rate:.0f}% {noise}: our best score finds wrong labels as well as cleanlab's "
            "does with five folds, in 0.75 of its time at equal steps a fit",
            "label-errors", "cpu",
            partial(finds_errors, point={"noise": noise, "rate": rate}, share=0.75),
        )
        for noise, rate in (("uniform", 0.2), ("uniform", 0.4), ("uniform", 0.6),
                            ("background", 0.2), ("background", 0.4))
    ),
    *(
        Claim(
            f"{100 * rate:.0f}% {noise}: {arm} finds wrong labels best",
            "label-errors", "cpu",
            partial(most, arm=f"{arm}: probability", point={"noise": noise, "rate": rate},
                    measure="auroc"),
        )
        for noise, rate, arm in (
            ("uniform", 0.2, OURS), ("uniform", 0.4, OURS), ("uniform", 0.6, OURS),
            ("background", 0.2, "fine_tuned_slowly"), ("background", 0.4, "fine_tuned_slowly"),
        )
    ),
    *(
        Claim(
            f"{rows:,} rows: L2RW takes less {measure.replace('_', ' ')} than SMOTE and a net",
            "scaling", "cpu",
            partial(less, arm="l2rw", others=("smote",), point={"rows": rows}, measure=measure),
        )
        for rows, measure in ((300_000, "cpu_time"), (1_000_000, "cpu_time"),
                              (100_000, "memory"), (1_000_000, "memory"))
    ),
)  # fmt: skip
