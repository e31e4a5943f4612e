"""How far a reader has to travel: calls inside the package during one `fit`, and changes of file.

``python -m benchmarks.trace_calls`` fits a small perceptron on arrays, with a pair as clean set. It
counts calls of functions that the package defines, how often a call is of another file than the
one before it, and how often X is converted. Lambdas and comprehensions are no functions here; a
generator that goes on counts as called once more. A step lasts from skorch's `on_batch_begin` to
its `on_batch_end`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from skorch import NeuralNet

import sklearn_l2rw
from sklearn_l2rw import L2RWClassifier

PACKAGE = str(Path(sklearn_l2rw.__file__).parent)
# Changes of file from `fit` to the first step, and in a step; they have to be below. The paper's
# step alone took 59 and 24: clean term, scale of slopes and mean have files of their own.
MOST_BEFORE_STEP = 63
MOST_IN_STEP = 52
MOST_CONVERSIONS = 1  # of X in a fit
# Functions of the package that convert arrays; one that another of them calls is not counted.
CONVERSIONS = ("as_inputs", "_as_array", "to_numpy", "for_torch")
N_ROWS, N_CLEAN, BATCH_SIZE = 240, 12, 40


class Call(NamedTuple):
    """A call of a function of the package: its file, below the package, and its name."""

    file: str
    function: str


@dataclass
class Trace:
    """Calls of a fit, and where among them the steps are.

    ``steps`` are the numbers of calls before and after each training step. ``converted`` are the
    shapes of what was converted.
    """

    calls: list[Call] = field(default_factory=list)
    before_first_step: int | None = None
    steps: list[tuple[int, int]] = field(default_factory=list)
    converted: list[tuple[int, ...]] = field(default_factory=list)


class Tracer:
    """Profile function for `sys.setprofile` that fills a trace."""

    def __init__(self, conversions: Collection[str] = CONVERSIONS) -> None:
        self.trace = Trace()
        self._conversions = conversions
        self._converting: FrameType | None = None
        self._step_began = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a call or a return."""
        if event == "call":
            self._called(frame)
        elif event == "return":
            if frame is self._converting:
                self._converting = None
            if _notifies(frame, "on_batch_end"):
                self.trace.steps.append((self._step_began, len(self.trace.calls)))

    def _called(self, frame: FrameType) -> None:
        code, trace = frame.f_code, self.trace
        if code.co_name == "train_step_single" and trace.before_first_step is None:
            trace.before_first_step = len(trace.calls)
        if _notifies(frame, "on_batch_begin"):
            self._step_began = len(trace.calls)
        if not code.co_filename.startswith(PACKAGE) or code.co_name.startswith("<"):
            return
        trace.calls.append(Call(code.co_filename[len(PACKAGE) + 1 :], code.co_name))
        if code.co_name in self._conversions and self._converting is None:
            self._converting = frame
            given = next(iter(frame.f_locals.values()), None)
            trace.converted.append(tuple(getattr(given, "shape", ())))


def _notifies(frame: FrameType, event: str) -> bool:
    """Tell whether a frame is skorch's call of the callbacks for an event in training."""
    if frame.f_code is not NeuralNet.notify.__code__:
        return False
    given = frame.f_locals
    return given["method_name"] == event and bool(given["cb_kwargs"].get("training"))


def trace_call(function: Callable[[], Any], conversions: Collection[str] = CONVERSIONS) -> Trace:
    """Trace what a function does."""
    tracer = Tracer(conversions)
    before = sys.getprofile()
    sys.setprofile(tracer)
    try:
        function()
    finally:
        sys.setprofile(before)
    return tracer.trace


def changes_of_file(calls: list[Call]) -> int:
    """Count calls of another file than the call before."""
    return sum(a.file != b.file for a, b in pairwise(calls))


def make_fit() -> tuple[Callable[[], Any], tuple[int, ...]]:
    """A fit of two epochs, and the shape of its X."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(N_ROWS + N_CLEAN, 20))
    y = (X[:, 0] > 0).astype(int)
    clean_set = X[N_ROWS:], y[N_ROWS:]
    net = L2RWClassifier(
        clean_set=clean_set, max_epochs=2, batch_size=BATCH_SIZE, verbose=0, random_state=0
    )
    return lambda: net.fit(X[:N_ROWS], y[:N_ROWS]), (N_ROWS, 20)


def measure(conversions: Collection[str] = CONVERSIONS) -> tuple[dict[str, list[Call]], int]:
    """Calls from `fit` to the first step and of a step in the second epoch; conversions of X."""
    make_fit()[0]()  # what is imported at need is imported now
    fit, shape = make_fit()
    trace = trace_call(fit, conversions)
    if not trace.converted:
        raise ValueError(
            f"Got conversions={', '.join(conversions)}, but expected names of functions that a "
            "fit calls."
        )
    begin, end = trace.steps[len(trace.steps) * 3 // 4]
    parts = {
        "from fit to the first step": trace.calls[: trace.before_first_step],
        "a step of the second epoch": trace.calls[begin:end],
    }
    return parts, trace.converted.count(shape)


def report(parts: dict[str, list[Call]], n_conversions: int) -> tuple[str, bool]:
    """Table, and whether all bounds are kept."""
    lines = [f"{'':30}{'files':>8}{'calls':>8}{'changes of file':>18}{'bound':>8}"]
    kept = n_conversions <= MOST_CONVERSIONS
    for (name, calls), most in zip(parts.items(), (MOST_BEFORE_STEP, MOST_IN_STEP), strict=True):
        files, changes = len({call.file for call in calls}), changes_of_file(calls)
        lines.append(f"{name:30}{files:8}{len(calls):8}{changes:18}{f'< {most}':>8}")
        kept &= changes < most
    lines.append(
        f"{'conversions of X in the fit':30}{n_conversions:34}{f'<= {MOST_CONVERSIONS}':>8}"
    )
    return "\n".join(lines), kept


def listing(calls: list[Call]) -> str:
    """Calls in order, a line for each stay in a file."""
    lines: list[str] = []
    file = None
    for call in calls:
        if call.file == file:
            lines[-1] += f", {call.function}"
        else:
            lines.append(f"  {call.file}: {call.function}")
        file = call.file
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Trace, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="fail if a bound is missed")
    parser.add_argument("--list", action="store_true", help="print the calls as well")
    parser.add_argument(
        "--conversions", nargs="+", default=CONVERSIONS, metavar="NAME", help="functions to count"
    )
    args = parser.parse_args(arguments)
    parts, n_conversions = measure(args.conversions)
    if args.list:
        for name, calls in parts.items():
            print(f"{name}:\n{listing(calls)}\n")
    table, kept = report(parts, n_conversions)
    print(table)
    return int(args.check and not kept)


if __name__ == "__main__":
    raise SystemExit(main())
