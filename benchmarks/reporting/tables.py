"""Results of an experiment, to be asked by arm and point; and Markdown of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.preset import Point
from benchmarks.experiments.training_run import next_lr
from benchmarks.methods import ARMS
from benchmarks.reporting import results
from benchmarks.reporting.stats import Difference, mean_and_error, mean_ranks, paired_difference

MORE_IS_BETTER = ("auroc", "auc", "average_precision", "f1")
TEST_OVER_TRAIN = {"imbalance-tabular": 1 / 4}  # five folds


class Results:
    """Measures of finished runs, by arm, point and seed.

    Where a run yields several scores, each is an arm: ``"l2rw: weights"``.
    """

    def __init__(self, name: str, preset: str, rows: Iterable[results.Row]) -> None:
        self.name = name
        self.preset = preset
        self.rows = list(rows)
        self.environments = [row for row in self.rows if row["kind"] == "environment"]
        dated = list(_with_environment(self.rows))
        self.tests = list(results.by_key(dated, "test").values())
        self.tunings = list(results.by_key(dated, "tune").values())
        self.failed = [row for row in self.tests if "failed" in row]
        self._found: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
        for row in self.tests:
            for arm, measures in _measures(row):
                at = self._found.setdefault((arm, _name(row["point"])), {})
                at[row["seed"]] = measures

    @classmethod
    def read(cls, name: str, preset: str, folder: Path = results.FOLDER) -> Results:
        """Read results of the preset as it is now."""
        digest = EXPERIMENTS[name].presets[preset].digest()
        return cls(name, preset, results.read(results.path_of(name, preset, folder), digest))

    @property
    def points(self) -> list[Point]:
        """Points that have results, in the order of the preset."""
        names = {point for _, point in self._found}
        preset = EXPERIMENTS[self.name].presets[self.preset]
        return [point for point in preset.points if _name(point) in names]

    @property
    def arms(self) -> list[str]:
        """Arms that have results, in the order of `ARMS`; ours come last."""
        found = {arm for arm, _ in self._found}
        order = list(ARMS)
        base = {arm: arm.partition(":")[0] for arm in found}
        return sorted(found, key=lambda a: (order.index(base[a]) if base[a] in order else 0, a))

    def seeds(self, arm: str, point: Point, measure: str) -> dict[int, float]:
        """Measure of an arm at a point, by seed."""
        runs = self._found.get((arm, _name(point)), {})
        return {seed: found[measure] for seed, found in runs.items() if measure in found}

    def n_runs(self, point: Point) -> int:
        """Runs of the arm that has most at a point."""
        return max((len(runs) for (_, at), runs in self._found.items() if at == _name(point)),
                   default=0)  # fmt: skip

    def mean(self, arm: str, point: Point, measure: str) -> float:
        """Mean over the seeds; nan where there are none."""
        values = list(self.seeds(arm, point, measure).values())
        return mean_and_error(values)[0] if values else float("nan")

    def best_rival(self, point: Point, measure: str) -> str | None:
        """Arm with the best mean among those that are not ours."""
        sign = -1 if measure in MORE_IS_BETTER else 1
        means = {arm: sign * self.mean(arm, point, measure) for arm in self.arms}
        rivals = {a: m for a, m in means.items() if not is_ours(a) and not np.isnan(m)}
        return min(rivals, key=lambda arm: rivals[arm]) if rivals else None

    def difference(self, arm: str, rival: str, point: Point, measure: str) -> Difference | None:
        """Paired difference of two arms."""
        pair = self.seeds(arm, point, measure), self.seeds(rival, point, measure)
        return paired_difference(*pair, TEST_OVER_TRAIN.get(self.name, 0.0))

    def ranks(self, measure: str) -> dict[str, float]:
        """Mean rank of each arm over the points."""
        table = {
            _name(point): {
                arm: self.mean(arm, point, measure)
                for arm in self.arms
                if self.seeds(arm, point, measure)
            }
            for point in self.points
        }
        return mean_ranks(table, measure not in MORE_IS_BETTER)


def _with_environment(rows: Iterable[results.Row]) -> Iterator[results.Row]:
    """Yield the rows, each with the environment that it was made in."""
    environment: results.Row = {}
    for row in rows:
        environment = row if row["kind"] == "environment" else environment
        yield {**row, "environment": environment}


def is_ours(arm: str) -> bool:
    """Whether an arm is L2RW."""
    return arm.startswith("l2rw")


def _name(point: Point) -> str:
    return json.dumps(point, sort_keys=True)


def _measures(row: results.Row) -> list[tuple[str, dict[str, float]]]:
    if "measures" in row:
        return [(row["arm"], row["measures"])]
    return [(f"{row['arm']}: {name}", found) for name, found in row.get("scores", {}).items()]


# -- Markdown ---------------------------------------------------------------------------------


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard error, or a dash."""
    if not values:
        return "-"
    mean, error = mean_and_error(values)
    return f"{mean:.{digits}f}" + ("" if np.isnan(error) else f" ± {error:.{digits}f}")


