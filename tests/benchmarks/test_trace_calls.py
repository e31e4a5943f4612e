"""The command that counts calls and changes of file during a fit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import trace_calls
from benchmarks.trace_calls import Call, changes_of_file, listing, report, trace_call

CALLS = [Call("a.py", "f"), Call("a.py", "g"), Call("b/c.py", "h"), Call("a.py", "f")]


def test_changes_of_file_are_between_consecutive_calls() -> None:
    assert changes_of_file(CALLS) == 2
    assert changes_of_file(CALLS[:2]) == changes_of_file([]) == 0


def test_stays_in_a_file_are_listed() -> None:
    assert listing(CALLS) == "  a.py: f, g\n  b/c.py: h\n  a.py: f"


def test_a_fit_is_traced() -> None:
    fit, shape = trace_calls.make_fit()
    trace = trace_call(fit)
    assert sys.getprofile() is None
    assert trace.calls[0].function == "fit"
    assert not any(call.function.startswith("<") for call in trace.calls)
    assert len(trace.steps) == 2 * trace_calls.N_ROWS // trace_calls.BATCH_SIZE
    assert trace.before_first_step is not None
    begin, end = trace.steps[0]
    assert 0 < begin <= trace.before_first_step < end <= trace.steps[1][0]
    assert "train_step_single" in {call.function for call in trace.calls[begin:end]}
    assert trace.converted.count(shape) >= 1


def test_a_conversion_in_a_conversion_is_not_counted() -> None:
    fit = trace_calls.make_fit()[0]
    assert len(trace_call(fit, ["fit", "partial_fit"]).converted) == 1


def test_conversions_are_named_as_they_are() -> None:
    text = "".join(path.read_text() for path in Path(trace_calls.PACKAGE).rglob("*.py"))
    assert [name for name in trace_calls.CONVERSIONS if f"def {name}(" not in text] == []


def test_functions_that_are_not_called_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"Got conversions=nothing, but expected names"):
        trace_calls.measure(["nothing"])


@pytest.mark.parametrize("n_changes", [51, 52])
@pytest.mark.parametrize("n_conversions", [1, 2])
def test_bounds(n_changes: int, n_conversions: int) -> None:
    step = [Call("ab"[i % 2], "f") for i in range(n_changes + 1)]
    table, kept = report({"to the first step": [], "a step": step}, n_conversions)
    assert kept == (n_changes < 52 and n_conversions <= 1)
    assert table.splitlines()[2].split() == [
        "a",
        "step",
        "2",
        f"{len(step)}",
        f"{n_changes}",
        "<",
        "52",
    ]


def test_only_a_check_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"to the first step": CALLS * 40, "a step": CALLS}
    monkeypatch.setattr(trace_calls, "measure", lambda conversions: (parts, 1))
    assert trace_calls.main([]) == 0
    assert trace_calls.main(["--check", "--list"]) == 1
    out = capsys.readouterr().out
    assert "b/c.py: h" in out
    monkeypatch.setattr(
        trace_calls, "measure", lambda conversions: (dict.fromkeys(parts, CALLS), 1)
    )
    assert trace_calls.main(["--check"]) == 0
