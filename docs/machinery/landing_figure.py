"""The picture of the landing page: errors with wrong labels, from the committed results."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.reporting.figures import OURS
from benchmarks.reporting.stats import mean_and_error
from benchmarks.reporting.tables import Results

ARMS = {
    "unweighted": "plain training",
    "early_stopping": "early stopping",
    "cleanlab": "cleanlab",
    "fine_tuned_slowly": "fine-tuning, gently",
    "l2rw": "the paper's L2RW",
    "l2rw_default": "L2RWClassifier",
}
POINTS = {"uniform": "to any class", "background": "to one class"}


def draw(path: Path) -> None:
    """Draw bars by method, narrow enough to be read on a phone."""
    found = Results.read("noise-mnist", "cpu")
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 13}):
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for ax, (noise, words) in zip(axes, POINTS.items(), strict=True):
            point = {"noise": noise, "rate": 0.4}
            for place, arm in enumerate(reversed(ARMS)):
                mean, error = mean_and_error(list(found.seeds(arm, point, "error").values()))
                color = OURS if arm == "l2rw_default" else "#4477aa"
                ax.barh(place, mean, xerr=error, color=color, ecolor="#555555")
                ax.text(mean + error, place, f" {mean:.1f}", va="center")
            ax.set_yticks(range(len(ARMS)), list(reversed(ARMS.values())))
            ax.set_title(words, fontsize=13)
            ax.margins(x=0.2)
        figure.suptitle("40% of the labels wrong (MNIST)", fontsize=14)
        figure.supxlabel("test error, %", fontsize=13)
        figure.savefig(path, dpi=150, metadata={"Software": None})
