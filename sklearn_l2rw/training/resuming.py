"""skorch's seams of a fit that may have been killed: it is backed up, and goes on where it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .backup import Backup, callback_of
from .fit import Fitting
from .random_states import set_random_states
from .snapshot import put_back, snapshot
from .step import Stepping


class Resuming(Fitting, Stepping):
    """Backs a fit up where a callback says so; see `BackupAndRestore`."""

    _backup: Backup | None = None

    @contextmanager
    def _fitting(self, *, keep: bool) -> Iterator[None]:
        with super()._fitting(keep=keep):
            callback = callback_of(self)
            if callback is None:
                yield
                return
            backup = self._backup = Backup(callback, self)
            try:
                yield
            finally:
                backup.leave_generators(refused=backup.found is not None)
                self.__dict__.pop("_backup", None)
        backup.end()

    def _begin(self, *args: Any, **kwargs: Any) -> Any:
        examples = super()._begin(*args, **kwargs)
        if self._backup is not None and self._fit is not None:
            self._backup.is_of(self._fit)
        return examples

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **fit_params: Any) -> Any:
        """Loop of a fit, for the epochs that are left of it."""
        backup = self._backup
        if backup is None:
            return super().fit_loop(X, y, epochs, **fit_params)
        left = backup.epochs_left(self.max_epochs if epochs is None else epochs)
        try:
            return super().fit_loop(X, y, left, **fit_params)
        except KeyboardInterrupt:
            backup.keeps |= not backup.stopped
            raise

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Train on an epoch, or on the rest of one that was begun before."""
        backup = self._backup
        if backup is None or not training:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        if backup.found is not None:
            set_random_states(self, backup.found["epoch_start"])
        backup.begin_epoch()
        rest = self._rest(iterator, backup) if backup.n_skipped else iterator
        super().run_single_epoch(rest, training, prefix, step_fn, **fit_params)
        self.history.record(f"{prefix}_batch_count", backup.n_batches)

    def _rest(self, iterator: Any, backup: Backup) -> Iterator[Any]:
        """Batches of an epoch after those that were trained on before the interruption."""
        batches = iter(iterator)
        for _ in range(backup.n_skipped):
            next(batches)
        self._put_back(backup)
        if self._average is not None:
            self._average.begin(self._averaged_modules())
        yield from batches

    def _put_back(self, backup: Backup) -> None:
        """Put everything back, once and for all."""
        fit, found = self._needs_fit("fit_loop"), backup.found
        if found is not None:
            put_back(self, fit, found["state"])
            set_random_states(self, found["now"])
            backup.n_batches, backup.n_steps = found["n_batches"], found["n_steps"]
            backup.found = None

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a callback method; what was found is put back before, a backup made after."""
        backup = self._backup
        if backup is None:
            super().notify(method_name, **cb_kwargs)
            return
        if method_name in ("on_epoch_begin", "on_train_end") and backup.found is not None:
            self._before_epoch(backup)
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:  # at the end of an epoch it is how callbacks stop training
            backup.stopped = method_name == "on_epoch_end"
            raise
        if method_name == "on_train_begin":
            backup.check_shapes()
            if backup.found is None:
                self._back_up(backup)
        elif method_name == "on_batch_end" and cb_kwargs.get("training"):
            backup.n_batches += 1
            backup.n_steps += 1
            if backup.is_due():
                self._back_up(backup)
        elif method_name == "on_epoch_end":
            backup.n_batches = 0
            self._back_up(backup)

    def _before_epoch(self, backup: Backup) -> None:
        """Put back what was found; of an unfinished epoch, as if it were to begin."""
        found = backup.found or {}
        if not backup.n_skipped:
            self._put_back(backup)
            return
        state = dict(found["state"])
        state["history"] = copy.deepcopy(state["history"])
        del state["history"][-1]
        put_back(self, self._needs_fit("fit_loop"), state)

    def _back_up(self, backup: Backup) -> None:
        fit = self._needs_fit("fit_loop")
        n_epochs = len(self.history) - backup.n_before - (backup.n_batches > 0)
        backup.write(snapshot(self, fit), n_epochs)
