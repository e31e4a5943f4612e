"""Arms that change how often examples are seen: imbalanced-learn's samplers before the net."""

from __future__ import annotations

from typing import Any

from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler

from benchmarks.methods.setting import Setting


def _neighbors(setting: Setting) -> int:
    """Give the default of all, 5, or fewer where the rarest class has fewer."""
    return max(1, min(5, setting.n_rarest - 1))


def _sampler(name: str, setting: Setting) -> Any:
    seed, k = setting.seed, _neighbors(setting)
    smote = SMOTE(random_state=seed, k_neighbors=k)
    samplers = {
        "random_undersampled": lambda: RandomUnderSampler(random_state=seed),
        "random_oversampled": lambda: RandomOverSampler(random_state=seed),
        "smote": lambda: smote,
        "borderline_smote": lambda: BorderlineSMOTE(random_state=seed, k_neighbors=k),
        "adasyn": lambda: ADASYN(random_state=seed, n_neighbors=k),
        "smoteenn": lambda: SMOTEENN(random_state=seed, smote=smote),
        "smotetomek": lambda: SMOTETomek(random_state=seed, smote=smote),
    }
    return samplers[name]()


def resampled(setting: Setting, *, sampler: str) -> Any:
    """Make an imbalanced-learn Pipeline of a sampler and the net."""
    return Pipeline([("sampler", _sampler(sampler, setting)), ("net", setting.net())])
