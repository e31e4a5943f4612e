"""The command `benchmarks.check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import check, report
from benchmarks.check import judge
from benchmarks.reporting import results
from benchmarks.reporting.claims import CLAIMS
from benchmarks.reporting.judges import Claim, Verdict
from benchmarks.reporting.targets import TARGETS
from tests.benchmarks.made_up import made_up, write


def test_results_of_another_version_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results.path_of("scaling", "cpu", tmp_path)
    path.write_text(json.dumps({"kind": "environment", "format": 0, "digest": "x"}) + "\n")
    assert report.main(["--results", str(tmp_path), "--pages", str(tmp_path)]) == 2
    assert check.main(["--results", str(tmp_path)]) == 2
    assert "of format 0, but expected 1" in capsys.readouterr().err


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
