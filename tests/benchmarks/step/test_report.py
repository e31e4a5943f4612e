"""Verdicts on the figures that are to be reached."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.step import report as step_report


def _results(ours: float, literal: float, memory: float, fit: float) -> dict[str, Any]:
    arms = {
        "plain": {"ms": 1.0, "ratio": 1.0, "memory_mb": 1.0, "memory_ratio": 1.0},
        "ours": {"ms": ours, "ratio": ours, "memory_mb": memory, "memory_ratio": memory},
        "literal": {"ms": literal, "ratio": literal, "memory_mb": 2.0, "memory_ratio": 2.0},
    }
    return {"steps": {"resnet32-100-100": arms}, "fits": {"ours": {"ratio": fit}}}


def test_verdicts() -> None:
    found = step_report.verdicts(_results(ours=2.5, literal=5.0, memory=1.1, fit=1.5))
    by_name = {verdict["what"]: verdict for verdict in found}
    assert len(by_name) == len(step_report.FIGURES)
    assert by_name["step, ResNet-32 100/100"]["status"] == "met"
    assert by_name["memory, ResNet-32 100/100"]["status"] == "outstanding"
    assert by_name["whole fit, ours over skorch"]["status"] == "missed"
    assert by_name["whole fit, ours over skorch"]["by"] == pytest.approx(0.2)
    assert by_name["step, LeNet 100/10"] == {
        "what": "step, LeNet 100/10", "value": None, "now": 1.9, "status": "not measured",
    }  # fmt: skip
    assert by_name["times faster than the fastest rival, every net"]["status"] == "met"


def test_figures_of_partial_fits() -> None:
    times = {"skorch": {"ratio": 1.0}, "ours": {"ratio": 1.9}}
    results = {"steps": {}, "fits": {}, "partial_fits": {"MLP": times}}
    found = {verdict["what"]: verdict["status"] for verdict in step_report.verdicts(results)}
    assert found["partial_fit of 100 rows, MLP, ours over skorch"] == "met"
    assert found["partial_fit of 100 rows, MLP with BatchNorm, ours over skorch"] == "not measured"


def test_being_faster_is_more() -> None:
    found = step_report.verdicts(_results(ours=4.0, literal=5.0, memory=1.1, fit=1.0))
    (verdict,) = [v for v in found if v["what"].startswith("times faster")]
    assert (verdict["status"], verdict["value"]) == ("missed", 1.25)
    assert verdict["by"] == pytest.approx(1.7 - 1.25)
