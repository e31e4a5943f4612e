"""What the READMEs claim of the results, and what was set out to be reached; how each is judged.

A claim that fails is an error: it must go. A target that is missed is reported as missed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from benchmarks.experiments.preset import Point
from benchmarks.experiments.sizes import NOISE_MNIST
from benchmarks.reporting import paper
from benchmarks.reporting.tables import Results, is_ours


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds, what was found, and whether there are results at all."""

    holds: bool
    found: str
    measured: bool = True


@dataclass(frozen=True)
class Claim:
    """A sentence, the results that it is about, and its judge."""

    text: str
    experiment: str
    preset: str
    judge: Callable[[Results], Verdict]


# -- judges -----------------------------------------------------------------------------------


def at_most(results: Results, *, arm: str, point: Point, measure: str, bound: float) -> Verdict:
    """Judge whether a mean is at most a bound."""
    mean = results.mean(arm, point, measure)
    return Verdict(mean <= bound, f"{mean:.2f}, at most {bound:.2f}")


def least(results: Results, *, arm: str, point: Point, measure: str, slack: float = 0) -> Verdict:
    """Judge whether a mean is the least of all arms, or at most by `slack` above the least."""
    mean = results.mean(arm, point, measure)
    rival = results.best_rival(point, measure)
    other = float("nan") if rival is None else results.mean(rival, point, measure)
    return Verdict(mean <= other + slack, f"{mean:.2f}; best other: {rival} with {other:.2f}")


def share_of(
    results: Results, *, arm: str, other: str, point: Point, measure: str, bound: float
) -> Verdict:
    """Judge whether a mean is at most a share of that of another arm."""
    share = results.mean(arm, point, measure) / results.mean(other, point, measure)
    return Verdict(share <= bound, f"{share:.2f} of {other}'s, at most {bound:.2f}")


def less(
    results: Results, *, arm: str, others: tuple[str, ...], point: Point, measure: str
) -> Verdict:
    """Judge whether a mean is less than those of others."""
    mean = results.mean(arm, point, measure)
    means = {other: results.mean(other, point, measure) for other in others}
    listed = ", ".join(f"{other} {value:.2f}" for other, value in means.items())
    return Verdict(all(mean < value for value in means.values()), f"{mean:.2f}; {listed}")


def in_order(results: Results, *, arms: tuple[str, ...], point: Point, measure: str) -> Verdict:
    """Judge whether each mean is less than the next one."""
    means = [results.mean(arm, point, measure) for arm in arms]
    found = ", ".join(f"{arm} {mean:.2f}" for arm, mean in zip(arms, means, strict=True))
    return Verdict(all(a < b for a, b in pairwise(means)), found)


def ranks_between(
    results: Results, *, arm: str, before: tuple[str, ...], behind: tuple[str, ...], measure: str
) -> Verdict:
    """Judge whether some arms rank before an arm, and others behind it, in the mean of points."""
    ranks = results.ranks(measure)
    better = [ranks.get(other, np.nan) < ranks.get(arm, np.nan) for other in before]
    worse = [ranks.get(other, np.nan) > ranks.get(arm, np.nan) for other in behind]
    found = ", ".join(f"{a} {ranks.get(a, np.nan):.1f}" for a in (*before, arm, *behind))
    return Verdict(all((*better, *worse)), f"mean ranks among {len(ranks)}: {found}")


def most(results: Results, *, arm: str, point: Point, measure: str) -> Verdict:
    """Judge whether a mean is the largest of all arms."""
    means = {other: results.mean(other, point, measure) for other in results.arms}
    ours = means.pop(arm, np.nan)
    known = {other: mean for other, mean in means.items() if not np.isnan(mean)}
    if np.isnan(ours) or not known:
        return Verdict(False, "not measured")
    rival = max(known, key=lambda other: known[other])
    return Verdict(ours > known[rival], f"{ours:.4f}; next: {rival} with {known[rival]:.4f}")


def finds_errors(results: Results, *, point: Point, share: float) -> Verdict:
    """Judge whether our best score is at least cleanlab's best, in a share of its time."""
    means = {arm: results.mean(arm, point, "auroc") for arm in results.arms}
    ours = {arm: mean for arm, mean in means.items() if is_ours(arm) and mean > 0}
    theirs = {arm: mean for arm, mean in means.items() if arm.startswith("cleanlab") and mean > 0}
    if not (ours and theirs):
        return Verdict(False, "no scores of " + ("ours" if theirs else "cleanlab"))
    best, rival = max(ours, key=lambda a: ours[a]), max(theirs, key=lambda a: theirs[a])
    time = results.mean(best, point, "cpu_time") / results.mean(rival, point, "cpu_time")
    text = f"{best} {ours[best]:.4f}, {rival} {theirs[rival]:.4f}, time {time:.2f} of its"
    return Verdict(ours[best] >= theirs[rival] and time <= share, text)


