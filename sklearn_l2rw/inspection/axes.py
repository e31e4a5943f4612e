"""How displays look: their colours, the scale of weights, and the axes that they are drawn on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpecBase

# Colours of Okabe and Ito, which people with any kind of colour vision can tell apart; without
# their yellow, which is hard to see on white.
BLUE, VERMILLION = "#0072B2", "#D55E00"
COLORS = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#666666"
PALE = {BLUE: "#C6DFEE", VERMILLION: "#F6D9C6"}

# A legend above the axes hides no data, and in two columns fits above narrow ones. It takes
# loc="lower left" besides.
LEGEND_ABOVE: dict[str, Any] = {
    "bbox_to_anchor": (0, 1),
    "borderaxespad": 0.1,
    "frameon": False,
    "fontsize": 9,
    "ncols": 2,
    "handlelength": 1.5,
    "columnspacing": 1.5,
}

WEIGHT_LABEL = "example weight\n(1 is uniform; log scale above)"


def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the axes that were given, or those of a new figure of a size in inches."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=size, layout="constrained")
    elif not hasattr(ax, "get_subplotspec"):
        raise TypeError(
            f"Got ax of type {type(ax).__name__}, but expected a matplotlib Axes, or None for a "
            "new figure."
        )
    despine(ax)
    return ax


def figure_of(ax: Axes) -> Figure:
    """Return the figure of axes; a part of one, which may be in its place, works as one does."""
    return cast("Figure", ax.figure)


def grid_within(
    ax: Axes | None, shape: tuple[int, int], size: tuple[float, float]
) -> tuple[Figure, GridSpecBase]:
    """Return a grid of a new figure, or one that takes the place of the axes that were given."""
    given = ax is not None
    ax = axes_or_new(ax, size)
    figure, spec = figure_of(ax), ax.get_subplotspec()
    if spec is None:
        place = ax.get_position()
        sides = {"left": place.x0, "right": place.x1, "bottom": place.y0, "top": place.y1}
        spec = figure.add_gridspec(1, 1, **sides)[0, 0]
    if given:
        ax.set_axis_off()
    else:
        ax.remove()
    return figure, spec.subgridspec(*shape)


def despine(ax: Axes) -> None:
    """Take away the two sides of the frame that carry no scale."""
    ax.spines[["top", "right"]].set_visible(False)


def scale_weights(ax: Axes, side: Literal["x", "y"], upper: float) -> None:
    """Make an axis one of weights: linear up to 1, where zeros have their place, then in decades.

    Weights below the mean and tails a hundred times above it can both be read.
    """
    upper = max(1.3, upper * 1.1)
    ticks = [0.0, 0.5, *np.outer(10.0 ** np.arange(9), [1, 2, 5]).ravel()]
    ticks = [tick for tick in ticks if tick <= upper]
    if upper < 3:
        ticks = sorted([*ticks, 0.25, 0.75])
    elif upper > 200:  # where there are many decades, their ends do
        ticks = [tick for tick in ticks if tick <= 0.5 or np.log10(tick) % 1 == 0]
    axis = ax.xaxis if side == "x" else ax.yaxis
    getattr(ax, f"set_{side}scale")("symlog", linthresh=1)
    axis.set_ticks(ticks, [f"{tick:,g}" for tick in ticks])
    axis.set_ticks([], minor=True)
    ax.set(**{f"{side}lim": (-0.03, upper)})


def whole_ticks(axis: Axis) -> None:
    """Have ticks at whole numbers alone: there is no half an epoch, nor half a batch."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def as_share(value: float) -> str:
    """Write a share in per cent, such that one of almost nothing or almost all is told as such."""
    if 0 < value < 0.01 or 0.99 < value < 1:
        return f"{min(max(value, 0.001), 0.999):.1%}"
    return f"{value:.0%}"


def as_weight(value: float) -> str:
    """Write a weight, in two digits or all those before the point."""
    if value >= 9.95:
        return f"{value:,.0f}"
    return f"{value:#.2g}" if value >= 0.00995 else f"{value:.1g}"


def line_style(position: int) -> dict[str, Any]:
    """Colour and marker that tell a line from up to 27 others."""
    turn, color = divmod(position, len(COLORS))
    marker = (None, "o", "s", "^")[turn % 4]
    return {"color": COLORS[color], "marker": marker, "markersize": 4, "linewidth": 1.6}
