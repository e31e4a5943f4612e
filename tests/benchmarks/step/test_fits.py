"""Times of fits: what is timed, and in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from torch import nn

from benchmarks.step import fits


def test_partial_fits_go_on_in_nets_that_have_been_warmed_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each call that is timed is one step, without BatchNorm and with it."""
    n_norms = []

    def time_arms(
        steps: Mapping[str, Callable[[], Any]], rounds: int, device: str
    ) -> dict[str, list[float]]:
        assert list(steps) == ["skorch", "ours"]
        for step in steps.values():
            net = step()
            assert [len(row["batches"]) for row in net.history] == [1, 1]
            n_norms.append(sum(isinstance(m, nn.BatchNorm1d) for m in net.module_.modules()))
        return {"skorch": [1.0, 2.0, 9.0], "ours": [5.0, 4.0, 1.0]}

    monkeypatch.setattr(fits, "time_arms", time_arms)
    found = fits.time_partial_fits(20, rounds=3, device="cpu")
    assert n_norms == [0, 0, 2, 2]
    assert list(found) == ["MLP", "MLP with BatchNorm"]
    for times in found.values():
        assert times["ours"] == {"seconds": 4.0, "ratio": 2.0, "rounds": 3}
