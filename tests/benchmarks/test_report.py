"""Tables, figures, ranks and verdicts of the benchmarks, from results that are made up."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from benchmarks import check, claims, figures, report, results, stats
from benchmarks.check import judge
from benchmarks.claims import CLAIMS, TARGETS, Claim, Verdict
from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.label_errors import N_BINS
from benchmarks.tables import (
    Results,
    cell,
    difference_table,
    lr_table,
    markdown,
    measure_table,
    rank_table,
)

MEASURES = (
    "error", "balanced_error", "auc", "average_precision", "brier", "f1", "fit_time", "cpu_time",
    "memory", "data_memory",
)  # fmt: skip


def environment(name: str, preset: str) -> results.Row:
    return results.environment(EXPERIMENTS[name].presets[preset].digest(), "cpu")


def row(arm: str, point: dict[str, Any], seed: int, value: float) -> results.Row:
    measures = dict.fromkeys(MEASURES, value)
    return {"kind": "test", "arm": arm, "point": point, "seed": seed, "measures": measures}


def scored(arm: str, point: dict[str, Any], seed: int, **scores: float) -> results.Row:
    found = {
        name: {"auroc": value, "average_precision": value, "cpu_time": 1.0, "memory": 1.0}
        for name, value in scores.items()
    }
    bins = {"right": [0] * N_BINS, "wrong": [1] * N_BINS}
    kind = {"kind": "test", "arm": arm, "point": point, "seed": seed, "scores": found}
    return {**kind, "histogram": bins} if "weight" in scores else kind


def made_up(name: str, preset: str = "cpu") -> list[results.Row]:
    """Results of an experiment: L2RW is best, arms get worse in the order of the preset."""
    found = [environment(name, preset)]
    size = EXPERIMENTS[name].presets[preset]
    for seed in range(3):
        for number, point in enumerate(size.points):
            for place, arm in enumerate(size.arms):
                value = 1.0 + number + (0 if arm == "l2rw" else place + 1) + 0.1 * seed
                if name == "label-errors":
                    found.append(scored(arm, point, seed, probability=0.5, weight=0.9))
                else:
                    found.append(row(arm, point, seed, value))
    return found


def write(folder: Path, name: str, rows: list[results.Row], preset: str = "cpu") -> None:
    path = results.path_of(name, preset, folder)
    for line in rows:
        results.append(path, line)


# -- statistics -------------------------------------------------------------------------------


def test_mean_and_standard_error() -> None:
    mean, error = stats.mean_and_error([1.0, 2.0, 3.0])
    assert mean == 2
    assert error == pytest.approx(1 / np.sqrt(3))
    assert np.isnan(stats.mean_and_error([1.0])[1])


def test_paired_difference_is_students() -> None:
    a = {0: 1.0, 1: 2.5, 2: 3.0, 3: 9.0}
    b = {0: 1.5, 1: 2.0, 2: 4.0}
    found = stats.paired_difference(a, b)
    assert found is not None
    test = ttest_rel([1.0, 2.5, 3.0], [1.5, 2.0, 4.0]).confidence_interval()
    assert found.mean == pytest.approx(-1 / 3)
    assert (found.low, found.high) == pytest.approx((test.low, test.high))
    wider = stats.paired_difference(a, b, test_over_train=0.25)
    assert wider is not None
    assert wider.high - wider.low == pytest.approx(
        (found.high - found.low) * np.sqrt((1 / 3 + 0.25) * 3)
    )
    assert stats.paired_difference({0: 1.0}, {0: 2.0}) is None


def test_ranks_over_data_sets() -> None:
    table = {"one": {"a": 1.0, "b": 2.0, "c": 3.0}, "two": {"a": 5.0, "b": 5.0}}
    assert stats.mean_ranks(table) == {"a": 1.25, "b": 1.75}
    assert stats.mean_ranks(table, less_is_better=False) == {"a": 1.75, "b": 1.25}
    assert stats.mean_ranks({}) == {}


# -- tables -----------------------------------------------------------------------------------


def small() -> Results:
    low, high = {"majority": 0.9}, {"majority": 0.995}
    rows = [
        environment("imbalance-mnist", "cpu"),
        *(row("unweighted", low, seed, 2.0 + seed) for seed in range(3)),
        *(row("smote", low, seed, 1.0 + seed) for seed in range(3)),
        *(row("l2rw", low, seed, 1.5 + 2 * seed) for seed in range(3)),
        *(row("l2rw", high, seed, 4.0) for seed in range(2)),
        {"kind": "test", "arm": "smote", "point": high, "seed": 0, "lr": 0.1,
         "failed": "ValueError: no neighbours"},
        row("unweighted", high, 0, 9.0),
    ]  # fmt: skip
    return Results("imbalance-mnist", "cpu", rows)


def test_results_by_arm_and_point() -> None:
    found = small()
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
    assert measure_table(small(), "error").splitlines() == [
        "| error | 90% | 99.5% |",
        "| --- | --- | --- |",
        "| unweighted | 3.00 ± 0.58 | 9.00 (1 run) |",
        "| smote | **2.00 ± 0.58** | - |",
        "| l2rw | 3.50 ± 1.15 | **4.00 ± 0.00** |",
    ]


def test_difference_table() -> None:
    lines = difference_table(small(), "error").splitlines()
    assert lines[2] == "| 90% | l2rw | smote | +1.50 [-0.98, +3.98] |"
    assert lines[3] == "| 99.5% | l2rw | unweighted | - |"


def test_intervals_of_folds_are_wider() -> None:
    point = {"data": "ecoli"}
    rows = [row("smote", point, s, 1.0 + s) for s in range(3)]
    rows += [row("l2rw", point, s, 1.5 + 2 * s) for s in range(3)]
    folds = Results("imbalance-tabular", "cpu", rows)
    wide = folds.difference("l2rw", "smote", point, "error")
    narrow = small().difference("l2rw", "smote", {"majority": 0.9}, "error")
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


# -- report -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_has_a_section_and_figures(name: str, tmp_path: Path) -> None:
    write(tmp_path, name, made_up(name))
    readme = tmp_path / "README.md"
    readme.write_text(
        f"# Words\n\n<!-- results {name} cpu -->\nSTALE\n<!-- end -->\n\nMore words.\n"
    )
    command = [
        "--results",
        str(tmp_path),
        "--readme",
        str(readme),
        "--figures",
        str(tmp_path / "f"),
    ]
    assert report.main(command) == 0
    text = readme.read_text()
    assert text.startswith("# Words\n\n<!-- results")
    assert text.endswith("<!-- end -->\n\nMore words.\n")
    assert "STALE" not in text
    assert "| l2rw" in text
    assert EXPERIMENTS[name].presets["cpu"].about in text
    drawn = list((tmp_path / "f").iterdir())
    assert len(drawn) == len(figures.DRAWINGS[name])
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert f"(figures/{path.name})" in text
    assert report.main(command) == 0
    assert readme.read_text() == text, "a second report changes nothing"


def test_the_section_says_what_made_it_and_what_failed() -> None:
    text = report.section(small(), [])
    assert "torch 2." in text
    assert "1,000 steps" in text or "steps" in text
    assert "*l2rw, paper* | 1.28 | 3.62 |" in text
    assert "| smote, 99.5% | 1 | ValueError: no neighbours |" in text


def test_a_section_that_is_not_there_is_added() -> None:
    text = report.put("# Words\n", "scaling cpu", r"back\slash")
    assert text == (
        "# Words\n\n## scaling cpu\n\n<!-- results scaling cpu -->\n\nback\\slash\n\n<!-- end -->\n"
    )


def test_one_section_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "scaling", made_up("scaling"))
    assert report.main(["--print", "scaling", "--results", str(tmp_path)]) == 0
    assert "| l2rw | **1.10 ± 0.06** |" in capsys.readouterr().out
    assert report.main(["--print", "clean-size", "--results", str(tmp_path)]) == 2
    assert "Run the experiment first" in capsys.readouterr().err


def test_results_of_another_version_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results.path_of("scaling", "cpu", tmp_path)
    path.write_text(json.dumps({"kind": "environment", "format": 0, "digest": "x"}) + "\n")
    readme = ["--readme", str(tmp_path / "README.md"), "--figures", str(tmp_path)]
    assert report.main(["--results", str(tmp_path), *readme]) == 2
    assert check.main(["--results", str(tmp_path)]) == 2
    assert "of format 0, but expected 1" in capsys.readouterr().err


# -- verdicts ---------------------------------------------------------------------------------


def claim(judge_: Any) -> Claim:
    return Claim("it is so", "imbalance-mnist", "cpu", judge_)


def test_check_fails_where_a_claim_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "imbalance-mnist", made_up("imbalance-mnist"))
    good = claim(lambda found: Verdict(bool(found.tests), "found"))
    bad = claim(lambda found: Verdict(False, "not found"))
    monkeypatch.setattr(check, "CLAIMS", (good,))
    monkeypatch.setattr(check, "TARGETS", ())
    assert check.main(["--results", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "holds: imbalance-mnist cpu, it is so: found\n"
    monkeypatch.setattr(check, "CLAIMS", (good, bad))
    assert check.main(["--results", str(tmp_path)]) == 1
    assert "FAILS: imbalance-mnist cpu, it is so: not found" in capsys.readouterr().out
    monkeypatch.setattr(check, "CLAIMS", (good,))
    monkeypatch.setattr(check, "TARGETS", (good, bad))
    assert check.main(["--results", str(tmp_path)]) == 0
    _, reached, missed = capsys.readouterr().out.splitlines()
    assert reached == "reached: imbalance-mnist cpu, it is so: found"
    assert missed == "missed: imbalance-mnist cpu, it is so: not found"


def test_committed_results_bear_out_the_claims() -> None:
    assert all(judge(each, results.FOLDER).holds for each in CLAIMS)


def test_a_claim_without_results_fails(tmp_path: Path) -> None:
    for each in (*CLAIMS, *TARGETS):
        verdict = judge(each, tmp_path)
        assert not verdict.holds
        assert "no results in" in verdict.found


@pytest.mark.parametrize("each", [*CLAIMS, *TARGETS], ids=lambda each: each.text)
def test_each_claim_can_be_judged(each: Claim, tmp_path: Path) -> None:
    write(tmp_path, each.experiment, made_up(each.experiment, each.preset), each.preset)
    found = judge(each, tmp_path).found
    assert re.search(r"\d", found)
    assert "nan" not in found


def test_judges() -> None:
    found = small()
    low, high = {"majority": 0.9}, {"majority": 0.995}
    assert claims.at_most(found, arm="l2rw", point=low, measure="error", bound=3.5).holds
    assert not claims.at_most(found, arm="l2rw", point=low, measure="error", bound=3.4).holds
    assert claims.least(found, arm="l2rw", point=high, measure="error").holds
    assert not claims.least(found, arm="l2rw", point=low, measure="error").holds
    assert claims.least(found, arm="l2rw", point=low, measure="error", slack=1.5).holds
    missing = {"majority": 0.98}
    assert not claims.at_most(found, arm="l2rw", point=missing, measure="error", bound=99).holds
    assert not claims.least(found, arm="l2rw", point=missing, measure="error", slack=99).holds
    rivals: Any = {"others": ("l2rw", "unweighted"), "measure": "error"}
    assert claims.less(found, arm="smote", point=low, **rivals).holds
    assert not claims.less(found, arm="unweighted", point=low, **rivals).holds
    assert not claims.less(found, arm="smote", point=high, **rivals).holds  # it has failed
    assert not claims.less(found, arm="smote", point=missing, **rivals).holds
    order: Any = {"point": low, "measure": "error"}
    assert claims.in_order(found, arms=("smote", "unweighted", "l2rw"), **order).holds
    assert not claims.in_order(found, arms=("smote", "l2rw", "unweighted"), **order).holds
    assert not claims.in_order(found, arms=("smote", "adasyn"), **order).holds
    shares: Any = {"arm": "smote", "other": "unweighted", "point": low, "measure": "error"}
    assert claims.share_of(found, **shares, bound=0.67).holds
    assert not claims.share_of(found, **shares, bound=0.66).holds


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


def test_an_arm_between_others_by_rank() -> None:
    errors = {"smote": (1.0, 3.0), "l2rw": (2.0, 2.0), "unweighted": (9.0, 9.0)}
    points = {"data": "ecoli"}, {"data": "digits"}
    rows = [row(arm, p, 0, found[i]) for arm, found in errors.items() for i, p in enumerate(points)]
    judge_ = partial(
        claims.ranks_between, Results("imbalance-tabular", "cpu", rows), measure="error"
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
    verdict = claims.finds_errors(Results("label-errors", "cpu", rows), point=point, share=0.5)
    assert verdict.holds is holds
    assert verdict.found.startswith("l2rw: weight")


def test_the_most_of_all() -> None:
    point = {"noise": "uniform", "rate": 0.4}
    rows = [scored("l2rw", point, 0, probability=0.8), scored("unweighted", point, 0, plain=0.7)]
    found = Results("label-errors", "cpu", rows)
    at: Any = {"point": point, "measure": "auroc"}
    assert claims.most(found, arm="l2rw: probability", **at).holds
    assert not claims.most(found, arm="unweighted: plain", **at).holds
    assert not claims.most(found, arm="cleanlab: plain", **at).holds
    assert not claims.most(Results("label-errors", "cpu", rows[:1]), arm="l2rw: x", **at).holds


@pytest.mark.parametrize(("power", "holds"), [(1.0, True), (1.3, False)])
def test_linear_growth(power: float, holds: bool) -> None:
    points = EXPERIMENTS["scaling"].presets["cpu"].points
    rows = [row("l2rw", point, 0, 1e-4 * point["rows"] ** power) for point in points]
    found = Results("scaling", "cpu", rows)
    assert claims.linear(found, arm="l2rw", measure="cpu_time", bound=1.1).holds is holds
    few = Results("scaling", "cpu", rows[:2])
    assert not claims.linear(few, arm="l2rw", measure="cpu_time", bound=1.1).holds
