"""The page on fits that are killed, copied line by line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sklearn_l2rw import L2RWClassifier
from tests.killed import KilledError, assert_same, outcome, scramble

PAGE = Path(__file__).parents[2] / "docs" / "resuming.md"
FIT, STREAM = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def run(blocks: list[str], kill_at: int | None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run blocks in a new world, killed at a step; what they leave and how many steps it took."""
    n_steps = 0
    original = L2RWClassifier.on_batch_end

    def on_batch_end(self: Any, net: Any, **kwargs: Any) -> None:
        nonlocal n_steps
        n_steps += 1
        if n_steps == kill_at:
            raise KilledError
        original(self, net, **kwargs)

    names: dict[str, Any] = {}
    with monkeypatch.context() as patch:
        patch.setattr(L2RWClassifier, "on_batch_end", on_batch_end)
        scramble(0)
        for block in blocks:
            exec(block, names)
    return outcome(names["net"], names["X"]), n_steps


def hold(blocks: list[str], kill_at: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path)
    whole, n_steps = run(blocks, None, monkeypatch)
    assert n_steps > kill_at
    for left in path.glob("stream*"):
        left.unlink()
    assert not any(path.rglob("fit.backup*"))
    with pytest.raises(KilledError):
        run(blocks, kill_at, monkeypatch)
    resumed, rest = run(blocks, None, monkeypatch)
    assert rest < n_steps
    for left in (whole, resumed):
        del left["unseeded"]
    assert_same(resumed, whole)


def test_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(FIT.strip().splitlines()) <= 12
    block = FIT.replace("verbose=0", "verbose=0, max_epochs=20")  # 50 in the page
    assert block != FIT
    hold([block], 230, tmp_path, monkeypatch)


def test_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = FIT.split("backup =")
    hold([data, STREAM], 4, tmp_path, monkeypatch)
