"""What a pickle of an estimator holds."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning

from ..training.net import Net
from ..training.recording import RECORDED

VERSION = version("sklearn_l2rw")
_KEY = "_sklearn_l2rw_version"
_OF_TRAINING = (
    "clean_set_",
    "clean_sample_weight_",
    "clean_indices_",
    "clean_position_",
    "generator_states_",
    "_chooser",
    *RECORDED,
)


class Pickled(Net):
    """Pickles that know their version, and what `trim_for_prediction` takes out of them."""

    clean_set: Any
    callbacks: Any

    def __getstate__(self) -> Any:
        return {**super().__getstate__(), _KEY: VERSION}

    def __setstate__(self, state: Any) -> None:
        state = dict(state)
        written = state.pop(_KEY, "unknown")
        if written != VERSION:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=f"sklearn_l2rw {VERSION}",
                    original_sklearn_version=f"sklearn_l2rw {written}",
                ),
                stacklevel=2,
            )
        super().__setstate__(state)

    def trim_for_prediction(self) -> None:
        """Leave out what training alone needs: rows, weights of rows, optimizer, callbacks.

        What is left holds no row of X or of the clean set, `clean_set` being None, and can be
        pickled and shared, as far as a net's parameters can be. It predicts as before, and cannot
        be trained. There is no way back: make a copy before, ``copy.deepcopy(net)``.
        """
        if isinstance(self.callbacks, list):
            self.callbacks = [*self.callbacks]  # skorch empties it, and it is the user's
        names = [name for kind in self._criteria for name in (kind, f"{kind}_")]
        criteria = {name: value for name, value in self.__dict__.items() if name in names}
        super().trim_for_prediction()
        self.__dict__.update(criteria)  # they tell what the module's output means
        self.clean_set = None
        for name in _OF_TRAINING:
            self.__dict__.pop(name, None)
