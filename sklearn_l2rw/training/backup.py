"""The backup of the fit that is under way."""

from __future__ import annotations

import copy
from importlib.metadata import version
from reprlib import repr as shortened
from typing import Any

from .attributes import names_left
from .backup_callback import BackupAndRestore
from .backup_file import BackupFile
from .description import description
from .fit_state import Fit
from .random_states import generators_of, moved, only, random_states, set_random_states
from .snapshot import put_back, shapes, shapes_of, snapshot


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
        self.left: set[str] = set()  # attributes of the net that are no state
        self.n_before = len(getattr(net, "history_", None) or [])  # epochs of earlier fits
        self.n_epochs = 0  # that are finished
        self.n_batches = 0  # of the epoch that is under way
        self.n_steps = 0
        self.stopped = False  # by a callback
        self.keeps = not callback.delete_checkpoint
        self.generators = generators_of(net=net.get_params(deep=False))
        self.start = self._before = random_states(net, self.generators)
        self._used: set[str] = set()  # generators that were drawn from
        if self.found is not None:
            self.start = self.start | self.found["start"]
            self._used = set(self.found["used"])
            self.n_epochs = self.found["n_epochs"]
            set_random_states(net, self.generators, self.found["start"])
        self.epoch_start = self.start

    @property
    def n_skipped(self) -> int:
        """Batches of an unfinished epoch that were trained on before the interruption."""
        return 0 if self.found is None else int(self.found["n_batches"])

    def epochs_left(self, wanted: int) -> int:
        """Number of epochs to train, of those that are wanted in all."""
        done = 0 if self.found is None else self.n_epochs
        begun = done + (self.n_skipped > 0)
        if begun > wanted:
            raise ValueError(
                f"Got max_epochs={wanted} with a backup in {str(self.callback.dirname)!r} that is "
                f"in epoch {begun}, but expected at least as many. Raise max_epochs, or delete the "
                "directory to begin anew."
            )
        return wanted - done

    def is_of(self, fit: Fit) -> None:
        """Check that what was found is a backup of this fit."""
        data = [part.X for part in (fit.examples, fit.clean) if part.in_dataset]
        self.generators |= generators_of(data=data)
        self.about = description(self.net, fit, self.n_before)
        if self.found is not None:
            before = self.found["about"]
            self._refuse(
                [
                    f"{key}: {shortened(before.get(key, 'not set'))} there, "
                    f"{shortened(self.about.get(key, 'not set'))} here"
                    for key in {**before, **self.about}
                    if repr(before.get(key)) != repr(self.about.get(key))  # NaN is NaN
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

    def begin_training(self) -> None:
        """Look at the net as it is before callbacks change it."""
        self.left = names_left(self.net)

    def begin_epoch(self) -> None:
        """Remember from where an epoch's batches are drawn."""
        if self.found is not None:
            set_random_states(self.net, self.generators, self.found["epoch_start"])
        self.epoch_start, self.n_batches = random_states(self.net, self.generators), 0

    def write(self, fit: Fit) -> None:
        """Write the state after so many epochs, and batches of the next."""
        now = random_states(self.net, self.generators)
        self._used |= moved(self.start, now)
        self.file.write(
            {
                "about": self.about,
                "used": self._used,
                "start": self.start,
                "epoch_start": self.epoch_start,
                "now": now,
                "n_epochs": self.n_epochs,
                "n_batches": self.n_batches,
                "n_steps": self.n_steps,
                "state": snapshot(self.net, fit, self.left, self.generators),
            }
        )

    def put_back(self, fit: Fit) -> None:
        """Put everything back, once and for all."""
        if self.found is not None:
            found, self.found = self.found, None
            put_back(self.net, fit, found["state"], self.generators)
            set_random_states(self.net, self.generators, found["now"])
            self.n_batches, self.n_steps = found["n_batches"], found["n_steps"]

    def put_back_before_epoch(self, fit: Fit) -> None:
        """Put everything back as if the unfinished epoch were to begin: callbacks begin it anew."""
        assert self.found is not None
        state = copy.deepcopy(self.found["state"])
        del state["history"][-1]
        put_back(self.net, fit, state, self.generators)

    def is_due(self) -> bool:
        """Whether to back up after a step."""
        freq = self.callback.save_freq
        return freq != "epoch" and self.n_steps % int(freq) == 0

    def leave_generators(self, *, refused: bool) -> None:
        """Put generators back that were set to where the fit began, but not drawn from."""
        now = random_states(self.net, self.generators)
        used = set() if refused else self._used | moved(self.start, now)
        unused = only(self._before, self._before.keys() - used)
        set_random_states(self.net, self.generators, unused)

    def end(self) -> None:
        """Delete what is of no use any more."""
        if not self.keeps:
            self.file.delete()
