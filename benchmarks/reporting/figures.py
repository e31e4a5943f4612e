"""Figures of the results, one a file, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.experiments.label_errors import LARGEST, N_BINS
from benchmarks.reporting import paper
from benchmarks.reporting.stats import mean_and_error
from benchmarks.reporting.tables import Results, is_ours

COLORS = (
    "#4477aa", "#117733", "#882255", "#ddaa33", "#000000", "#66ccee", "#aa4499", "#999933",
    "#332288", "#bbbbbb", "#44aa99", "#8b5a2b",
)  # fmt: skip
OURS = "#ee6677"
HUMAN_RATES = {"aggre": 9.0, "random1": 17.2, "worse": 40.2}  # Wei et al. (2022), table 1
Curves = Mapping[str, Sequence[float]]


def draw(found: Results, folder: Path) -> list[Path]:
    """Draw the figures of an experiment; returns their files. An ablation is a table alone."""
    drawings = {} if found.preset == "ablation" else DRAWINGS.get(found.name, {})
    paths = []
    for suffix, drawing in drawings.items():
        figure = drawing(found)
        if figure is None:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{found.name}-{found.preset}{suffix}.png"
        figure.savefig(path, dpi=160, metadata={"Software": None})
        paths.append(path)
    return paths


def _style(arm: str, arms: Sequence[str]) -> dict[str, Any]:
    """Color and line of an arm in a figure of some arms, no two of which look the same."""
    if is_ours(arm):
        dashes = {
            "l2rw_last": "--", "l2rw_bare": "-.", "l2rw_averaged": ":",
            "l2rw_composed_averaged": (0, (5, 1, 1, 1, 1, 1)),
        }  # fmt: skip
        return {"color": OURS, "linewidth": 2.2, "zorder": 3, "linestyle": dashes.get(arm, "-")}
    rivals = [other for other in arms if not is_ours(other)]
    return {"color": COLORS[rivals.index(arm) % len(COLORS)], "linewidth": 1.2}


WIDTH = 5.4  # inches, so that letters can be read on a phone


def _axes() -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, 5.6), layout="constrained")
    return figure, figure.add_subplot()


def _lines(
    ax: Any, found: Results, xs: Mapping[float, Any], measure: str, transform: Any = float
) -> None:
    """Draw a curve for each arm, over x by point, with standard errors."""
    markers = "os^vDPX<>*"
    for number, arm in enumerate(found.arms):
        runs = {x: list(found.seeds(arm, point, measure).values()) for x, point in xs.items()}
        runs = {x: [transform(v) for v in values] for x, values in runs.items() if values}
        if not runs:
            continue
        means, errors = zip(*(mean_and_error(values) for values in runs.values()), strict=True)
        marker = markers[number % len(markers)]
        ax.errorbar(list(runs), means, np.nan_to_num(errors), marker=marker, markersize=5,
                    label=arm, **_style(arm, found.arms))  # fmt: skip


def _papers(ax: Any, found: Results, xs: Sequence[float], curves: Curves, data: str = "") -> None:
    """Draw the paper's curves of arms that have results."""
    for arm, values in curves.items():
        if arm in found.arms:
            style = {**_style(arm, found.arms), "linestyle": ":"}
            ax.plot(xs, values, label=f"{arm}, paper{data}", **style)


def _legend(ax: Any) -> None:
    ax.figure.legend(fontsize=8, loc="outside lower center", ncols=2, frameon=False)
    ax.grid(alpha=0.3)


def imbalance(found: Results) -> Figure:
    """Error against the share of the frequent class, the paper's curves dotted."""
    figure, ax = _axes()
    _lines(ax, found, {p["majority"] / (1 - p["majority"]): p for p in found.points}, "error")
    shares = np.array(paper.IMBALANCE_SHARES)
    shown = ("unweighted", "class_weighted", "l2rw")
    _papers(ax, found, shares / (1 - shares), {arm: paper.IMBALANCE_ERRORS[arm] for arm in shown})
    ax.set(xscale="log", yscale="log", xlabel="nines for each four", ylabel="test error, %")
    _legend(ax)
    return figure


def _accuracy(error: float) -> float:
    return 100 - error


def noise(found: Results) -> Figure | None:
    """Accuracy against the rate of uniform noise."""
    points = {p["rate"]: p for p in found.points if p["noise"] == "uniform"}
    figure, ax = _axes()
    _lines(ax, found, points, "error", _accuracy)
    ax.set(xlabel="share of wrong labels, uniform", ylabel="test accuracy, %")
    _legend(ax)
    return figure if points else None


