"""A small case for the tests of a step, and arms that can be run here."""

from __future__ import annotations

from functools import partial

import pytest

from benchmarks.nets.small import MLP
from benchmarks.step.cases import Case, draw, setting
from benchmarks.step.rivals import Setting

PACKAGES = {"higher": "higher", "torchopt": "torchopt", "betty": "betty"}


TINY = Case(partial(MLP, 4, 3, (5, 6)), (4,), 3, 12, 7, rounds=2)


# Packages that are no longer maintained warn of what is going to be removed.
others_may_warn = pytest.mark.filterwarnings("ignore")


def installed(name: str) -> str:
    """Name of an arm; the test is skipped if its package is missing."""
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    return name


def tiny_setting() -> Setting:
    return setting(TINY, *draw(TINY, "cpu"))
