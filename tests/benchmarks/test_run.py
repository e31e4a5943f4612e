"""The runner: what it writes down, goes on with, and refuses."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joblib import delayed, parallel_config, register_parallel_backend
from joblib.parallel import ThreadingBackend

from benchmarks import run as runner
from benchmarks.data import loaders
from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.preset import Job
from benchmarks.methods import ARMS
from benchmarks.reporting import results
from tests.small_benchmarks import TINY, digits_source, tiny_preset

NAME = "noise-mnist"


ARMS_RUN = ["unweighted", "l2rw"]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The experiment's quick preset, on small data and with two learning rates."""
    loaders._load.cache_clear()
    monkeypatch.setitem(loaders.LOADERS, "mnist_small", lambda home: digits_source())
    preset = tiny_preset(EXPERIMENTS[NAME].presets["quick"], n_train=100, n_clean=20, n_seeds=2)
    preset = replace(preset, training=replace(TINY, lrs=(0.01, 0.1)), arms=tuple(ARMS_RUN))
    monkeypatch.setitem(EXPERIMENTS[NAME].presets, "quick", preset)
    yield
    loaders._load.cache_clear()  # other tests get the real data


def run(folder: Path, **more: Any) -> list[results.Row]:
    path = runner.run(NAME, "quick", folder=folder, progress=False, **more)
    return results.read(path)


def comparable(rows: list[results.Row]) -> dict[str, Any]:
    """Results without what no two runs have alike: time, memory, order."""
    found = {}
    for row in rows:
        if row["kind"] != "environment":
            measures = dict(row.get("measures", {}))
            for cost in ("fit_time", "cpu_time", "memory"):
                measures.pop(cost, None)
            key = json.dumps([row["kind"], row["arm"], row["point"], row["seed"]])
            assert key not in found, "no run is done twice"
            found[key] = [row.get("lr"), row.get("held_out"), measures]
    return found


@pytest.mark.usefixtures("tiny")
def test_all_runs_are_done_and_written_down(tmp_path: Path) -> None:
    rows = run(tmp_path)
    kinds = [row["kind"] for row in rows]
    assert kinds == ["environment"] + ["tune"] * 4 + ["test"] * 8
    tuned = {(r["arm"], json.dumps(r["point"])): r for r in rows if r["kind"] == "tune"}
    for row in rows[5:]:
        choice = tuned[row["arm"], json.dumps(row["point"])]
        assert row["lr"] == choice["lr"]
        assert choice["seed"] == 1000
        best = min(choice["held_out"], key=lambda lr: choice["held_out"][lr])
        assert float(best) == row["lr"]
        assert set(row["measures"]) == {
            "error", "balanced_error", "auc", "average_precision", "brier", "f1", "fit_time",
            "cpu_time", "memory",
        }  # fmt: skip
    assert run(tmp_path) == rows, "there is nothing left to do"


@pytest.mark.usefixtures("tiny")
def test_what_made_the_results_is_written_down(tmp_path: Path) -> None:
    environment = run(tmp_path, seeds=1, arms=["unweighted"])[0]
    assert environment["format"] == results.FORMAT
    assert set(environment["versions"]) == set(results.PACKAGES)
    assert re.fullmatch(r"[0-9a-f]{12}\+?|unknown", environment["commit"])
    assert environment["cores"] >= 1
    assert environment["device"] == "cpu"
    assert re.match(r"\d{4}-\d\d-\d\dT", environment["date"])


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("kept", [0, 1, 3, 6])
def test_a_killed_run_goes_on(tmp_path: Path, kept: int) -> None:
    whole = run(tmp_path / "whole")
    path = results.path_of(NAME, "quick", tmp_path / "whole")
    lines = path.read_text().splitlines(keepends=True)
    cut = results.path_of(NAME, "quick", tmp_path / "cut")
    cut.parent.mkdir()
    cut.write_text("".join(lines[:kept]) + lines[kept][:25])
    again = run(tmp_path / "cut")
    assert comparable(again) == comparable(whole)
    assert sum(row["kind"] == "environment" for row in again) == (2 if kept else 1)


@pytest.mark.usefixtures("tiny")
def test_more_seeds_and_arms_add_to_what_is_there(tmp_path: Path) -> None:
    first = run(tmp_path, seeds=1, arms=["unweighted"])
    assert len(comparable(first)) == 4
    second = run(tmp_path)
    assert second[: len(first)] == first
    assert len(comparable(second)) == 12


@pytest.mark.usefixtures("tiny")
def test_ctrl_c_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Job] = []
    work: Callable[..., Any] = runner.work

    def interrupted(kind: str, job: Job, known: Any) -> Any:
        calls.append(job)
        if len(calls) == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return work(kind, job, known)

    monkeypatch.setattr(runner, "work", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    command = [NAME, "--results", str(tmp_path)]
    assert runner.main(command) == 130
    assert signal.getsignal(signal.SIGINT) is handler
    assert "the same command goes on" in capsys.readouterr().out
    rows = results.read(results.path_of(NAME, "quick", tmp_path))
    assert len(comparable(rows)) == 6
    assert runner.main(command) == 0
    rows = results.read(results.path_of(NAME, "quick", tmp_path))
    assert len(comparable(rows)) == 12
    assert len(calls) == 7 + 6


@pytest.mark.usefixtures("tiny")
def test_an_arm_that_fails_is_written_down_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(setting: Any) -> Any:
        raise ValueError("no neighbours")

    monkeypatch.setitem(ARMS, "smote", replace(ARMS["smote"], make=broken))
    rows = run(tmp_path, arms=["smote"], seeds=1)
    failed = [row for row in rows if row["kind"] == "test"]
    assert {row["failed"] for row in failed} == {"ValueError: no neighbours"}
    assert not any("measures" in row for row in failed)


def refusal(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    try:
        status: Any = runner.main(list(command))
    except SystemExit as refused:  # of the parser
        status = refused.code
    assert status == 2
    return capsys.readouterr().err


def test_an_unknown_experiment_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, "imbalance")
    assert "invalid choice: 'imbalance'" in message
    assert all(name in message for name in EXPERIMENTS)


def test_an_unknown_preset_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, NAME, "--preset", "large")
    assert (
        "Got --preset large, but expected one of quick, cpu, ablation, cpu_long, paper." in message
    )


