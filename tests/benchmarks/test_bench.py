"""The code of `make bench-step`: arms, ratios, memory, verdicts, what is left out."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import bench_step, fits, step_report
from benchmarks.bench_step import CASES, Case, draw, peak_memory, prepare, run_case
from benchmarks.nets import MLP, GRUClassifier, TransformerClassifier
from benchmarks.rivals import ARMS, INEXACT, Arm, Setting
from tests.reference import literal_weights

PACKAGES = {"higher": "higher", "torchopt": "torchopt", "betty": "betty"}
TINY = Case(partial(MLP, 4, 3, (5, 6)), (4,), 3, 12, 7, rounds=2)
# Packages that are no longer maintained warn of what is going to be removed.
others_may_warn = pytest.mark.filterwarnings("ignore")


def installed(name: str) -> str:
    """Name of an arm; the test is skipped if its package is missing."""
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    return name


@pytest.fixture(params=ARMS)
def arm(request: pytest.FixtureRequest) -> str:
    """Name of every arm that can be run here."""
    return installed(request.param)


def tiny_setting() -> Setting:
    return bench_step.setting(TINY, *draw(TINY, "cpu"))


@others_may_warn
def test_every_arm_takes_steps(arm: str) -> None:
    given = tiny_setting()
    step = ARMS[arm](given).step
    for _ in range(2):
        before = copy.deepcopy(list(given.net.parameters()))
        weights = step()
        moved = [not torch.equal(p, q) for p, q in zip(given.net.parameters(), before, strict=True)]
        assert all(moved)
        assert (weights is None) == (arm == "plain")
        if weights is not None:
            assert weights.shape == (12,)
            assert not weights.requires_grad
            torch.testing.assert_close(weights.sum(), torch.tensor(1.0))


@others_may_warn
def test_exact_arms_move_the_net_as_the_oracle_says(arm: str) -> None:
    if arm in ("plain", "ours:last", *INEXACT):
        pytest.skip("takes another step")
    net, (X, y), (X_clean, y_clean) = draw(TINY, "cpu")
    loss = nn.CrossEntropyLoss(reduction="none")
    oracle = net.double()
    weights = literal_weights(oracle, loss, (X.double(), y), (X_clean.double(), y_clean))
    gradients = torch.autograd.grad(
        (weights * loss(oracle(X.double()), y)).sum(), list(oracle.parameters())
    )
    given = tiny_setting()
    ARMS[arm](given).step()
    lr = given.optimizer.param_groups[0]["lr"]
    for p, before, g in zip(given.net.parameters(), oracle.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.double(), before - lr * g, atol=1e-6, rtol=0)


@others_may_warn
@pytest.mark.parametrize("make", [GRUClassifier, partial(TransformerClassifier, dropout=0.5)])
def test_sequence_nets_are_checked_without_dropout(
    make: Callable[..., nn.Module], arm: str
) -> None:
    if arm in ("ours:layerwise", "torchopt"):
        pytest.skip("may refuse recurrent nets")
    case = Case(partial(make, 3), (4, 3), 2, 6, 5, rounds=1, twice=True, dropout=True)
    given, error = prepare(case, arm, "cpu")[1:]
    assert (error is None) == (arm == "plain")
    assert given.net.training
    assert make is GRUClassifier or any(getattr(m, "p", 0) == 0.5 for m in given.net.modules())


def test_all_cases_make_nets_for_their_data() -> None:
    for case in CASES.values():
        net, (X, y), (X_clean, y_clean) = draw(case, "cpu")
        assert net(X[:2]).shape == (2, case.n_classes)
        assert (len(X), len(y), len(X_clean), len(y_clean)) == (case.n, case.n, case.m, case.m)


def test_arms_take_turns() -> None:
    order: list[str] = []
    steps: dict[str, Callable[[], Any]] = {name: partial(order.append, name) for name in "abc"}
    seconds = bench_step.time_arms(steps, 2, "cpu")
    assert order == list("abcabc")
    assert all(len(values) == 2 and min(values) >= 0 for values in seconds.values())


def test_results_are_medians_over_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"plain": [1.0, 2.0, 9.0], "ours": [3.0, 3.0, 0.1], "literal": [8.0, 5.0, 7.0]}
    monkeypatch.setattr(bench_step, "time_arms", lambda *args: seconds)
    found, skipped = run_case(TINY, list(seconds), 3, "cpu")
    assert skipped == {}
    assert {name: arm["ratio"] for name, arm in found.items()} == {
        "plain": 1.0, "ours": 1.5, "literal": 3.5,
    }  # fmt: skip
    assert found["literal"]["ms"] == 7000
    assert found["ours"]["way"] == "layerwise"
    for values in found.values():
        ratio = values["memory_mb"] / found["plain"]["memory_mb"]
        assert values["memory_ratio"] == pytest.approx(ratio)


def test_memory_is_what_is_held_and_the_highest_rise() -> None:
    given = tiny_setting()

    def step() -> None:
        first = torch.zeros(1_000_000)
        second = first + 1
        del first
        third = second + 1
        del second, third
        torch.zeros(10)

    held = sum(p.numel() for p in given.net.parameters()) * 4 + (12 + 7) * (4 * 4 + 8)
    extra = peak_memory(Arm(step), given, "cpu") - held - 8_000_000
    assert 0 <= extra < 100  # the numbers that are added


def test_an_arm_that_fails_or_is_wrong_is_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def uniform(given: Setting) -> Arm:
        return Arm(lambda: torch.full((12,), 1 / 12))

    def broken(given: Setting) -> Arm:
        raise RuntimeError("no formula\nfor this")

    monkeypatch.setitem(ARMS, "uniform", uniform)
    monkeypatch.setitem(ARMS, "broken", broken)
    monkeypatch.setitem(sys.modules, "higher", None)
    found, skipped = run_case(TINY, ["plain", "uniform", "broken", "higher"], 1, "cpu")
    assert list(found) == ["plain"]
    assert re.match(
        r"ValueError: its weights are off by .*, allowed are 0.0001", skipped["uniform"]
    )
    assert skipped["broken"] == "RuntimeError: no formula"
    assert "higher" in skipped["higher"]


def test_plain_has_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(given: Setting) -> Arm:
        raise RuntimeError("out of order")

    monkeypatch.setitem(ARMS, "plain", broken)
    with pytest.raises(RuntimeError, match="out of order"):
        run_case(TINY, ["plain"], 1, "cpu")


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


def test_being_faster_is_more() -> None:
    found = step_report.verdicts(_results(ours=4.0, literal=5.0, memory=1.1, fit=1.0))
    (verdict,) = [v for v in found if v["what"].startswith("times faster")]
    assert (verdict["status"], verdict["value"]) == ("missed", 1.25)
    assert verdict["by"] == pytest.approx(1.7 - 1.25)


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CASES, "lenet-100-10", TINY)
    monkeypatch.setattr(bench_step, "time_fits", partial(_small_fits, fits.time_fits))
    monkeypatch.setitem(sys.modules, "higher", None)
    output = tmp_path / "new" / "results.json"
    threads = torch.get_num_threads()
    arguments = ["--nets", "lenet-100-10", "fits", "--arms", "ours", "literal", "higher"]
    arguments += ["--rounds", "1", "--threads", str(threads), "--output", str(output)]
    assert bench_step.main(arguments) == 0
    results = json.loads(output.read_text())
    assert list(results["steps"]) == ["lenet-100-10"]
    assert list(results["steps"]["lenet-100-10"]) == ["plain", "ours", "literal"]
    assert list(results["skipped"]["lenet-100-10"]) == ["higher"]
    assert list(results["fits"]) == [
        "skorch",
        "ours",
        "ours, weights not recorded",
        "loop",
        "loop + example_weights",
    ]
    assert results["fits"]["skorch"]["ratio"] == 1
    assert results["versions"]["torch"] == torch.__version__
    assert results["threads"] == threads
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", results["date"])
    assert results["cores"] >= 1
    printed = capsys.readouterr().out
    assert "left out: higher: " in printed
    assert "| net | plain, ms | ours | literal |" in printed
    assert "| net | plain, MB | ours | literal |" in printed
    assert "| fit | seconds | over skorch |" in printed
    assert "not measured: step, LeNet 100/100" in printed


def _small_fits(time_fits: Callable[..., Any], n: int, epochs: int, **rest: Any) -> Any:
    assert (n, epochs) == (10_000, 5)
    return time_fits(256, epochs=1, **rest)


def test_a_missed_figure_can_fail_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missed = [{"what": "a", "value": 2.0, "now": 1.0, "status": "missed", "by": 1.0}]
    monkeypatch.setattr(bench_step, "verdicts", lambda results: missed)
    monkeypatch.setitem(CASES, "lenet-100-10", TINY)
    arguments = ["--nets", "lenet-100-10", "--arms", "plain", "--rounds", "1"]
    arguments += ["--threads", str(torch.get_num_threads()), "--output", str(tmp_path / "a.json")]
    assert bench_step.main(arguments) == 0
    assert bench_step.main([*arguments, "--check"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nets", "lenett"], "invalid choice: 'lenett' .*lenet-100-10.*fits"),
        (["--arms", "hihger"], "invalid choice: 'hihger' .*plain.*betty"),
        (["--device", "tpu"], "invalid choice: 'tpu' .*cpu.*cuda"),
        (["--rounds", "0"], "Got --rounds 0, but expected a positive number"),
        (["--threads", "0"], "Got --threads 0, but expected a positive number"),
    ],
)
def test_unknown_names_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        bench_step.main(arguments)
    assert refusal.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_step.main(["--device", "cuda"])
    assert "torch finds no CUDA device" in capsys.readouterr().err
