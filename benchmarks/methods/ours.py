"""L2RW as arms: this package's defaults, and the paper's step."""

from __future__ import annotations

from typing import Any

from benchmarks.methods.net import Net
from benchmarks.methods.setting import Setting
from benchmarks.methods.stages import FINE_TUNING, FineTunedAfter
from benchmarks.methods.training import n_epochs
from sklearn_l2rw import ALGORITHM_1, L2RWClassifier


def default(
    setting: Setting,
    kind: type[L2RWClassifier] = L2RWClassifier,
    *,
    share: float = 1.0,
    warm: float = 0.0,
    **more: Any,
) -> L2RWClassifier:
    """Make this package's estimator, but for what all arms share; for a share of its steps.

    `warm` is the share of its epochs in which rows are not weighed.
    """
    n_steps = round(share * setting.training.n_steps_ours)
    epochs = n_epochs(n_steps, len(setting.task.y), setting.training.batch_size)
    return kind(
        setting.factory,
        max_epochs=epochs,
        warm_up=round(warm * epochs),
        random_state=setting.seed,
        **setting.settings(n_steps),
        **more,
    )


def l2rw(setting: Setting, **more: Any) -> L2RWClassifier:
    """Make the paper's L2RW, its gradient bounded."""
    return default(setting, **{**ALGORITHM_1, "max_grad_norm": 1.0, **more})


def l2rw_fine_tuned_slowly(setting: Setting) -> Net:
    """Make L2RW, the last fifth of whose steps are plain ones on the clean set alone."""
    first = l2rw(setting, share=1 - FINE_TUNING)
    n_steps = round(FINE_TUNING * setting.training.n_steps_ours)
    return setting.net(FineTunedAfter, first=first, n_steps=n_steps)
