"""The health of training through skorch's callbacks: early stopping, checkpoints, logs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tqdm
from skorch import NeuralNetClassifier
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    LRScheduler,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    TensorBoard,
)
from skorch.dataset import ValidSplit

from sklearn_l2rw import L2RWClassifier
from tests.small import MLP, Y_NOISY, X, Y, make_net

KEYS = ("clean_loss", "zero_weights", "effective_sample_size", "zero_batches")


# Stopping and keeping


@pytest.mark.parametrize("load_best", [False, True])
def test_early_stopping_on_the_clean_loss(load_best: bool) -> None:
    """It stops after three epochs that did not lower the loss by 0.02."""
    full = make_net(max_epochs=60, lr=1.0).fit(X, Y_NOISY)
    losses = full.history[:, "clean_loss"]
    last = best = 0
    while last - best < 3:
        last += 1
        best = last if losses[last] < losses[best] - 0.02 else best
    assert 4 < last < 50
    stop = EarlyStopping(
        monitor="clean_loss", patience=3, threshold=0.02, threshold_mode="abs",
        load_best=load_best, sink=str,
    )  # fmt: skip
    net = make_net(callbacks=[("stop", stop)], max_epochs=60, lr=1.0).fit(X, Y_NOISY)
    assert net.history[:, "clean_loss"] == losses[: last + 1]
    until = make_net(max_epochs=1 + (best if load_best else last), lr=1.0).fit(X, Y_NOISY)
    np.testing.assert_array_equal(net.predict_proba(X), until.predict_proba(X))


def test_checkpoint_of_the_lowest_clean_loss(tmp_path: Path) -> None:
    score = PassthroughScoring("clean_loss", on_train=True)
    keep = Checkpoint(monitor="clean_loss_best", dirname=str(tmp_path), f_pickle=None, sink=str)
    callbacks = [("score", score), ("keep", keep)]
    net = make_net(callbacks=callbacks, max_epochs=2, lr=2.0, batch_size=21).fit(X, Y_NOISY)
    losses = net.history[:, "clean_loss"]
    plain = make_net(max_epochs=2, lr=2.0, batch_size=21).fit(X, Y_NOISY)
    np.testing.assert_allclose(losses, plain.history[:, "clean_loss"])
    lowest = int(np.argmin(losses))
    flags = net.history[:, "clean_loss_best"]
    assert [i for i, flag in enumerate(flags) if flag][-1] == lowest < 1
    other = make_net().initialize()
    other.load_params(checkpoint=keep)
    until = make_net(max_epochs=lowest + 1, lr=2.0, batch_size=21).fit(X, Y_NOISY)
    # to rounding: kernels may depend on where in memory the parameters lie
    np.testing.assert_allclose(other.predict_proba(X), until.predict_proba(X), rtol=1e-6)


def test_checkpoint_by_a_function(tmp_path: Path) -> None:
    def healthy(net: Any) -> bool:
        return bool(net.history[-1, "effective_sample_size"] > 1)

    keep = Checkpoint(monitor=healthy, dirname=str(tmp_path), event_name="kept", sink=str)
    net = make_net(callbacks=[("keep", keep)], max_epochs=3).fit(X, Y_NOISY)
    sizes = net.history[:, "effective_sample_size"]
    assert net.history[:, "kept"] == [size > 1 for size in sizes]
    saved = json.loads((tmp_path / "history.json").read_text())
    assert {*KEYS} <= set(saved[0])


def test_schedule_of_the_learning_rate() -> None:
    schedule = LRScheduler("ReduceLROnPlateau", monitor="clean_loss", patience=0, threshold=10.0)
    net = make_net(callbacks=[("schedule", schedule)], max_epochs=4).fit(X, Y_NOISY)
    rates = [group["lr"] for group in net.optimizer_.param_groups]
    assert rates[0] < 0.1
    steps = LRScheduler("StepLR", step_size=1, gamma=0.5)
    net = make_net(callbacks=[("schedule", steps)], max_epochs=4).fit(X, Y_NOISY)
    np.testing.assert_allclose(net.history[:, "event_lr"], [0.1, 0.05, 0.025, 0.0125])
    assert net.example_weights_.shape == X[:, 0].shape


# Logs


def test_columns_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    net = make_net(verbose=1, max_epochs=2, train_split=ValidSplit(3)).fit(X, Y)
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert {"train_loss", "valid_loss", "valid_acc", *KEYS} <= set(header.split())
    assert len(lines) == len(net.history) == 2
    assert not any("tensor" in line for line in lines)
    quiet = {"callbacks__print_log__keys_ignored": ["zero_weights", "zero_batches"]}
    make_net(verbose=1, **quiet).fit(X, Y)
    header = capsys.readouterr().out.splitlines()[0]
    assert {"clean_loss", "effective_sample_size"} <= set(header.split())
    assert "zero" not in header


def test_log_of_the_user() -> None:
    lines: list[str] = []
    make_net(callbacks=[PrintLog(sink=lines.append)], callbacks__print_log=None, verbose=1).fit(
        X, Y
    )
    assert len(lines) == 4
    assert all(key in lines[0] for key in KEYS)


class Writer:
    """Takes what TensorBoard's writer does."""

    def __init__(self) -> None:
        self.scalars: dict[str, list[float]] = {}

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int, **kwargs: Any) -> None:
        assert isinstance(scalar_value, (float, int))
        self.scalars.setdefault(tag, []).append(scalar_value)

    def close(self) -> None:
        pass


