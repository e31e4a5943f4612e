"""Memory of training adapters on a frozen net, on a tiny one: the arms run, and train alike."""

from __future__ import annotations

import sys

import pytest

from benchmarks import lora_memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("arm", lora_memory.ARMS)
def test_arms(arm: str) -> None:
    cost = lora_memory.measure(arm, "linear", width=8, depth=2)
    assert cost["peak"] >= cost["above"]
    assert cost["frozen"] == 2 * (8 * 8 + 8)
    assert cost["trained"] == 2 * 2 * 8 * 8 + 8 * 2 + 2


def test_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def measured(arm: str, net_name: str) -> dict[str, int]:
        peak = 1000 if arm == "plain" else 1100
        return {"peak": peak, "above": peak - 500, "trained": 1, "frozen": 100}

    monkeypatch.setattr(lora_memory, "in_process", measured)
    lora_memory.main([])
    assert "| fit | 0 | 1.10 | 0 | 1.20 |" in capsys.readouterr().out
    monkeypatch.setattr(lora_memory, "BOUND", 1.05)
    with pytest.raises(SystemExit, match="memory of plain"):
        lora_memory.main([])