def linear(results: Results, *, arm: str, measure: str, bound: float) -> Verdict:
    """Judge whether a measure grows no faster than a power of the number of rows.

    From the second point on: at the first one, what does not depend on the rows weighs most.
    """
    points = [p for p in results.points if results.seeds(arm, p, measure)][1:]
    if len(points) < 2:
        return Verdict(False, "fewer than three numbers of rows")
    n = [p["rows"] for p in points]
    y = [max(results.mean(arm, p, measure), 1e-9) for p in points]
    power = float(np.polyfit(np.log(n), np.log(y), 1)[0])
    return Verdict(power <= bound, f"grows as rows^{power:.2f}, at most {bound:.2f}")


# -- claims and targets -----------------------------------------------------------------------

_PAPERS = dict(zip(paper.IMBALANCE_SHARES, paper.IMBALANCE_ERRORS["l2rw"], strict=True))
_TABLE_1 = (100 - paper.TABLE_1["l2rw"]) / (100 - paper.TABLE_1["unweighted"])


def _uniform(rate: float) -> Point:
    return {"noise": "uniform", "rate": rate}


_BETTER_ON_TABLES = (
    "balanced_batches", "random_oversampled", "class_weighted", "smote", "threshold_tuned",
    "fine_tuned",
)  # fmt: skip
_PAPERS_RIVALS = ("unweighted", "class_weighted", "balanced_batches", "hard_mining")

_NOT_TOLD = tuple(
    arm for arm in NOISE_MNIST["cpu"].arms
    if not is_ours(arm) and arm not in ("noise_adaptation_true", "fine_tuned_slowly")
)  # fmt: skip

CLAIMS: tuple[Claim, ...] = (
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
        partial(ranks_between, arm="l2rw", before=_BETTER_ON_TABLES, behind=("unweighted",),
                measure="balanced_error"),
    ),
    *(
        Claim(
            f"{100 * rate:.0f}% {noise}: {arm} has less error than all not told the noise, "
            "but for gentle fine-tuning",
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
            "does with five folds, in 0.6 of its time at equal steps a fit",
            "label-errors", "cpu",
            partial(finds_errors, point={"noise": noise, "rate": rate}, share=0.6),
        )
        for noise, rate in (("uniform", 0.4), ("uniform", 0.6), ("background", 0.2),
                            ("background", 0.4))
    ),
    *(
        Claim(
            f"{100 * rate:.0f}% {noise}: a net fine-tuned at a low rate finds wrong labels best",
            "label-errors", "cpu",
            partial(most, arm="fine_tuned_slowly: probability",
                    point={"noise": noise, "rate": rate}, measure="auroc"),
        )
        for noise, rate in (("uniform", 0.2), ("uniform", 0.4), ("uniform", 0.6),
                            ("background", 0.2), ("background", 0.4))
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

TARGETS: tuple[Claim, ...] = (
    *(
        Claim(
            f"{100 * share:g}% nines: L2RW's error is no higher than the paper's",
            "imbalance-mnist", "cpu",
            partial(at_most, arm="l2rw", point={"majority": share}, measure="error",
                    bound=_PAPERS[share]),
        )
        for share in (0.9, 0.98, 0.995)
    ),
    *(
        Claim(
            f"{100 * share:g}% nines: L2RW's error is the least of all arms",
            "imbalance-mnist", "cpu",
            partial(least, arm="l2rw", point={"majority": share}, measure="error"),
        )
        for share in (0.98, 0.995)
    ),
    *(
        Claim(
            f"{100 * rate:.0f}% uniform noise: {arm} is within 0.5 points of the best other method",
            "noise-mnist", "cpu",
            partial(least, arm=arm, point=_uniform(rate), measure="error", slack=0.5),
        )
        for rate in (0.4, 0.6) for arm in ("l2rw", "l2rw_last")
    ),
    *(
        Claim(
            f"40% uniform noise: {arm} has the share of plain training's error that Table 1 has",
            "noise-mnist", preset,
            partial(share_of, arm=arm, other="unweighted", point=_uniform(0.4), measure="error",
                    bound=_TABLE_1),
        )
        for preset in ("cpu", "cpu_long") for arm in ("l2rw", "l2rw_last")
    ),
    Claim(
        "40% uniform noise: our best score finds wrong labels as cleanlab's, in half of its time",
        "label-errors", "cpu", partial(finds_errors, point=_uniform(0.4), share=0.5),
    ),
    Claim(
        "L2RW's fit time is linear in the rows",
        "scaling", "cpu", partial(linear, arm="l2rw", measure="cpu_time", bound=1.1),
    ),
    Claim(
        "L2RW's memory grows no faster than the data",
        "scaling", "cpu", partial(linear, arm="l2rw", measure="memory", bound=1.1),
    ),
)  # fmt: skip
