"""A callback that says where a fit is backed up, and the backup of the fit that is under way."""

from __future__ import annotations

from importlib.metadata import version
from numbers import Integral
from typing import Any, Literal

import numpy as np
from skorch.callbacks import Callback

from ..data.checksum import checksum
from ..data.rows import take_rows
from .backup_file import BackupFile
from .fit_state import Fit
from .random_states import moved, only, random_states, set_random_states
from .snapshot import Snapshot, shapes, shapes_of

_LOOKED_AT = 1000  # rows of X by which data are recognised
_FREE = ("max_epochs", "device", "verbose", "warm_start", "callbacks")  # may differ on resuming
_PLAIN = (bool, int, float, str, type(None))


class BackupAndRestore(Callback):
    """Callback that backs a fit up, so that one that is killed goes on where it was.

    A fit that finds a backup of itself in the directory goes on from there, and ends as if it had
    never been interrupted: with the same parameters, history, weights of rows, averaged parameters
    and predictions, to the bit on one machine. That takes the fit that was begun: the same
    estimator, parameters and data, in a new process as a rule. `max_epochs` may be another, and
    counts the epochs before the interruption. For estimators of this package alone.

    Parameters
    ----------
    dirname : str or Path
        Directory of this one fit. Files in it are pickles: load none that are not your own.
    save_freq : "epoch" or int, default="epoch"
        When to back up: after each epoch, or after so many steps, too.
    delete_checkpoint : bool, default=True
        Whether the backup is deleted once the fit has ended. One that is interrupted by Ctrl-C
        leaves it. If it is kept, the same fit ends at once.

    Raises
    ------
    ValueError
        By `fit`, before the first step: if the directory has a backup of another fit (other
        parameters, data, classes, architecture), one of another version of the package, or none
        that is whole. One that was cut short gives way to the one before, with a warning.

    Notes
    -----
    Backed up are parameters, buffers and plain numbers of modules and criteria, optimizers,
    averages, history, callbacks, weights of rows, the place among the clean batches, and the
    generators of torch, NumPy and Python, and those given as parameters, that the fit draws from.
    Not kept is what only the user's objects know: generators that a Dataset holds, those of
    ``persistent_workers``, and what of a callback cannot be pickled.

    Name and parameters are those of ``keras.callbacks.BackupAndRestore``.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_l2rw import BackupAndRestore, L2RWClassifier
    >>> X, y = make_blobs(200, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     backup = BackupAndRestore(f"{directory}/first", save_freq=100)
    ...     net = L2RWClassifier(clean_set=10, callbacks=[backup], random_state=0, verbose=0)
    ...     net.fit(X, y).score(X, y) > 0.9
    True

    """

    def __init__(
        self,
        dirname: Any,
        save_freq: int | Literal["epoch"] = "epoch",
        delete_checkpoint: bool = True,
    ) -> None:
        self.dirname = dirname
        self.save_freq = save_freq
        self.delete_checkpoint = delete_checkpoint

    def check(self) -> None:
        """Check the parameters."""
        freq = self.save_freq
        is_number = isinstance(freq, Integral) and not isinstance(freq, bool) and int(freq) > 0
        if freq != "epoch" and not is_number:
            raise ValueError(
                f"Got save_freq={freq!r}, but expected 'epoch', or a number of steps, an int of "
                "at least 1."
            )


def callback_of(net: Any) -> BackupAndRestore | None:
    """Find a net's callback of that kind, with the parameters that the net sets."""
    if not isinstance(net.callbacks, (list, tuple)):
        return None
    found = []
    for name, given in net._uniquely_named_callbacks():
        callback = vars(net).get(f"callbacks__{name}", given)
        if isinstance(callback, BackupAndRestore):
            callback.set_params(**net.get_params_for(f"callbacks__{name}"))
            found.append(callback)
    if len(found) > 1:
        raise ValueError(f"Got {len(found)} callbacks BackupAndRestore, but expected one.")
    for callback in found:
        callback.check()
    return found[0] if found else None


