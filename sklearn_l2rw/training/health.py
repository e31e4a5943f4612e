"""Signs that training has gone wrong, said once and with a remedy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

_ENOUGH_BATCHES = 10  # to judge by; on small data it takes several epochs
_FEW = 0.02  # of a batch, as an effective sample size
_MOST = 0.5  # of the batches
_FITTED = 1e-3  # of the clean loss that training began with
_STILL = 0.5  # of the training loss that training began with
_LONG = 100  # batches, after which the clean loss should have fallen
_STUCK = 0.99  # of the clean loss that training began with

_KEYS = ("train_loss", "clean_loss", "share", "zero")


class HealthCheck:
    """Watches the epochs of a fit, and warns at most once of each sign.

    Losses are judged by what they were at first, so that their scale does not matter. Weights on
    few examples, or on none, are no bad sign once there is nothing left to learn.

    Parameters
    ----------
    history : skorch.history.History
        What was trained before, where a fit is continued: the first losses stand there.
    """

    def __init__(self, history: Any = ()) -> None:
        self._batches: list[tuple[float, ...]] = []
        self._first: dict[str, float] = {}
        self._said: set[str] = set()
        self._n_batches = 0
        self._last_clean = 0.0  # as a share of what it was at first
        for epoch in history:
            if self._add(epoch["batches"]):
                self._first = self._means()
                break  # in a stream it is long, and more says nothing
        self._batches = []

    def epoch(self, rows: list[Mapping[str, Any]], number: int) -> None:
        """Look at the batches of an epoch, as they stand in skorch's history."""
        self._n_batches += len(rows)
        if not self._add(rows):
            return
        means = self._means()
        known, self._first = bool(self._first), self._first or means
        if known and min(self._first["clean_loss"], means["clean_loss"]) > 0:
            self._judge_losses(means, number)
        else:  # of losses that may be negative, shares mean nothing; at 0, all is learned
            self._judge_weights(means, float(means["clean_loss"] != 0), number)

    def _add(self, rows: list[Mapping[str, Any]]) -> bool:
        """Take in batches; tell whether there are enough to judge by."""
        self._batches += [
            (
                row["train_loss"],
                row["clean_loss"],
                row["effective_sample_size"] / row["train_batch_size"],
                row["zero_batches"],
            )
            for row in rows
            if "zero_batches" in row
        ]
        return len(self._batches) >= _ENOUGH_BATCHES

    def _means(self) -> dict[str, float]:
        """Mean over the batches since the last one; the share is that of batches with weights."""
        table = np.array(self._batches, dtype=np.float64)
        self._batches = []
        means = dict(zip(_KEYS, table.mean(0).tolist(), strict=True))
        weighed = table[:, 3] == 0
        means["share"] = float(table[weighed, 2].mean()) if weighed.any() else 1.0
        return means

    def _is_still(self, means: Mapping[str, float]) -> bool:
        """Tell whether there is still something to learn."""
        return means["train_loss"] > _STILL * self._first["train_loss"]

    def _judge_weights(self, means: Mapping[str, float], clean: float, number: int) -> None:
        if means["zero"] > _MOST and clean > 0.1:
            self._say(
                "zero",
                f"{means['zero']:.0%} of the batches up to epoch {number} had no example that "
                "reduces the clean loss, and taught nothing. Are the labels of the clean set and "
                "of y coded alike? Else use larger batches, or a lower lr.",
            )
        if means["share"] < _FEW and self._is_still(means):
            self._say(
                "few",
                f"Up to epoch {number} {means['share']:.1%} of a batch carried its weight (the "
                "effective sample size), so that steps are noisy. Use a larger clean set or "
                "larger batches, and keep gradient clipping and a low lr.",
            )

    def _judge_losses(self, means: Mapping[str, float], number: int) -> None:
        clean = self._last_clean = means["clean_loss"] / self._first["clean_loss"]
        self._judge_weights(means, clean, number)
        if clean < _FITTED and self._is_still(means):
            self._say(
                "fitted",
                f"The clean set is fitted: in epoch {number} its loss was "
                f"{means['clean_loss']:.2g}, while the weighted training loss was "
                f"{means['train_loss']:.2g}. It has nothing more to teach, and the weights are "
                "noise by now. Train for fewer epochs, stop early, or use a larger clean set.",
            )

    def end(self) -> None:
        """Look at what training came to."""
        if self._n_batches >= _LONG and self._last_clean > _STUCK:
            self._say(
                "stuck",
                f"The clean loss has not fallen in {self._n_batches} batches: nothing was learned. "
                "Lower lr if training has diverged, raise it or train longer if it has hardly "
                "begun, and scale the features.",
            )

    def classes(self, weights: NDArray[np.float64], labels: NDArray[Any]) -> None:
        """Look at the weights that the rows of each class got; NaN for rows not weighed."""
        if self._n_batches < _ENOUGH_BATCHES:
            return
        weighed = ~np.isnan(weights)
        names, codes = np.unique(labels[weighed], return_inverse=True)
        totals = np.bincount(codes, weights[weighed], minlength=len(names))
        ignored = names[totals == 0]
        if 0 < len(ignored) < len(names):
            self._say(
                "class",
                f"All training examples of the classes {ignored.tolist()} got weight 0 throughout, "
                "and nothing was learned from them. Are these classes in the clean set, with "
                "labels that are right? Are their labels in y?",
            )

    def _say(self, sign: str, text: str) -> None:
        if sign not in self._said:
            self._said.add(sign)
            warnings.warn(text, ConvergenceWarning, stacklevel=2)