def measure_table(found: Results, measure: str, digits: int = 2, extra: Any = ()) -> str:
    """Arms by points; the best means are bold. ``extra`` rows, of the paper, come last."""
    label = EXPERIMENTS[found.name].labels
    best = [_best(found, point, measure, digits) for point in found.points]
    rows = []
    for arm in found.arms:
        cells = []
        for point, least in zip(found.points, best, strict=True):
            values = list(found.seeds(arm, point, measure).values())
            text = cell(values, digits)
            if 0 < len(values) < found.n_runs(point):
                text += f" ({_runs(len(values))})"
            is_best = round(found.mean(arm, point, measure), digits) == least
            cells.append(f"**{text}**" if is_best else text)
        rows.append([arm, *cells])
    header = [measure.replace("_", " "), *(label(point) for point in found.points)]
    return markdown(header, [*rows, *extra])


def _runs(n: int) -> str:
    return "1 run" if n == 1 else f"{n} runs"


def _best(found: Results, point: Point, measure: str, digits: int) -> float:
    """Best mean at a point, rounded as it is shown."""
    means = [found.mean(arm, point, measure) for arm in found.arms]
    choose = np.nanmax if measure in MORE_IS_BETTER else np.nanmin
    known = [mean for mean in means if not np.isnan(mean)]
    return round(float(choose(known)), digits) if known else float("nan")


def lr_table(found: Results) -> str:
    """Learning rates that were chosen for each arm, and how often; a star is at an edge."""
    chosen: dict[str, Counter[str]] = {}
    for row in found.tunings:
        star = "\\*" if next_lr(row["held_out"]) else ""
        chosen.setdefault(row["arm"], Counter())[f"{row['lr']:g}{star}"] += 1
    texts = {
        arm: ", ".join(f"{lr} ({n})" if len(lrs) > 1 else lr for lr, n in lrs.most_common())
        for arm, lrs in chosen.items()
    }
    order = [arm for arm in found.arms if arm in texts] + sorted(set(texts) - set(found.arms))
    return markdown(["arm", "learning rate"], [[arm, texts[arm]] for arm in order])


def difference_table(found: Results, measure: str, digits: int = 2) -> str:
    """Each of our arms less the best rival, at each point, with the interval."""
    label = EXPERIMENTS[found.name].labels
    rows = []
    for point in found.points:
        rival = found.best_rival(point, measure)
        for arm in filter(is_ours, found.arms):
            if rival is None or not found.seeds(arm, point, measure):
                continue
            difference = found.difference(arm, rival, point, measure)
            text = "-"
            if difference is not None:
                mean, low, high = (
                    f"{value:+.{digits}f}"
                    for value in (difference.mean, difference.low, difference.high)
                )
                text = f"{mean} [{low}, {high}]"
            rows.append([label(point), arm, rival, text])
    return markdown(["", "ours", "best rival", "difference, 95% interval"], rows) if rows else ""


def rank_table(found: Results, measure: str) -> str:
    """Mean ranks, the best first."""
    ranks = found.ranks(measure)
    order = sorted(ranks, key=lambda arm: ranks[arm])
    return markdown(["arm", "mean rank"], [[arm, f"{ranks[arm]:.1f}"] for arm in order])
