"""What a backup is taken for, and what is refused; when it is deleted."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochTimer,
    GradientNormClipping,
    LRScheduler,
    ProgressBar,
)
from skorch.dataset import ValidSplit

from sklearn_l2rw import BackupAndRestore, L2RWClassifier
from sklearn_l2rw.training import backup as backups
from sklearn_l2rw.training.backup_file import BackupFile
from sklearn_l2rw.training.description import described
from tests.killed import Kill, KilledError, Plan, assert_same, generators, outcome, scramble
from tests.small import X_CLEAN, Y_CLEAN, X, Y, make_net


def backed_up(
    directory: Path, *more: Any, freq: Any = 1, keep: bool = False, **settings: Any
) -> Any:
    callback = BackupAndRestore(directory, save_freq=freq, delete_checkpoint=not keep)
    more = more or (Kill(None, []),)
    settings = {"max_epochs": 3, "module__dropout": 0.2, "average": 0.5, **settings}
    return make_net(callbacks=[*more, callback], **settings)


def killed(directory: Path, at: int = 20, more: Any = (), **settings: Any) -> None:
    with pytest.raises(KilledError):
        backed_up(directory, Kill(at, []), *more, **settings).fit(X, Y)
    assert (directory / "fit.backup").exists()


def kill_of(net: Any) -> Any:
    return dict(net.callbacks_)["Kill"]


class Stop(Kill):
    """Presses Ctrl-C at a certain call of a callback."""

    error = KeyboardInterrupt


class Stepped(LRScheduler):
    """Steps by epoch."""

    def __init__(self, step_size: int) -> None:
        super().__init__("StepLR", step_size=step_size)


class Clipped(GradientNormClipping):
    """Is none of those that only show or save."""


def test_steps_are_not_done_again(tmp_path: Path) -> None:
    killed(tmp_path)
    calls: list[None] = []
    net = backed_up(tmp_path, Kill(None, calls)).fit(X, Y)
    rest = len(calls)
    calls.clear()
    assert_same(outcome(net, X), outcome(backed_up(tmp_path, Kill(None, calls)).fit(X, Y), X))
    assert rest < len(calls) - 12


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"lr": 0.3}, r"lr: 0\.1 there, 0\.3 here"),
        ({"module__hidden": 7}, "module__hidden: 6 there, 7 here|not set"),
        ({"optimizer": torch.optim.Adam}, "optimizer: 'SGD' there, 'Adam' here"),
        ({"clean_set": (X_CLEAN[:6], Y_CLEAN[:6])}, "clean set"),
        ({"random_state": 1}, "random_state"),
        ({"lr": np.float32(0.3)}, r"lr: 0\.1 there, 0\.3"),
        ({"optimizer__param_groups": [("inner.*", {"lr": 0.2})]}, "optimizer__param_groups"),
        ({"train_split": ValidSplit(4)}, "train_split: None there, .*ValidSplit"),
        ({"class_weight": {1: 2.0}}, "class_weight: None there"),
        ({"max_epochs": 1}, "max_epochs=1 with a backup .* in epoch 2"),
    ],
)
def test_a_backup_of_another_fit(settings: Any, match: str, tmp_path: Path) -> None:
    killed(tmp_path)
    content = (tmp_path / "fit.backup").read_bytes()
    net = backed_up(tmp_path, **settings)
    scramble(3)
    before = generators()
    with pytest.raises(ValueError, match=match):
        net.fit(X, Y)
    assert_same(generators(), before)
    assert not hasattr(net, "module_")
    assert (tmp_path / "fit.backup").read_bytes() == content


@pytest.mark.parametrize(
    ("callbacks", "match"),
    [
        ([Stepped(step_size=2)], "callbacks__Stepped__step_size: 1 there, 2 here"),
        ([Stepped(step_size=1), Clipped(1.0)], "callbacks__Clipped: 'not set' there"),
        ([], "callbacks__Stepped: .Stepped. there, 'not set' here"),
        ([Stepped(step_size=1), ProgressBar(), Checkpoint(dirname="unused")], None),
    ],
)
def test_other_callbacks(callbacks: Any, match: str | None, tmp_path: Path) -> None:
    killed(tmp_path, more=[Stepped(step_size=1)])
    net = backed_up(tmp_path, Kill(2, []), *callbacks)
    if match is None:
        with pytest.raises(KilledError):  # before anything is saved
            net.fit(X, Y)
    else:
        with pytest.raises(ValueError, match=match):
            net.fit(X, Y)


def test_parameters_that_are_nan_or_arrays_are_the_same(tmp_path: Path) -> None:
    same = {"class_weight": np.array([1.0, 2.0]), "module__extra": float("nan")}
    describe = {key: described(value) for key, value in same.items()}
    again = pickle.loads(pickle.dumps(describe))
    assert repr(again) == repr({key: described(value) for key, value in same.items()})
    assert described(np.array([1.0])) != described(np.array([2.0]))
    loop: list[Any] = []
    loop.append(loop)
    assert described(loop) == described(loop)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ((X[:-2], Y[:-2]), "rows: 42 there, 40 here"),
        ((X + 1, Y), "data: "),
        ((X, np.where(Y == 1, 0, 1)), "data: "),
        ((X, np.where(Y == 1, "a", "b")), r"classes: \[0, 1\] there, \['a', 'b'\] here"),
    ],
)
def test_other_data(data: Any, match: str, tmp_path: Path) -> None:
    killed(tmp_path, clean_set=10)
    with pytest.raises(ValueError, match=match):
        backed_up(tmp_path, clean_set=10).fit(*data)


class Wider(torch.nn.Sequential):
    """Is called alike, and is not."""

    hidden = 5

    def __init__(self) -> None:
        super().__init__(torch.nn.Linear(4, self.hidden), torch.nn.Linear(self.hidden, 2))


def test_another_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def net() -> Any:
        callbacks = [BackupAndRestore(tmp_path, save_freq=1)]
        return make_net(Wider, callbacks=[Kill(20, []), *callbacks], max_epochs=3)

    with pytest.raises(KilledError):
        net().fit(X, Y)
    monkeypatch.setattr(Wider, "hidden", 6)
    with pytest.raises(ValueError, match=r"module.0.weight: \(5, 4\) there, \(6, 4\) here"):
        net().fit(X, Y)


def test_a_failed_resumption_leaves_a_fitted_net_as_it_was(tmp_path: Path) -> None:
    killed(tmp_path)
    net = backed_up(tmp_path / "other").fit(X, Y)
    before = outcome(net, X)
    net.set_params(callbacks__BackupAndRestore__dirname=tmp_path, clean_loss_weight=0.1)
    with pytest.raises(ValueError, match="another fit"):
        net.fit(X, Y)
    assert_same(outcome(net, X), before)


def test_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(tmp_path)
    monkeypatch.setattr(backups, "version", lambda name: "9.9")
    with pytest.raises(ValueError, match=r"of version 'sklearn_l2rw \d.*but expected .*9\.9'"):
        backed_up(tmp_path).fit(X, Y)


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda content: content[: len(content) // 2],
    lambda content: b"",
    lambda content: content[:-1] + bytes([content[-1] ^ 1]),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_backup_that_is_cut_short(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    whole = outcome(backed_up(tmp_path).fit(X, Y), X)
    killed(tmp_path)
    last = tmp_path / "fit.backup"
    last.write_bytes(damage(last.read_bytes()))
    net = backed_up(tmp_path)
    with pytest.warns(UserWarning, match="cut short or damaged; training goes on from the one bef"):
        net.fit(X, Y)
    assert_same(outcome(net, X), whole)


def test_no_backup_that_is_whole(tmp_path: Path) -> None:
    killed(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(b"x")
    with pytest.raises(ValueError, match="expected at least one that is whole"):
        backed_up(tmp_path).fit(X, Y)


def test_killed_while_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = BackupFile(tmp_path, "1")
    file.write("first")
    file.write("second")

    def die(*args: Any) -> None:
        raise KilledError

    for target in ("replace", "open"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, target, die)
            with pytest.raises(KilledError):
                file.write("third")
        assert file.read() == "second"
    calls = []
    real = Path.replace

    def die_in_between(self: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise KilledError
        real(self, target)

    monkeypatch.setattr(Path, "replace", die_in_between)
    with pytest.raises(KilledError):
        file.write("third")
    assert file.read() == "second"
    calls.clear()
    monkeypatch.undo()
    file.write("fourth")
    assert file.read() == "fourth"


@pytest.mark.parametrize("freq", [0, -1, 1.5, True, "step", None])
def test_save_freq(freq: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Got save_freq=.*but expected 'epoch', or a number"):
        backed_up(tmp_path, freq=freq).fit(X, Y)


def test_two_of_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Got 2 callbacks BackupAndRestore, but expected one"):
        backed_up(tmp_path, BackupAndRestore(tmp_path)).fit(X, Y)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    calls: list[None] = []
    net = backed_up(tmp_path / "file" / "dir", Kill(None, calls))
    with pytest.raises(NotADirectoryError):
        net.fit(X, Y)
    assert len(calls) <= 1  # before the first step


def test_ctrl_c_leaves_the_backup(tmp_path: Path) -> None:
    whole = outcome(backed_up(tmp_path, Stop(None, [])).fit(X, Y), X)
    stopped = backed_up(tmp_path, Stop(19, [])).fit(X, Y)
    assert len(stopped.history) == 2
    assert (tmp_path / "fit.backup").exists()
    assert_same(outcome(backed_up(tmp_path, Stop(None, [])).fit(X, Y), X), whole)
    assert not tmp_path.exists()


class Scoring(Callback):
    """Is at work when Ctrl-C comes at the end of an epoch."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.score(net)

    def score(self, net: Any) -> None:
        if len(net.history) == 2:
            raise KeyboardInterrupt


