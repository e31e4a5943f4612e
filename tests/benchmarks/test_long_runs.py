"""Memory does not grow over many fits, streams and steps; the benchmark looks at more of them."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from pathlib import Path

import pytest

from benchmarks import long_runs

pytestmark = pytest.mark.filterwarnings("ignore")  # of nets that have learned all there is
HELD = {"fits": 20_000, "stream": 20_000, "example_weights": 5_000}  # bytes more


@pytest.mark.slow
@pytest.mark.parametrize("kind", HELD)
def test_nothing_is_held_for_long(kind: str) -> None:
    """Objects and memory of Python's after forty calls are those after sixty."""
    call = long_runs.KINDS[kind]()
    counts, held = [], []
    tracemalloc.start()
    try:
        for _ in range(3):
            for _ in range(20):
                call()
            gc.collect()
            counts.append(len(gc.get_objects()))
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert counts[2] - counts[1] < 20
    assert held[2] - held[1] < HELD[kind]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_uncut_history_grows() -> None:
    """So the measure is able to see growth."""
    found = {kind: long_runs.measure(kind, 30) for kind in ("stream", "stream, uncut")}
    cut, uncut = (row["objects"][-1] - row["objects"][1] for row in found.values())
    assert cut < 40 < uncut


@pytest.mark.parametrize("grown", [0.1, 3.0])
def test_report(
    grown: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    row = {"calls": 10, "resident": [1.0, 2.0, 2.0 + grown], "objects": [1, 2, 4], "grown": grown}
    monkeypatch.setattr(long_runs, "in_process", lambda kind, _: row)
    monkeypatch.setattr(long_runs, "environment", lambda _: {"cpu": "some"})
    argv = ["--output", str(tmp_path / "found.json")]
    if grown > long_runs.BOUND:
        with pytest.raises(SystemExit, match="grew"):
            long_runs.main(argv)
    else:
        long_runs.main(argv)
    assert f"| fits | 10 | 1.0, 2.0, {2 + grown:.1f} | {grown:.1f} | 2 |" in capsys.readouterr().out
