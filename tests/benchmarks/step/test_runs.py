"""Nets and arms in one run: in turn, over plain, left out with the reason."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.step import costs, runs
from benchmarks.step.cases import CASES, draw
from benchmarks.step.rivals import ARMS, Arm, Setting
from tests.benchmarks.step.small import TINY, tiny_setting


def test_all_cases_make_nets_for_their_data() -> None:
    for case in CASES.values():
        net, (X, y), (X_clean, y_clean) = draw(case, "cpu")
        assert net(X[:2]).shape == (2, case.n_classes)
        assert (len(X), len(y), len(X_clean), len(y_clean)) == (case.n, case.n, case.m, case.m)


def test_arms_take_turns() -> None:
    order: list[str] = []
    steps: dict[str, Callable[[], Any]] = {name: partial(order.append, name) for name in "abc"}
    seconds = costs.time_arms(steps, 2, "cpu")
    assert order == list("abcabc")
    assert all(len(values) == 2 and min(values) >= 0 for values in seconds.values())


def test_results_are_medians_over_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"plain": [1.0, 2.0, 9.0], "ours": [3.0, 3.0, 0.1], "literal": [8.0, 5.0, 7.0]}
    monkeypatch.setattr(runs, "time_arms", lambda *args: seconds)
    monkeypatch.setattr(runs, "timed", lambda *args: 10.0)
    found, skipped = runs.run_case(TINY, list(seconds), 3, "cpu")
    assert skipped == {}
    assert {name: arm["ratio"] for name, arm in found.items()} == {
        "plain": 1.0, "ours": 1.5, "literal": 3.5,
    }  # fmt: skip
    assert found["literal"]["ms"] == 7000
    assert (found["ours"]["first"], found["ours"]["again"]) == (5, 5)
    assert "first" not in found["literal"]
    assert f"ours:{found['ours']['way']}" in ARMS
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
    extra = costs.peak_memory(Arm(step), given, "cpu") - held - 8_000_000
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
    found, skipped = runs.run_case(TINY, ["plain", "uniform", "broken", "higher"], 1, "cpu")
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
        runs.run_case(TINY, ["plain"], 1, "cpu")


def test_the_next_net_of_an_architecture_takes_a_shorter_first_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The choice of a way is remembered: counted in passes, not in seconds."""
    passes: list[int] = []

    def count(step: Callable[[], Any], device: str) -> float:
        passes.append(passes_of(step))
        return 0.0

    monkeypatch.setattr(runs, "timed", count)
    assert runs.first_steps(TINY, "cpu").keys() == {"first", "again"}
    assert passes[1] < passes[0]


def passes_of(step: Callable[[], Any]) -> int:
    """How often a net is called in a step."""
    calls: list[Any] = []
    hook = nn.modules.module.register_module_forward_pre_hook(lambda m, X: calls.append(m))
    step()
    hook.remove()
    return len(calls)


def test_a_net_under_autocast() -> None:
    """A net under autocast is not held to Algorithm 1; it puts out single precision."""
    net, (X, _), _ = draw(replace(TINY, amp=True), "cpu")
    assert net(X).dtype == torch.float32
    found, skipped = runs.run_case(replace(TINY, amp=True), ["plain", "ours"], 1, "cpu")
    assert skipped == {}
    assert found["ours"]["weights_error"] is None
