"""skorch's seams of a fit that may have been killed: it is backed up, and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .backup import Backup
from .backup_callback import callback_of
from .fit import Fitting
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
            super().fit_loop(X, y, left, **fit_params)
        except KeyboardInterrupt:
            backup.keeps |= not backup.stopped
            raise
        fit = self._needs_fit("fit_loop")
        if backup.found is None:
            backup.write(fit)
        else:  # there was nothing left to do
            backup.put_back(fit)
        return self

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Train on an epoch, or on the rest of one that was begun before."""
        backup = self._backup
        if backup is None or not training:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        backup.begin_epoch()
        batches = self._backed_up(iterator, backup)
        super().run_single_epoch(batches, training, prefix, step_fn, **fit_params)
        self.history.record(f"{prefix}_batch_count", backup.n_batches)

    def _backed_up(self, iterator: Any, backup: Backup) -> Iterator[Any]:
        """Batches of an epoch after those that were trained on before the interruption.

        A backup is made when all has been done with a batch, and the next one is asked for.
        """
        fit, batches = self._needs_fit("fit_loop"), iter(iterator)
        if backup.n_skipped:
            for _ in range(backup.n_skipped):
                next(batches)
            backup.put_back(fit)
            if self._average is not None:
                self._average.begin(self._averaged_modules())
        for batch in batches:
            yield batch
            backup.n_batches += 1
            backup.n_steps += 1
            if backup.is_due():
                backup.write(fit)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a callback method; before an epoch, put back what was found, or back up."""
        backup = self._backup
        if backup is None:
            super().notify(method_name, **cb_kwargs)
            return
        if method_name == "on_train_begin":
            backup.begin_training()
        elif method_name == "on_epoch_begin":
            self._before_epoch(backup)
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as error:
            backup.stopped = method_name == "on_epoch_end" and _is_raised_by(error, method_name)
            raise
        if method_name == "on_epoch_end":
            backup.n_epochs += 1
            backup.n_batches = 0

    def _before_epoch(self, backup: Backup) -> None:
        fit = self._needs_fit("fit_loop")
        backup.check_shapes()
        if backup.found is None:
            backup.write(fit)
        elif backup.n_skipped:
            backup.put_back_before_epoch(fit)
        else:
            backup.put_back(fit)


def _is_raised_by(error: BaseException, name: str) -> bool:
    """Whether a function of that name raised an error itself: so callbacks stop training."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_name == name
