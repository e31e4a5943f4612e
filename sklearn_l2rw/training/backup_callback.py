"""A callback that says where a fit is backed up, and when."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Literal

from skorch.callbacks import Callback


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
        parameters, callbacks, data, classes, architecture), one of another version of the package,
        or none that is whole. One that was cut short gives way to the one before, with a warning.

    Notes
    -----
    Backed up are parameters and buffers of modules and criteria, optimizers,
    averages, history, callbacks, weights of rows, the place among the clean batches, and the
    generators of torch, NumPy and Python that the fit draws from, global ones and those that
    parameters and Datasets hold; and of modules, optimizers and subclasses attributes that are
    numbers, arrays, tensors, or lists of such. Not kept is what else the user's objects know: other
    state of a Dataset or an iterator, that of ``persistent_workers``, and what of a callback cannot
    be pickled. Code is not looked at.

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
        params = net.get_params_for(f"callbacks__{name}")
        if isinstance(callback, BackupAndRestore):
            callback.set_params(**params)
            found.append(callback)
        elif isinstance(callback, type) and issubclass(callback, BackupAndRestore):
            found.append(callback(**params))
    if len(found) > 1:
        raise ValueError(f"Got {len(found)} callbacks BackupAndRestore, but expected one.")
    for callback in found:
        callback.check()
    return found[0] if found else None
