"""The command `benchmarks.rare_class`, on small data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import rare_class
from benchmarks.experiments import EXPERIMENTS
from benchmarks.methods import training


def test_weights_of_a_rare_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures that are printed are those of the classes: rare examples count for more."""
    quick = EXPERIMENTS["imbalance-mnist"].presets["quick"]
    monkeypatch.setattr(rare_class, "PRESET", quick)
    monkeypatch.setattr(rare_class, "MAJORITY", 0.9)
    steps = training.Training("lenet5", 60, 60, 100, lrs=(0.01,))
    monkeypatch.setattr(rare_class, "TRAINING", steps)
    threads = torch.get_num_threads()
    try:
        rare_class.main(["--output", str(tmp_path / "weights.png")])
    finally:
        torch.set_num_threads(threads)
    nines, fours, ratio, _ = capsys.readouterr().out.splitlines()
    assert nines.startswith("355 nines: mean weight 0.")
    assert fours.startswith("35 fours: mean weight ")
    found = float(fours.split()[-1]) / float(nines.split()[-1])
    assert int(ratio.split()[-2]) == pytest.approx(found, rel=0.1)
    assert found > 2
    assert (tmp_path / "weights.png").stat().st_size > 5000