def test_ctrl_c_at_the_end_of_an_epoch_leaves_the_backup(tmp_path: Path) -> None:
    assert len(backed_up(tmp_path, Scoring()).fit(X, Y).history) == 2
    assert (tmp_path / "fit.backup").exists()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = outcome(backed_up(tmp_path).fit(X, Y), X)
    net = backed_up(tmp_path)
    calls: list[None] = []

    def fsync(number: int) -> None:
        calls.append(None)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space left") as caught:
            net.fit(X, Y)
    assert "once there is room, the same fit goes on" in caught.value.__notes__[0]
    assert not hasattr(net, "module_")
    assert {path.name for path in tmp_path.iterdir()} == {"fit.backup", "fit.backup.before"}
    assert_same(outcome(backed_up(tmp_path).fit(X, Y), X), whole)


def test_a_callback_given_as_a_class(tmp_path: Path) -> None:
    def net(kill: int | None) -> Any:
        callbacks = [("backup", BackupAndRestore), Kill(kill, [])]
        return make_net(callbacks=callbacks, callbacks__backup__dirname=str(tmp_path))

    with pytest.raises(KilledError):
        net(20).fit(X, Y)
    assert (tmp_path / "fit.backup").exists()
    net(None).fit(X, Y)
    assert not tmp_path.exists()


