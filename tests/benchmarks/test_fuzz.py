"""Strange input: a short run of the fuzzer, a long one, and the fuzzer itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from benchmarks import fuzz
from benchmarks.fuzzing import cases as cases_
from benchmarks.fuzzing import parameters
from benchmarks.fuzzing.cases import ESTIMATORS, Case, cases
from benchmarks.fuzzing.properties import Offender, run

QUIET = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # cases are readable as they are
    suppress_health_check=list(HealthCheck),
)


@settings(QUIET, max_examples=40)
@given(cases())
def test_a_few_cases(case: Case) -> None:
    run(case)


@pytest.mark.slow
def test_many_cases(tmp_path: Path) -> None:
    """What was run is counted, offenders are told, and the next call has nothing left to do."""
    path = tmp_path / "fuzz.json"
    assert fuzz.main(["--cases", "10000", "--jobs", "2", "--output", str(path)]) == 0
    found = json.loads(path.read_text())
    assert found["cases"] >= 10_000
    assert found["offenders"] == []
    fitted = {name for name in found["counts"] if name.endswith(": fitted")}
    assert fitted == {f"{name}: fitted" for name in ESTIMATORS}


def test_committed_results_have_no_offender() -> None:
    found = json.loads(fuzz.RESULTS.read_text())
    assert found["offenders"] == []
    assert found["cases"] == fuzz.SIZE * found["blocks"] > 0
    assert sum(found["counts"].values()) == sum(found["commits"].values()) == found["cases"]


def test_a_fit_is_the_same_after_another_one() -> None:
    """Its batches of eight rows and of one take different ways, of which one is remembered."""
    case = Case("L2RWClassifier", n=9, d=2, seed=3, labels="0, 1", clean="X_val", module="sums")
    assert run(replace(case, dtype="float16", call="partial_fit")) == "fitted"


# The fuzzer itself


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("fitted", [False, True])
def test_usual_cases_are_fitted(name: str, fitted: bool) -> None:
    labels = ESTIMATORS[name][1][0]
    assert run(Case(name, labels=labels, fitted=fitted)) == "fitted"


def test_a_case_says_what_is_strange() -> None:
    case = Case("L2RWClassifier", dtype="object", parameters={"lr": 2})
    assert repr(case) == "estimator='L2RWClassifier', dtype='object', lr=2"


def test_functions_that_choose_parameters_can_be_pickled() -> None:
    case = Case("L2RWClassifier", parameters={"meta_parameters": parameters.all_of})
    assert run(case) == "fitted"
    assert "lambda" not in repr(parameters.PARAMETERS["meta_parameters"])


def test_a_block_is_the_same_again() -> None:
    first, second = fuzz.block(3, size=6), fuzz.block(3, size=6)
    assert first == second
    assert sum(first["counts"].values()) == 6


def test_a_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fuzz.json"
    counts = {"L2RWClassifier: fitted": 200}
    fuzz.write(path, {"blocks": 2, "cases": 200, "counts": counts, "offenders": []})
    assert fuzz.main(["--cases", "200", "--output", str(path)]) == 0
    assert "200 cases, 0 offenders" in capsys.readouterr().out


def test_a_run_that_goes_on_names_both_commits() -> None:
    done = {"counts": {"L2RWClassifier: fitted": 3}, "offenders": []}
    found = fuzz.read(Path("no such file"))
    for commit in "aba":
        found["environment"] = {"commit": commit}
        fuzz.add(found, done)
    assert found["commits"] == {"a": 6, "b": 3}
    assert (found["blocks"], found["cases"]) == (3, 9)


class _Raises:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise self.error


def _spoil(monkeypatch: pytest.MonkeyPatch, **attributes: Any) -> None:
    kind = ESTIMATORS["L2RWClassifier"][0]
    spoiled = type("Spoiled", (kind,), attributes)
    monkeypatch.setitem(globals(), "Spoiled", spoiled)  # where pickle looks for it
    monkeypatch.setitem(cases_.ESTIMATORS, "L2RWClassifier", (spoiled, ("0, 1",)))


@pytest.mark.parametrize(
    ("fit", "kind"),
    [
        (_Raises(RuntimeError("size mismatch")), "another exception"),
        (_Raises(ValueError("wrong")), "does not say what to do"),
    ],
)
def test_errors_that_help_nobody(fit: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil(monkeypatch, fit=lambda self, *args, **kwargs: fit())
    with pytest.raises(Offender, match=kind):
        run(Case("L2RWClassifier"))


def test_traces_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = ESTIMATORS["L2RWClassifier"][0]

    def writes(self: Any, X: Any, y: Any, **kwargs: Any) -> Any:
        kind.fit(self, X, y, **kwargs)
        X[0] = 5
        return self

    _spoil(monkeypatch, fit=writes)
    with pytest.raises(Offender, match="what is given stays as it is"):
        run(Case("L2RWClassifier"))


def test_traces_in_a_frame_of_any_dtype_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = ESTIMATORS["L2RWClassifier"][0]

    def writes(self: Any, X: Any, y: Any, **kwargs: Any) -> Any:
        kind.fit(self, X, y, **kwargs)
        X.iloc[0] = 5
        return self

    case = Case("L2RWClassifier", dtype="longdouble", container="frame")
    assert run(case) == "fitted"
    _spoil(monkeypatch, fit=writes)
    with pytest.raises(Offender, match="what is given stays as it is"):
        run(case)


def test_chance_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, drawn = ESTIMATORS["L2RWClassifier"][0], iter((0.1, 0.2))

    def differs(self: Any, X: Any, y: Any, **kwargs: Any) -> Any:
        self.lr = next(drawn)
        return kind.fit(self, X, y, **kwargs)

    _spoil(monkeypatch, fit=differs)
    with pytest.raises(Offender, match="same seed, same net"):
        run(Case("L2RWClassifier"))


def test_what_a_failed_fit_leaves_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaves(self: Any, X: Any, y: Any, **kwargs: Any) -> Any:
        self.left_ = 1
        raise ValueError("Got this, but expected that.")

    _spoil(monkeypatch, fit=leaves)
    with pytest.raises(Offender, match="a failed fit changes nothing"):
        run(Case("L2RWClassifier"))


def test_generators_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = ESTIMATORS["L2RWClassifier"][0]

    def draws(self: Any, X: Any, y: Any, **kwargs: Any) -> Any:
        np.random.random()
        return kind.fit(self, X, y, **kwargs)

    _spoil(monkeypatch, fit=draws)
    state = np.random.get_state()
    try:
        with pytest.raises(Offender, match="settings and generators"):
            run(Case("L2RWClassifier"))
    finally:
        np.random.set_state(state)
