"""The figure of the demo: errors by arm, and the weights that right and flipped examples get."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from benchmarks.data.task import Task


def draw(rows: list[dict[str, Any]], task: Task, path: str) -> None:
    """Draw errors by arm for each problem, and the weights of the examples of one.

    ``task`` is the last problem's split of seed 0, and the weights are those of L2RW's run on it.
    """
    from matplotlib.figure import Figure

    problems = list(dict.fromkeys(row["problem"] for row in rows))
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(13, 4), layout="constrained")
        axes = figure.subplots(1, len(problems) + 1, width_ratios=[1] * len(problems) + [1.2])
        for ax, problem in zip(axes, problems, strict=False):
            _draw_errors(ax, problem, [row for row in rows if row["problem"] == problem])
        (weights,) = [
            row["weights"]
            for row in rows
            if (row["problem"], row["arm"], row["seed"]) == (problems[-1], "l2rw_default", 0)
        ]
        _draw_weights(axes[-1], np.array(weights), task, problems[-1])
        figure.savefig(path, dpi=120)


def _draw_errors(ax: Any, problem: str, rows: list[dict[str, Any]]) -> None:
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    for place, arm in enumerate(reversed(arms)):
        errors = [row["error"] for row in rows if row["arm"] == arm]
        color = "C3" if arm == "l2rw_default" else "C0"
        ax.barh(place, np.mean(errors), color=color, alpha=0.35)
        ax.scatter(errors, [place] * len(errors), color=color, s=12, zorder=3)
    ax.set_yticks(range(len(arms)), list(reversed(arms)))
    ax.set_xlabel("test error, % (dots: splits)")
    ax.set_title(problem)
    ax.set_xlim(left=0)


def _draw_weights(ax: Any, weights: NDArray[Any], task: Task, problem: str) -> None:
    flipped = task.y != task.y_true
    # A flipped four is labelled nine: its true class is the other one.
    groups = {
        f"{digit}, {state}": (task.y == code) & (flipped == (state == "flipped"))
        for code, digit in enumerate(("4", "9"))
        for state in ("right", "flipped")
    }
    random = np.random.RandomState(0)
    for place, (name, members) in enumerate(groups.items()):
        color = "C3" if name.endswith("flipped") else "C2"
        jitter = place + random.uniform(-0.25, 0.25, members.sum())
        ax.scatter(jitter, weights[members], color=color, s=10, alpha=0.5)
        if members.any():
            ax.hlines(weights[members].mean(), place - 0.35, place + 0.35, color="black")
    ax.axhline(1, color="grey", linewidth=0.8, linestyle=":")
    ax.set_yscale("symlog", linthresh=1)
    ax.set_yticks([0, 0.5, 1, 2, 4, 8, 16], ["0", "0.5", "1", "2", "4", "8", "16"])
    ax.set_ylim(-0.1, 1.3 * weights.max())
    counts = [f"{name}\n(n={members.sum()})" for name, members in groups.items()]
    ax.set_xticks(range(len(groups)), counts, fontsize=8)
    ax.set_xlabel("label given, and whether it is right")
    ax.set_ylabel("mean weight (1: uniform; line: mean)")
    ax.set_title(f"learned weights: {problem}")