def test_a_directory_of_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    backed_up(Path("~/runs"), keep=True).fit(X, Y)
    assert (tmp_path / "runs" / "fit.backup").exists()


def test_early_stopping_ends_a_fit(tmp_path: Path) -> None:
    stop = EarlyStopping("train_loss", patience=1, threshold=10.0, sink=lambda text: None)
    net = backed_up(tmp_path, stop, max_epochs=9).fit(X, Y)
    assert len(net.history) < 9
    assert not tmp_path.exists()


def test_a_backup_that_is_kept_ends_the_same_fit_at_once(tmp_path: Path) -> None:
    first = backed_up(tmp_path, keep=True).fit(X, Y)
    calls: list[None] = []
    again = backed_up(tmp_path, Kill(None, calls), keep=True).fit(X, Y)
    assert len(calls) == 2  # the beginning and the end of training
    assert_same(outcome(again, X), outcome(first, X))
    more = backed_up(tmp_path, keep=True, max_epochs=5).fit(X, Y)
    assert [row["epoch"] for row in more.history] == [1, 2, 3, 4, 5]


def test_files_of_others_are_left(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    backed_up(tmp_path).fit(X, Y)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_later_chunk_of_a_stream(tmp_path: Path) -> None:
    def stream(kill: int | None) -> Any:
        net = backed_up(tmp_path, Kill(None, [])).partial_fit(X[:20], Y[:20])
        kill_of(net).plan = None  # which cannot be pickled
        kept = pickle.dumps(net)
        kill_of(net).plan = Plan(kill, [])
        if kill is None:
            return net.partial_fit(X[20:], Y[20:])
        with pytest.raises(KilledError):
            net.partial_fit(X[20:], Y[20:])
        net = pickle.loads(kept)
        kill_of(net).plan = Plan(None, [])
        return net.partial_fit(X[20:], Y[20:])

    assert_same(outcome(stream(20), X), outcome(stream(None), X))


def test_one_that_is_cloned_and_pickled(tmp_path: Path) -> None:
    net = clone(backed_up(tmp_path, EpochTimer()))
    pickle.loads(pickle.dumps(net.fit(X, Y))).fit(X, Y)
    assert isinstance(net, L2RWClassifier)
    assert "_backup" not in vars(net)
    assert not tmp_path.exists()
