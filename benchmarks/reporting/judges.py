"""How a claim about results is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.experiments.preset import Point
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


def ranks_at_most(results: Results, *, arm: str, measure: str, bound: float) -> Verdict:
    """Judge whether an arm's mean rank is at most a bound."""
    ranks = results.ranks(measure)
    rank = ranks.get(arm, float("nan"))
    return Verdict(rank <= bound, f"{rank:.1f} of {len(ranks)}, at most {bound:.1f}")


def at_least(results: Results, *, arm: str, point: Point, measure: str, bound: float) -> Verdict:
    """Judge whether a mean is at least a bound."""
    mean = results.mean(arm, point, measure)
    return Verdict(mean >= bound, f"{mean:.4f}, at least {bound:.4f}")
