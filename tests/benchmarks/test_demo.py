"""The demo's own code, on tiny data."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier

from benchmarks import demo, rare_class
from benchmarks.arms import ARMS, Training, error_on, l2rw
from benchmarks.demo_figure import draw
from benchmarks.experiments import EXPERIMENTS
from benchmarks.methods import training
from benchmarks.nets import LeNet5
from benchmarks.problems import Problem, make_problem, uniform_flip

TINY = Training(LeNet5, n_steps=2, batch_size=20)


def tiny(noise_rate: float = 0.2) -> Problem:
    """Images that carry their row number in the first pixel."""
    rng = np.random.RandomState(0)
    X = rng.rand(120, 1, 28, 28).astype(np.float32)
    X[:, 0, 0, 0] = np.arange(120)
    y = np.repeat(np.array([4, 9], dtype=np.int64), 60)
    return make_problem(X, y, n_train={4: 10, 9: 40}, n_clean=6, noise_rate=noise_rate, seed=1)


def test_sizes_and_noise_rate_are_exact() -> None:
    data = tiny()
    rows = data.X[:, 0, 0, 0].astype(int)
    truth = (rows >= 60).astype(int)  # 4 is coded 0, 9 is coded 1
    assert np.bincount(truth).tolist() == [10, 40]
    np.testing.assert_array_equal(data.y != truth, data.flipped)
    assert data.flipped.sum() == 10
    assert np.bincount(data.y_clean).tolist() == [6, 6]
    assert np.bincount(data.y_test).tolist() == [14, 14]


def test_parts_share_no_row() -> None:
    data = tiny()
    rows = [set(X[:, 0, 0, 0].tolist()) for X in (data.X, data.X_clean, data.X_test)]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]
    X, _ = data.with_clean()
    assert set(X[:, 0, 0, 0].tolist()) == rows[0] | rows[1]


def test_uniform_flip_keeps_no_true_label_and_is_reproducible() -> None:
    y = np.arange(100, dtype=np.int64) % 5
    noisy, flipped = uniform_flip(y, 0.37, 5, np.random.RandomState(3))
    again, _ = uniform_flip(y, 0.37, 5, np.random.RandomState(3))
    assert flipped.sum() == 37
    assert (noisy[flipped] != y[flipped]).all()
    assert (noisy[~flipped] == y[~flipped]).all()
    assert set(noisy) <= set(range(5))
    np.testing.assert_array_equal(noisy, again)


@pytest.mark.parametrize("arm", ARMS)
def test_each_arm_trains_and_predicts(arm: str) -> None:
    data = tiny()
    estimator = ARMS[arm](data, TINY, 0.01, 0)
    assert 0 <= error_on(estimator, data) <= 100
    net = estimator[-1] if hasattr(estimator, "steps") else estimator
    assert isinstance(net, NeuralNetClassifier)


def test_learned_weights_cover_all_examples() -> None:
    data = tiny()
    weights = l2rw(data, TINY, 0.01, 0).example_weights_
    assert weights.shape == data.y.shape
    assert (weights >= 0).all()
    assert 0.5 < weights.mean() < 1.5  # 1 but for batches without a weight, and unequal batches


def test_table_and_figure(tmp_path: Path) -> None:
    rows = [
        {"problem": problem, "arm": arm, "seed": seed, "error": error, "time": 1.25}
        for problem in demo.PROBLEMS
        for arm in ARMS
        for seed, error in enumerate((1.0, 3.0))
    ]
    data = tiny()
    for row in rows:
        row["weights"] = np.linspace(0, 3, len(data.y)).tolist()
    lines = demo.table(rows).splitlines()
    assert len(lines) == 2 + len(ARMS)
    assert lines[-1] == "| l2rw | 2.0 ± 1.0 | 1.2 | 2.0 ± 1.0 | 1.2 |"
    path = tmp_path / "figure.png"
    draw(rows, data, str(path))
    assert path.stat().st_size > 10_000


def test_tuning_does_not_see_the_splits_of_the_table() -> None:
    assert not set(demo.TUNING_SEEDS) & set(range(100))
    assert all(set(choice) == set(ARMS) for choice in demo.CHOICE.values())
    for choice in demo.CHOICE.values():
        for lr, batch_size in choice.values():
            assert lr in demo.LR_GRID
            assert batch_size in demo.BATCH_SIZES


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
