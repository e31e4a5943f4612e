"""What a fit holds while it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data.batches import Positions
from ..data.examples import Examples
from ..data.sample_weight import Weight, mean_one
from ..meta_gradient.processes import ALONE, Alone
from .epoch_log import EpochLog
from .health import HealthCheck
from .recording import RowRecord
from .reweighting import Reweighting


class Fit:
    """All that a fit holds while it lasts.

    Parameters
    ----------
    n_rows : int
        Number of rows that were given.
    rows : ndarray
        Which of them are trained on.
    examples, clean : Examples
        Those that are trained on, and the clean ones.
    weight, clean_weight : ndarray or None
        What each of these counts, with a mean of 1; None for all the same.
    record : RowRecord or None
        Weights by row; None where they are not kept.
    cold : bool
        Whether training begins with new parameters.
    """

    health: HealthCheck  # since training began
    processes: Alone = ALONE  # that the batches are shared out among

    def __init__(
        self,
        n_rows: int,
        rows: Positions,
        examples: Examples,
        clean: Examples,
        weights: tuple[Weight | None, Weight | None],
        record: RowRecord | None,
        *,
        cold: bool,
    ) -> None:
        self.n_rows = n_rows
        self.rows = rows
        self.examples = examples
        self.clean = clean
        self.weight, self.clean_weight = (None if w is None else mean_one(w) for w in weights)
        self.record = record
        self.cold = cold
        self.trained: Any = None  # what can be iterated over again, to see all that is trained on
        self.fit_params: Mapping[str, Any] = {}
        self.base: Any = None  # data set of all rows, before it is split
        self.dataset: Any = None  # what is left of it to train on; None once it is iterated over
        # made at the first step, when callbacks have had their say
        self.reweighting: Reweighting | None = None
        self.least_batch: int | None = None  # its number of examples, where it is known
        self.clips_itself = False  # a callback of the user's bounds the update
        self.log: EpochLog | None = None  # of the epoch that is under way
