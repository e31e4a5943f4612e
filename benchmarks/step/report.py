"""Tables and verdicts of `benchmarks.bench_step`, from its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.step.fits import PARTIAL_FITS
from benchmarks.step.rivals import ARMS, RIVALS

Results = dict[str, Any]
Value = Callable[[Results], float | None]


def _of(net: str, arm: str, quantity: str = "ratio") -> Value:
    def value(results: Results) -> float | None:
        found: float | None = results["steps"].get(net, {}).get(arm, {}).get(quantity)
        return found

    return value


def _fit(results: Results) -> float | None:
    found: float | None = results["fits"].get("ours", {}).get("ratio")
    return found


def _partial_fit(net: str) -> Value:
    def value(results: Results) -> float | None:
        fits = results.get("partial_fits", {})  # results of before have none
        found: float | None = fits.get(net, {}).get("ours", {}).get("ratio")
        return found

    return value


def advantage(results: Results) -> float | None:
    """Time of the fastest rival over ours, on the net where this is least."""
    found = []
    for arms in results["steps"].values():
        rivals = [arms[name]["ms"] for name in RIVALS if name in arms]
        if rivals and "ours" in arms:
            found.append(min(rivals) / arms["ours"]["ms"])
    return min(found, default=None)


def overhead(results: Results) -> float | None:
    """Time of a step of the package's own over one of Algorithm 1, on the net where it is most."""
    both = [arms for arms in results["steps"].values() if {"ours", "ours:default"} <= arms.keys()]
    return max((arms["ours:default"]["ms"] / arms["ours"]["ms"] for arms in both), default=None)


def first_step(results: Results) -> float | None:
    """Time of a net's first step over a plain one, on the net where it is most."""
    found = (arms.get("ours", {}).get("first") for arms in results["steps"].values())
    return max((ratio for ratio in found if ratio is not None), default=None)


@dataclass(frozen=True)
class Figure:
    """What is to be reached: at most `now`, or at least, where more is better."""

    what: str
    value: Value
    now: float
    outstanding: float
    more: bool = False


FIRST = 5.0  # plain steps
FIGURES = (
    Figure("step, LeNet 100/10", _of("lenet-100-10", "ours"), 1.9, 1.6),
    Figure("step, LeNet 100/100", _of("lenet-100-100", "ours"), 2.5, 2.3),
    Figure("step, ResNet-32 100/10", _of("resnet32-100-10", "ours"), 2.2, 1.7),
    Figure("step, ResNet-32 100/100", _of("resnet32-100-100", "ours"), 3.0, 2.4),
    Figure("step, wide MLP 512/10", _of("wide-mlp-512-10", "ours"), 1.8, 1.5),
    Figure("step, 'last', ResNet-32 100/100", _of("resnet32-100-100", "ours:last"), 1.6, 1.4),
    Figure("step, the package's own over Algorithm 1, every net", overhead, 1.05, 1.0),
    Figure("whole fit, ours over skorch", _fit, 1.3, 1.0),
    *(
        Figure(f"partial_fit of 100 rows, {net}, ours over skorch", _partial_fit(net), 2.0, 1.5)
        for net in PARTIAL_FITS
    ),
    Figure("times faster than the fastest rival, every net", advantage, 1.7, 2.2, more=True),
    *(
        Figure(f"step, {net}", _of(net, "ours"), now, outstanding)
        for net, now, outstanding in (
            ("timm-resnet18-64-16", 1.7, 1.5),
            ("timm-convnext_atto-64-16", 1.7, 1.6),
            ("timm-vit_tiny-64-16", 1.8, 1.6),
            ("bert-32-8", 1.7, 1.6),
            ("timm-mobilenetv3_small-64-16", 2.0, 1.8),
            ("gru-64-10", 2.2, 1.8),
            ("transformer-64-10", 1.7, 1.5),
            ("mlp-128-10", 2.0, 1.7),
        )
    ),
    Figure("first step, every net", first_step, FIRST, 3.0),
    Figure("memory, ResNet-32 100/100", _of("resnet32-100-100", "ours", "memory_ratio"), 1.6, 1.2),
)


def verdicts(results: Results) -> list[dict[str, Any]]:
    """Of every figure, whether it is reached; `by` is how much is lacking."""
    found = []
    for figure in FIGURES:
        value = figure.value(results)
        verdict: dict[str, Any] = {"what": figure.what, "value": value, "now": figure.now}
        if value is None:
            found.append({**verdict, "status": "not measured"})
            continue
        sign = -1 if figure.more else 1
        if sign * value <= sign * figure.outstanding:
            found.append({**verdict, "status": "outstanding"})
        elif sign * value <= sign * figure.now:
            found.append({**verdict, "status": "met"})
        else:
            found.append({**verdict, "status": "missed", "by": sign * (value - figure.now)})
    return found


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _step_table(results: Results, quantity: str, unit: str) -> str:
    """Nets by arms: plain's number, and the ratios of the others to it."""
    steps = results["steps"]
    arms = [name for name in ARMS if any(name in found for found in steps.values())]
    rows = []
    for net, found in steps.items():
        cells = [f"{found['plain'][unit]:.3g}"]
        key = quantity
        cells += [f"{found[arm][key]:.2f}" if arm in found else "-" for arm in arms[1:]]
        rows.append([net, *cells])
    label = {"ms": "plain, ms", "memory_mb": "plain, MB"}[unit]
    return _table(["net", label, *arms[1:]], rows)


def _fit_table(fits: dict[str, dict[str, float]]) -> str:
    rows = [[name, f"{f['seconds']:.3g}", f"{f['ratio']:.2f}"] for name, f in fits.items()]
    return _table(["fit", "seconds", "over skorch"], rows)


def _verdict_line(verdict: dict[str, Any]) -> str:
    line = f"{verdict['status']}: {verdict['what']}"
    if verdict["value"] is None:
        return line
    line += f": {verdict['value']:.2f} (to reach: {verdict['now']})"
    return line + (f", missed by {verdict['by']:.2f}" if "by" in verdict else "")


def report(results: Results) -> str:
    """Everything, as Markdown."""
    where = results["gpu"] or f"{results['cpu']}, {results['cores']} cores"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    parts = [f"{where}, {results['threads']} threads; {versions}; {results['date']}"]
    if results["steps"]:
        parts += ["Time of a step over plain:", _step_table(results, "ratio", "ms")]
        ways = [
            f"{net} {found['ours']['way']}"
            for net, found in results["steps"].items()
            if "ours" in found
        ]
        parts += ["The way that 'ours' takes: " + ", ".join(ways)] if ways else []
        first = [
            f"{net} {found['ours']['first']:.1f} ({found['ours']['again']:.1f})"
            for net, found in results["steps"].items()
            if "first" in found.get("ours", {})
        ]
        if first:
            parts.append(
                "The first step of 'ours' over plain, in which the way is chosen (and that of the "
                "next net of the same architecture): " + ", ".join(first)
            )
        parts += ["Peak memory over plain:", _step_table(results, "memory_ratio", "memory_mb")]
    if results["fits"]:
        parts += ["Whole fits:", _fit_table(results["fits"])]
    for net, fits in results.get("partial_fits", {}).items():
        parts += [f"`partial_fit` of 100 rows, {net}:", _fit_table(fits)]
    parts.append("\n".join(_verdict_line(verdict) for verdict in results["verdicts"]))
    return "\n\n" + "\n\n".join(parts)
