"""Judges of claims, by hand."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.check import judge
from benchmarks.experiments import EXPERIMENTS
from benchmarks.reporting import judges
from benchmarks.reporting.claims import CLAIMS
from benchmarks.reporting.judges import Claim, Verdict
from benchmarks.reporting.tables import (
    Results,
)
from benchmarks.reporting.targets import TARGETS
from tests.benchmarks.made_up import made_up, row, scored, small_results, write


@pytest.mark.parametrize("each", [*CLAIMS, *TARGETS], ids=lambda each: each.text)
def test_each_claim_can_be_judged(each: Claim, tmp_path: Path) -> None:
    write(tmp_path, each.experiment, made_up(each.experiment, each.preset), each.preset)
    found = judge(each, tmp_path).found
    assert re.search(r"\d", found)
    assert "nan" not in found


def test_judges() -> None:
    found = small_results()
    low, high = {"majority": 0.9}, {"majority": 0.995}
    assert judges.at_most(found, arm="l2rw", point=low, measure="error", bound=3.5).holds
    assert not judges.at_most(found, arm="l2rw", point=low, measure="error", bound=3.4).holds
    assert judges.least(found, arm="l2rw", point=high, measure="error").holds
    assert not judges.least(found, arm="l2rw", point=low, measure="error").holds
    assert judges.least(found, arm="l2rw", point=low, measure="error", slack=1.5).holds
    missing = {"majority": 0.98}
    assert not judges.at_most(found, arm="l2rw", point=missing, measure="error", bound=99).holds
    assert not judges.least(found, arm="l2rw", point=missing, measure="error", slack=99).holds
    rivals: Any = {"others": ("l2rw", "unweighted"), "measure": "error"}
    assert judges.less(found, arm="smote", point=low, **rivals).holds
    assert not judges.less(found, arm="unweighted", point=low, **rivals).holds
    assert not judges.less(found, arm="smote", point=high, **rivals).holds  # it has failed
    assert not judges.less(found, arm="smote", point=missing, **rivals).holds
    order: Any = {"point": low, "measure": "error"}
    assert judges.in_order(found, arms=("smote", "unweighted", "l2rw"), **order).holds
    assert not judges.in_order(found, arms=("smote", "l2rw", "unweighted"), **order).holds
    assert not judges.in_order(found, arms=("smote", "adasyn"), **order).holds
    shares: Any = {"arm": "smote", "other": "unweighted", "point": low, "measure": "error"}
    assert judges.share_of(found, **shares, bound=0.67).holds
    assert not judges.share_of(found, **shares, bound=0.66).holds


def test_an_arm_between_others_by_rank() -> None:
    errors = {"smote": (1.0, 3.0), "l2rw": (2.0, 2.0), "unweighted": (9.0, 9.0)}
    points = {"data": "ecoli"}, {"data": "digits"}
    rows = [row(arm, p, 0, found[i]) for arm, found in errors.items() for i, p in enumerate(points)]
    judge_ = partial(
        judges.ranks_between, Results("imbalance-tabular", "cpu", rows), measure="error"
    )
    assert judge_(arm="l2rw", before=(), behind=("unweighted",)).holds
    assert not judge_(arm="l2rw", before=("unweighted",), behind=()).holds
    assert not judge_(arm="l2rw", before=("smote",), behind=()).holds  # a tie
    assert not judge_(arm="l2rw", before=(), behind=("smote",)).holds
    assert not judge_(arm="l2rw", before=("adasyn",), behind=()).holds  # not measured
    assert judge_(arm="unweighted", before=("smote", "l2rw"), behind=()) == Verdict(
        True, "mean ranks among 3: smote 1.5, l2rw 1.5, unweighted 3.0"
    )


@pytest.mark.parametrize(
    ("time", "auroc", "holds"), [(0.4, 0.9, True), (0.6, 0.9, False), (0.4, 0.6, False)]
)
def test_finding_errors_as_well_and_faster(time: float, auroc: float, holds: bool) -> None:
    point = {"noise": "uniform", "rate": 0.4}
    ours = scored("l2rw", point, 0, weight=auroc, probability=0.5)
    for found in ours["scores"].values():
        found["cpu_time"] = time
    rows = [ours, scored("cleanlab", point, 0, self_confidence=0.7, adjusted=0.8)]
    verdict = judges.finds_errors(Results("label-errors", "cpu", rows), point=point, share=0.5)
    assert verdict.holds is holds
    assert verdict.found.startswith("l2rw: weight")


def test_the_most_of_all() -> None:
    point = {"noise": "uniform", "rate": 0.4}
    rows = [scored("l2rw", point, 0, probability=0.8), scored("unweighted", point, 0, plain=0.7)]
    found = Results("label-errors", "cpu", rows)
    at: Any = {"point": point, "measure": "auroc"}
    assert judges.most(found, arm="l2rw: probability", **at).holds
    assert not judges.most(found, arm="unweighted: plain", **at).holds
    assert not judges.most(found, arm="cleanlab: plain", **at).holds
    assert not judges.most(Results("label-errors", "cpu", rows[:1]), arm="l2rw: x", **at).holds


@pytest.mark.parametrize(("power", "holds"), [(1.0, True), (1.3, False)])
def test_linear_growth(power: float, holds: bool) -> None:
    points = EXPERIMENTS["scaling"].presets["cpu"].points
    rows = [row("l2rw", point, 0, 1e-4 * point["rows"] ** power) for point in points]
    found = Results("scaling", "cpu", rows)
    assert judges.linear(found, arm="l2rw", measure="cpu_time", bound=1.1).holds is holds
    few = Results("scaling", "cpu", rows[:2])
    assert not judges.linear(few, arm="l2rw", measure="cpu_time", bound=1.1).holds