def human(found: Results) -> Figure:
    """Accuracy against the share of labels that people got wrong."""
    figure, ax = _axes()
    points = {HUMAN_RATES[p["noise"]]: p for p in found.points}
    _lines(ax, found, points, "error", _accuracy)
    ax.set(xlabel="wrong labels, %, by people", ylabel="test accuracy, %")
    _legend(ax)
    return figure


def clean_size(found: Results) -> Figure:
    """Accuracy against the number of clean examples."""
    figure, ax = _axes()
    _lines(ax, found, {p["n_clean"]: p for p in found.points}, "error", _accuracy)
    _papers(ax, found, paper.CLEAN_SIZES, paper.CLEAN_SIZE_ACCURACIES, ": CIFAR-10")
    ax.set(xscale="log", xlabel="clean examples", ylabel="test accuracy, %")
    _legend(ax)
    return figure


def noise_and_imbalance(found: Results) -> Figure:
    """Accuracy against the rate of labels flipped to one class."""
    figure, ax = _axes()
    _lines(ax, found, {p["rate"]: p for p in found.points}, "error", _accuracy)
    _papers(ax, found, paper.NOISE_RATES, paper.NOISE_ACCURACIES, ": CIFAR-10")
    ax.set(xlabel="share flipped to one class", ylabel="test accuracy, %")
    _legend(ax)
    return figure


def ranks(found: Results) -> Figure:
    """Mean rank of each arm over the data sets."""
    means = found.ranks("balanced_error")
    order = sorted(means, key=lambda arm: -means[arm])
    figure, ax = _axes()
    colors = [OURS if is_ours(arm) else COLORS[0] for arm in order]
    ax.barh(order, [means[arm] for arm in order], color=colors)
    ax.set(xlabel="mean rank by balanced error, 1 is best")
    ax.tick_params(axis="y", labelsize=8)
    return figure


def scaling(found: Results) -> Figure:
    """Time and memory against the number of rows."""
    figure = Figure(figsize=(WIDTH, 7), layout="constrained")
    names = {"cpu_time": "fit, seconds of the processor", "memory": "memory beyond the data, MB"}
    for ax, (measure, name) in zip(figure.subplots(2), names.items(), strict=True):
        _lines(ax, found, {p["rows"]: p for p in found.points}, measure)
        ax.set(xscale="log", yscale="log", xlabel="rows", ylabel=name)
        ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure


def label_errors(found: Results) -> Figure:
    """AUROC of each score, at each kind and rate of noise."""
    figure, ax = _axes()
    names = [f"{100 * p['rate']:.0f}%\n{p['noise']}" for p in found.points]
    width = 0.8 / max(1, len(found.arms))
    for number, arm in enumerate(found.arms):
        heights = [found.mean(arm, point, "auroc") for point in found.points]
        x = np.arange(len(names)) + (number - (len(found.arms) - 1) / 2) * width
        ax.bar(x, heights, width, label=arm, color=COLORS[number % len(COLORS)])
    ax.set(xticks=range(len(names)), xticklabels=names, ylabel="AUROC", ylim=(0.4, 1))
    _legend(ax)
    return figure


def weights(found: Results) -> Figure | None:
    """Learned weights of right and wrong labels, at each point."""
    histograms: dict[str, Any] = {}
    for row in found.tests:
        if row["arm"] == "l2rw" and "histogram" in row:
            name = f"{100 * row['point']['rate']:.0f}% {row['point']['noise']}"
            histograms.setdefault(name, row["histogram"])
    if not histograms:
        return None
    n_rows = -(-len(histograms) // 2)
    figure = Figure(figsize=(WIDTH, 2.4 * n_rows), layout="constrained")
    edges = np.linspace(0, LARGEST, N_BINS + 1)
    grid = [figure.add_subplot(n_rows, 2, k + 1) for k in range(len(histograms))]
    for ax, (name, counts) in zip(grid, histograms.items(), strict=True):
        for part, color in (("right", COLORS[0]), ("wrong", OURS)):
            density = np.array(counts[part]) / max(1, sum(counts[part]))
            ax.stairs(density, edges, label=f"{part} labels", color=color, fill=True, alpha=0.5)
        ax.set(title=name, xlabel="mean weight")
    for ax in grid[::2]:
        ax.set_ylabel("share of examples")
    grid[-1].legend(fontsize=8)
    return figure


DRAWINGS: dict[str, dict[str, Any]] = {
    "imbalance-mnist": {"": imbalance},
    "imbalance-tabular": {"": ranks},
    "noise-mnist": {"": noise},
    "noise-cifar": {"": noise},
    "noise-human": {"": human},
    "clean-size": {"": clean_size},
    "noise-and-imbalance": {"": noise_and_imbalance},
    "scaling": {"": scaling},
    "label-errors": {"": label_errors, "-weights": weights},
}