def test_scalars_for_tensorboard() -> None:
    writer = Writer()
    net = make_net(callbacks=[TensorBoard(writer)], max_epochs=3).fit(X, Y)
    for key in KEYS:
        (found,) = (values for tag, values in writer.scalars.items() if tag.endswith(key))
        assert found == net.history[:, key]


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        make_net(callbacks=[TensorBoard(writer)]).fit(X, Y)
    assert list(tmp_path.iterdir())


@pytest.fixture
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw progress bars at every step, however fast."""
    monkeypatch.setattr(tqdm, "tqdm", partial(tqdm.tqdm, mininterval=0, miniters=1))


@pytest.mark.usefixtures("_no_clock")
def test_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar(detect_notebook=False)
    net = make_net(callbacks=[bar], max_epochs=3).fit(X, Y)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "train_loss=" in shown
    assert "tensor" not in shown
    np.testing.assert_array_equal(net.predict(X), make_net(max_epochs=3).fit(X, Y).predict(X))


@pytest.mark.usefixtures("_no_clock")
def test_health_in_the_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["train_loss", "clean_loss", "effective_sample_size"]
    bar = ProgressBar(detect_notebook=False, postfix_keys=keys)
    make_net(callbacks=[bar], max_epochs=3).fit(X, Y)
    shown = capsys.readouterr().err
    assert all(f"{key}=" in shown for key in keys)
    assert "tensor" not in shown


# What is documented


def test_keys_are_documented() -> None:
    """Those that skorch does not have are named where the attribute is."""
    settings: dict[str, Any] = {"verbose": 0, "max_epochs": 1, "train_split": ValidSplit(3)}
    plain = NeuralNetClassifier(MLP, criterion=make_net().criterion, **settings).fit(X, Y)
    net = make_net(**settings).fit(X, Y)
    document = (L2RWClassifier.__doc__ or "").split("history : ")[1].split("\n\n")[0]
    added = set(net.history[-1]) - set(plain.history[-1])
    assert added == set(KEYS)
    batches = [set().union(*history[-1, "batches"]) for history in (net.history, plain.history)]
    assert batches[0] - batches[1] == set(KEYS)
    assert batches[1] <= batches[0]
    assert set(plain.history[-1]) <= set(net.history[-1])
    for key in added:
        assert f"``{key}``" in document
