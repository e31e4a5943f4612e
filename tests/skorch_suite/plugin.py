"""Pytest plugin: our nets take the place of skorch's in its tests, and what passes is kept.

skorch's own pytest cache holds what fails (``cache/lastfailed``) and all that there is
(``cache/nodeids``).
"""

from __future__ import annotations

import pytest
import skorch
import skorch.classifier

from . import nets

PASSED: list[str] = []

# Where tests import them from; within skorch, the names are those of the classes that ours
# inherit. What nets of any kind do is skorch.NeuralNet's, which tests patch, and stays.
_REPLACED = {
    skorch: ("NeuralNetClassifier", "NeuralNetBinaryClassifier", "NeuralNetRegressor"),
    skorch.classifier: ("NeuralNetBinaryClassifier",),
}


def pytest_configure() -> None:
    """Put our nets in the place of skorch's, where this is a plugin and no module to look at."""
    for module, names in _REPLACED.items():
        for name in names:
            setattr(module, name, vars(nets)[name])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the name of a test that passes."""
    if report.when == "call" and report.passed:
        PASSED.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave the names in pytest's cache."""
    cache = session.config.cache
    assert cache is not None
    cache.set("cache/passed", PASSED)
