"""Results by arm and point, and tables of them."""

from __future__ import annotations

import numpy as np

from benchmarks import report
from benchmarks.reporting import results
from benchmarks.reporting.tables import (
    Results,
    cell,
    difference_table,
    lr_table,
    markdown,
    measure_table,
    rank_table,
)
from tests.benchmarks.made_up import environment, row, scored, small_results


def test_results_by_arm_and_point() -> None:
    found = small_results()
    low, high = {"majority": 0.9}, {"majority": 0.995}
    assert found.arms == ["unweighted", "smote", "l2rw"]
    assert found.points == [low, high]
    assert found.seeds("smote", low, "error") == {0: 1.0, 1: 2.0, 2: 3.0}
    assert found.mean("l2rw", low, "error") == 3.5
    assert np.isnan(found.mean("smote", high, "error"))
    assert found.best_rival(low, "error") == "smote"
    assert found.best_rival(low, "auc") == "unweighted", "more is better"
    assert found.best_rival(high, "error") == "unweighted"
    assert [r["arm"] for r in found.failed] == ["smote"]


def test_measure_table() -> None:
    assert measure_table(small_results(), "error").splitlines() == [
        "| error | 90% | 99.5% |",
        "| --- | --- | --- |",
        "| unweighted | 3.00 ± 0.58 | 9.00 (1 run) |",
        "| smote | **2.00 ± 0.58** | - |",
        "| l2rw | 3.50 ± 1.15 | **4.00 ± 0.00** |",
    ]


def test_difference_table() -> None:
    lines = difference_table(small_results(), "error").splitlines()
    assert lines[2] == "| 90% | l2rw | smote | +1.50 [-0.98, +3.98] |"
    assert lines[3] == "| 99.5% | l2rw | unweighted | - |"


def test_intervals_of_folds_are_wider() -> None:
    point = {"data": "ecoli"}
    rows = [row("smote", point, s, 1.0 + s) for s in range(3)]
    rows += [row("l2rw", point, s, 1.5 + 2 * s) for s in range(3)]
    folds = Results("imbalance-tabular", "cpu", rows)
    wide = folds.difference("l2rw", "smote", point, "error")
    narrow = small_results().difference("l2rw", "smote", {"majority": 0.9}, "error")
    assert wide is not None
    assert narrow is not None
    assert wide.mean == narrow.mean
    assert wide.high - wide.low > narrow.high - narrow.low


def test_rank_table() -> None:
    rows = [row("smote", {"data": d}, 0, 2.0) for d in ("ecoli", "digits")]
    rows += [row("l2rw", {"data": d}, 0, v) for d, v in (("ecoli", 3.0), ("digits", 1.0))]
    rows += [row("unweighted", {"data": d}, 0, 9.0) for d in ("ecoli", "digits")]
    found = Results("imbalance-tabular", "cpu", rows)
    assert rank_table(found, "error").splitlines()[2:] == [
        "| smote | 1.5 |", "| l2rw | 1.5 |", "| unweighted | 3.0 |",
    ]  # fmt: skip


def test_scores_are_arms_of_their_own() -> None:
    point = {"noise": "uniform", "rate": 0.4}
    rows = [scored("l2rw", point, 0, weight=0.9, probability=0.8)]
    found = Results(
        "label-errors", "cpu", [*rows, scored("cleanlab", point, 0, self_confidence=0.7)]
    )
    assert found.arms == ["cleanlab: self_confidence", "l2rw: probability", "l2rw: weight"]
    assert found.best_rival(point, "auroc") == "cleanlab: self_confidence"
    assert "| l2rw: weight | **0.90** |" in measure_table(found, "auroc")


def test_cells() -> None:
    assert cell([]) == "-"
    assert cell([1.234], 1) == "1.2"
    assert markdown(["a"], [["b"]]) == "| a |\n| --- |\n| b |"


def test_a_run_that_was_repeated_counts_once() -> None:
    low = {"majority": 0.9}
    old, new = environment("imbalance-mnist", "cpu"), environment("imbalance-mnist", "cpu")
    rows = [
        {**old, "commit": "old"}, row("l2rw", low, 0, 9.0), row("l2rw", low, 1, 3.0),
        {**new, "commit": "new"}, row("l2rw", low, 0, 1.0), row("smote", low, 0, 2.0),
    ]  # fmt: skip
    found = Results("imbalance-mnist", "cpu", rows)
    assert found.seeds("l2rw", low, "error") == {0: 1.0, 1: 3.0}
    assert "commits new (2 of the runs), old (1 of the runs)" in report.provenance(found)
    assert "| smote | **2.00 (1 run)** |" in measure_table(found, "error")


def test_chosen_learning_rates() -> None:
    def chosen(arm: str, seed: int, lr: float, *tried: float) -> results.Row:
        held_out = {str(each): [float(each != lr), 0.0] for each in (lr, *tried)}
        key = {"kind": "tune", "arm": arm, "point": {"majority": 0.98}, "seed": seed}
        return {**key, "lr": lr, "held_out": held_out}

    rows = [
        chosen("smote", 0, 0.01, 0.003), chosen("smote", 0, 0.01, 0.003, 0.03),
        chosen("l2rw", 0, 0.01, 0.003, 0.03), chosen("l2rw", 1, 0.03, 0.01),
    ]  # fmt: skip
    table = lr_table(Results("imbalance-mnist", "cpu", rows))
    assert "| smote | 0.01 |" in table
    assert r"| l2rw | 0.01 (1), 0.03\* (1) |" in table