class Backup:
    """Backup of the fit that is under way.

    Parameters
    ----------
    callback : BackupAndRestore
        Where and when.
    net : NeuralNet
        The net that is fitted.
    """

    def __init__(self, callback: BackupAndRestore, net: Any) -> None:
        if net._is_accelerated:
            raise ValueError(
                "Got BackupAndRestore with an accelerator, but expected a fit in one process "
                "without one. Use accelerator.save_state in a loop of your own."
            )
        self.callback = callback
        self.net = net
        self.file = BackupFile(callback.dirname, f"sklearn_l2rw {version('sklearn_l2rw')}")
        self.found: dict[str, Any] | None = self.file.read()  # None once all is put back
        self.about: dict[str, Any] = {}
        self.n_before = len(getattr(net, "history_", None) or [])  # epochs of earlier fits
        self.n_batches = 0  # of the epoch that is under way
        self.n_steps = 0
        self.stopped = False  # by a callback
        self.keeps = not callback.delete_checkpoint
        self.start = self._before = random_states(net)
        self._used: set[str] = set()  # generators that were drawn from
        if self.found is not None:
            self.start = self.start | self.found["start"]
            self._used = set(self.found["used"])
            set_random_states(net, self.found["start"])
        self.epoch_start = self.start

    @property
    def n_epochs(self) -> int:
        """Number of epochs that were finished before the interruption."""
        return 0 if self.found is None else int(self.found["n_epochs"])

    @property
    def n_skipped(self) -> int:
        """Batches of an unfinished epoch that were trained on before the interruption."""
        return 0 if self.found is None else int(self.found["n_batches"])

    def epochs_left(self, wanted: int) -> int:
        """Number of epochs to train, of those that are wanted in all."""
        begun = self.n_epochs + (self.n_skipped > 0)
        if begun > wanted:
            raise ValueError(
                f"Got max_epochs={wanted} with a backup in {str(self.callback.dirname)!r} that is "
                f"in epoch {begun}, but expected at least as many. Raise max_epochs, or delete the "
                "directory to begin anew."
            )
        return wanted - self.n_epochs

    def is_of(self, fit: Fit) -> None:
        """Check that what was found is a backup of this fit."""
        self.about = _about(self.net, fit, self.n_before)
        if self.found is not None:
            before = self.found["about"]
            self._refuse(
                [
                    f"{key}: {before.get(key, 'not set')!r} there, {now!r} here"
                    for key, now in self.about.items()
                    if before.get(key, "not set") != now
                ]
            )

    def check_shapes(self) -> None:
        """Check that the modules are those of the backup."""
        if self.found is None:
            return
        before, now = shapes(self.found["state"]), shapes_of(self.net)
        names = [*dict.fromkeys((*before, *now))]
        differ = [n for n in names if now.get(n, ()) is not None and before.get(n) != now.get(n)]
        self._refuse([f"{n}: {before.get(n)} there, {now.get(n)} here" for n in differ])

    def _refuse(self, differences: list[str]) -> None:
        if differences:
            more = f", and {len(differences) - 3} more" if len(differences) > 3 else ""
            raise ValueError(
                f"Got a backup in {str(self.callback.dirname)!r} of another fit "
                f"({'; '.join(differences[:3])}{more}), but expected one of this fit. Give the "
                "parameters and data that it was begun with, or another dirname; or delete the "
                "directory to begin anew."
            )

    def begin_epoch(self) -> None:
        """Remember from where an epoch's batches are drawn."""
        self.epoch_start, self.n_batches = random_states(self.net), 0

    def write(self, state: Snapshot, n_epochs: int) -> None:
        """Write the state after so many epochs, and batches of the next."""
        now = random_states(self.net)
        self._used |= moved(self.start, now)
        self.file.write(
            {
                "about": self.about,
                "used": self._used,
                "start": self.start,
                "epoch_start": self.epoch_start,
                "now": now,
                "n_epochs": n_epochs,
                "n_batches": self.n_batches,
                "n_steps": self.n_steps,
                "state": state,
            }
        )

    def is_due(self) -> bool:
        """Whether to back up after a step."""
        freq = self.callback.save_freq
        return freq != "epoch" and self.n_steps % int(freq) == 0

    def leave_generators(self, *, refused: bool) -> None:
        """Put generators back that were set to where the fit began, but not drawn from."""
        used = set() if refused else self._used | moved(self.start, random_states(self.net))
        set_random_states(self.net, only(self._before, self._before.keys() - used))

    def end(self) -> None:
        """Delete what is of no use any more."""
        if not self.keeps:
            self.file.delete()


def _about(net: Any, fit: Fit, n_before: int) -> dict[str, Any]:
    """By what a fit is recognised."""
    params = net.get_params(deep=False)
    about: dict[str, Any] = {"estimator": type(net).__qualname__}
    for name, value in sorted(params.items()):
        if name not in _FREE and not name.startswith("callbacks__"):
            if isinstance(value, type):
                about[name] = value.__qualname__
            elif isinstance(value, _PLAIN):
                about[name] = value
    examples, clean = fit.examples, fit.clean
    classes = getattr(net.targets_, "classes", None)
    about |= {
        "classes": None if classes is None else np.asarray(classes).tolist(),
        "epochs before": n_before,
        "rows": fit.n_rows,
        "data": _recognised(examples.inputs, examples.n, (examples.targets, fit.weight)),
        "clean set": _recognised(clean.inputs, clean.n, (clean.targets, fit.clean_weight)),
    }
    return about


def _recognised(inputs: Any, n: int, columns: Any) -> int:
    """Number that tells data from others: of all targets, and of some rows."""
    held = [column for column in columns if column is not None]
    if inputs is not None and n:
        held.append(take_rows(inputs, np.unique(np.linspace(0, n - 1, _LOOKED_AT).astype(int))))
    return checksum(held)
