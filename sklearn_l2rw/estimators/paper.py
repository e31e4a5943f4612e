"""The paper's algorithm as a setting of the estimators."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

ALGORITHM_1: MappingProxyType[str, Any] = MappingProxyType(
    {"clean_loss_weight": 0.0, "scale_slopes": False, "average": None, "max_grad_norm": None}
)
"""Parameters with which a step is Algorithm 1 of Ren et al. (2018), and nothing else.

Examples
--------
>>> from sklearn_l2rw import ALGORITHM_1, L2RWClassifier
>>> net = L2RWClassifier(clean_set=20, **ALGORITHM_1)
>>> net.clean_loss_weight, net.average
(0.0, None)

"""
