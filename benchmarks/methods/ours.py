"""L2RW, as an arm."""

from __future__ import annotations

from typing import Any

from benchmarks.methods.setting import Setting
from benchmarks.methods.training import n_epochs
from sklearn_l2rw import L2RWClassifier


def l2rw(
    setting: Setting, kind: type[L2RWClassifier] = L2RWClassifier, **more: Any
) -> L2RWClassifier:
    """Make L2RW with its defaults, but for what all arms share."""
    training = setting.training
    return kind(
        setting.factory,
        max_epochs=n_epochs(training.n_steps_ours, len(setting.task.y), training.batch_size),
        random_state=setting.seed,
        **training.settings(setting.lr, training.n_steps_ours, setting.device),
        **more,
    )
