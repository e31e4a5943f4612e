"""The benchmark of streams: its arms run, and its ratios are those that it says they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import partial_fit
from benchmarks.step.fits import make_rows


@pytest.mark.parametrize("name", partial_fit.makers(8))
def test_arms(name: str) -> None:
    assert partial_fit.milliseconds(partial_fit.makers(8)[name], make_rows(64, 1, "cpu"), 8, 2) > 0


def test_ours_takes_one_step_a_call() -> None:
    rows = make_rows(2048, 1, "cpu")
    call = partial_fit.makers(1024)["ours"]
    net = call(rows)(rows.X[:1024], rows.y[:1024])
    assert [len(epoch["batches"]) for epoch in net.history] == [1]


def test_the_weighted_step_is_the_estimators() -> None:
    """Both end at the same parameters after a step from the same ones."""
    rows = make_rows(32, 1, "cpu")
    torch.manual_seed(0)
    ours = partial_fit.makers(32)["ours"](rows)(rows.X, rows.y)
    torch.manual_seed(0)
    step = partial_fit.loop(rows, weighted=True)
    step(rows.X, rows.y)
    (net,) = (cell.cell_contents for cell in step.__closure__ or () if _is_module(cell))
    raw = ours._average.raw.values()
    for p, q in zip(net.parameters(), raw, strict=True):
        np.testing.assert_allclose(p.detach(), q, atol=1e-6)


def _is_module(cell: object) -> bool:
    return isinstance(getattr(cell, "cell_contents", None), torch.nn.Sequential)


def test_ratios() -> None:
    found = {"plain step": 1.0, "weighted step": 3.0, "skorch": 3.0, "ours": 6.0}
    assert partial_fit.ratios(found) == {"whole": 1.2, "calls alone": 1.5, "as they are": 2.0}


@pytest.mark.parametrize("whole", [1.4, 1.6])
def test_report(
    whole: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(partial_fit, "measure", lambda *_: {"ours": 2.0, "whole": whole})
    monkeypatch.setattr(partial_fit, "environment", lambda _: {"cpu": "some"})
    argv = ["--sizes", "32", "--output", str(tmp_path / "found.json")]
    if whole > partial_fit.BOUND:
        with pytest.raises(SystemExit, match=r"1\.5 times"):
            partial_fit.main(argv)
    else:
        partial_fit.main(argv)
    assert f"| 32 | 2.00 | {whole:.2f} |" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["partial_fits"]["32"]["whole"] == whole
