"""Figures that pages quote: a mean with its error is one of an experiment that the page names.

A paragraph or table after ``<!-- measured by: COMMAND -->`` is of a command that keeps no results.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import numpy as np

from benchmarks.experiments import EXPERIMENTS
from benchmarks.report import SHOWN
from benchmarks.reporting import results
from benchmarks.reporting.stats import mean_and_error
from benchmarks.reporting.tables import Results

PAIR = re.compile(r"(?P<mean>-?\d+(?:\.\d+)?) ± (?P<error>\d+(?:\.\d+)?)")
_NOT_LOOKED_AT = re.compile(
    r"^(`{3,}|~{3,}).*?^\1|^<!-- measured by: .+? -->\n+.*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE
)


@cache
def found(name: str) -> tuple[tuple[float, float], ...]:
    """Mean and error of every arm at every point, in every measure, of an experiment."""
    pairs: list[tuple[float, float]] = []
    for preset in EXPERIMENTS[name].presets:
        if preset in SHOWN and results.path_of(name, preset).exists():
            pairs += _pairs(Results.read(name, preset))
    return tuple(pairs)


def _pairs(read: Results) -> Iterator[tuple[float, float]]:
    measures = {name for row in read.tests for name in row.get("measures", {})}
    measures |= {n for row in read.tests for s in row.get("scores", {}).values() for n in s}
    for arm in read.arms:
        for point in read.points:
            for measure in measures:
                values = list(read.seeds(arm, point, measure).values())
                if values:
                    yield mean_and_error(values)


def _slack(text: str) -> float:
    """Half a unit of the last digit, and what a table of two digits has rounded before."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2]) + 0.005001


def strangers(text: str) -> list[str]:
    """Find means with errors, outside of code, that no experiment named on the page has."""
    pairs = [pair for name in EXPERIMENTS if name in text for pair in found(name)]
    means, errors = np.array(pairs).reshape(-1, 2).T
    unknown = []
    for match in PAIR.finditer(_NOT_LOOKED_AT.sub("", text)):
        mean, error = match["mean"], match["error"]
        near = np.abs(means - float(mean)) <= _slack(mean)
        near &= np.abs(errors - float(error)) <= _slack(error)
        if not near.any():
            unknown.append(match[0])
    return unknown