def test_an_unknown_arm_lists_those_there_are(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    message = refusal(capsys, NAME, "--arms", "smoat", "--results", str(tmp_path))
    assert "Got arm 'smoat', but expected some of unweighted, " in message
    assert "smote" in message
    assert "smote_averaged" not in message
    assert "may end in some of _clipped, _falling, _averaged, in that order" in message
    message = refusal(capsys, "label-errors", "--arms", "smote", "--results", str(tmp_path))
    assert "fine_tuned_slowly, cross_validated, cross_validated_3, cleanlab, l2rw" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], "Got --seeds 0, but expected a positive number"),
        (["--jobs", "0"], "Got --jobs 0, but expected a positive number"),
        (["--device", "cuda"], "torch finds no CUDA device"),
    ],
)
def test_other_options(
    options: list[str], message: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert message in refusal(capsys, NAME, *options)


def test_a_missing_package_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "is_installed", lambda arm: arm != "cleanlab")
    message = refusal(capsys, NAME, "--arms", "cleanlab", "--results", str(tmp_path))
    assert "The arm 'cleanlab' needs cleanlab" in message
    preset = EXPERIMENTS[NAME].presets["cpu"]
    arms = runner.choose_arms(NAME, preset, None)
    assert arms == [arm for arm in preset.arms if arm != "cleanlab"]
    assert "Left out: cleanlab" in capsys.readouterr().out


@pytest.mark.usefixtures("tiny")
def test_results_of_another_version_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results.path_of(NAME, "quick", tmp_path)
    path.write_text(json.dumps({"kind": "environment", "format": 0, "digest": "x"}) + "\n")
    before = path.read_bytes()
    message = refusal(capsys, NAME, "--results", str(tmp_path))
    assert "of format 0, but expected 1" in message
    assert "Move it away" in message
    assert path.read_bytes() == before


@pytest.mark.usefixtures("tiny")
def test_results_for_other_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, seeds=1, arms=["unweighted"])
    presets = EXPERIMENTS[NAME].presets
    monkeypatch.setitem(presets, "quick", replace(presets["quick"], n_train=120))
    with pytest.raises(results.ResultsError, match="for other settings of this preset"):
        run(tmp_path)


@pytest.mark.parametrize("text", ["no json\n", '{"kind": "test"}\n'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(results.ResultsError, match="Move it away"):
        results.read(path)


def test_a_missing_data_set_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--data-home", str(tmp_path), "--results", str(tmp_path)]
    message = refusal(capsys, "noise-cifar", *home)
    assert "Got no data_batch_1" in message
    assert not list(tmp_path.glob("*.jsonl")), "nothing is written before there are data"


def test_arms_without_a_learning_rate_wait_for_none() -> None:
    job = Job("imbalance-mnist", "cpu", "adaboost", {"majority": 0.9}, 0)
    assert runner.tuning_job(job) is None
    wrapped = runner.tuning_job(replace(job, arm="threshold_tuned"))
    assert wrapped is not None
    assert (wrapped.arm, wrapped.seed, wrapped.point) == ("unweighted", 1000, {"majority": 0.98})
    assert runner.tuning_job(replace(job, arm="l2rw", preset="paper")) is None
    scored = Job("label-errors", "cpu", "cross_validated", {"noise": "uniform", "rate": 0.4}, 0)
    tuning = runner.tuning_job(scored)
    assert tuning is not None
    assert tuning.arm == "unweighted"


def test_what_is_to_be_done_again() -> None:
    job = Job(NAME, "cpu", "unweighted", {"noise": "uniform", "rate": 0.4}, 0)
    tuning = runner.tuning_job(job)
    assert tuning is not None
    where = {"arm": "unweighted", "point": job.point}
    tune = {"kind": "tune", **where, "seed": tuning.seed}
    edge = {**tune, "lr": 0.03, "held_out": {"0.01": [2.0, 0.0], "0.03": [1.0, 0.0]}}
    at_edge = {"kind": "test", **where, "seed": 0, "lr": 0.03}
    todo = runner.ToDo([job], [edge, at_edge])
    assert todo.tunings() == [(tuning, edge["held_out"])]
    assert todo.tests() == []
    inner = {**tune, "lr": 0.1, "held_out": {"0.03": [2.0, 0], "0.1": [1.0, 0], "0.3": [3.0, 0]}}
    todo = runner.ToDo([job], [edge, at_edge, inner])
    assert todo.tunings() == []
    assert todo.tests() == [(replace(job, lr=0.1), {})]
    assert runner.ToDo([job], [edge, at_edge, inner, {**at_edge, "lr": 0.1}]).tests() == []


class Waits(ThreadingBackend):
    """A backend that cannot yield results as they come, as Ray's."""

    supports_return_generator = False


@pytest.mark.parametrize("backend", ["threading", "waits"])
def test_runs_in_parallel(backend: str) -> None:
    register_parallel_backend("waits", Waits)
    tasks = [delayed(abs)(-i) for i in range(5)]
    with parallel_config(backend=backend):
        found: list[Any] = list(runner._in_parallel(2, tasks))
    assert sorted(found) == list(range(5))
