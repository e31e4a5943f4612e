"""Tables and figures of the results: ``python -m benchmarks.report``.

Writes a page for each experiment that has results, with its figures, into ``docs/results``, which
git ignores: so the pages cannot differ from the results. ``--print NAME`` shows one preset instead.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.experiments import EXPERIMENTS
from benchmarks.reporting import figures, paper, results
from benchmarks.reporting.tables import (
    MORE_IS_BETTER,
    Results,
    difference_table,
    lr_table,
    markdown,
    measure_table,
    rank_table,
)

PAGES = Path(__file__).parents[1] / "docs" / "results"
SHOWN = ("cpu", "ablation", "cpu_long", "paper", "paper_wide")  # presets that pages report
MORE = {
    "imbalance-mnist": ("auc", "brier", "f1", "cpu_time"),
    "imbalance-tabular": ("auc", "average_precision", "brier", "f1", "cpu_time"),
    "noise-mnist": ("auc", "brier", "cpu_time"),
    "noise-cifar": ("auc", "brier", "cpu_time"),
    "noise-human": ("auc", "brier", "cpu_time"),
    "clean-size": ("cpu_time",),
    "noise-and-imbalance": ("f1", "brier", "cpu_time"),
    "scaling": ("fit_time", "memory"),
    "label-errors": ("average_precision", "cpu_time"),
}
NAMES = {
    "error": "test error in %",
    "balanced_error": "balanced error in %",
    "auc": "AUC",
    "auroc": "AUROC of the wrong labels",
    "average_precision": "average precision",
    "brier": "Brier score",
    "f1": "macro F1",
    "rise": "rise of the error from its least one during a fit to the last, of 2,000 images, in %",
    "fit_time": "fit time in seconds",
    "cpu_time": "processor time of a fit in seconds",
    "memory": "memory in MB beyond what was there before the fit",
}
DIGITS = {"auc": 4, "auroc": 4, "average_precision": 3, "brier": 4, "f1": 3, "memory": 0}


def section(found: Results, figure_paths: list[Path]) -> str:
    """All that there is to say of an experiment, as Markdown."""
    experiment = EXPERIMENTS[found.name]
    preset = experiment.presets[found.preset]
    measure = experiment.measure
    digits = DIGITS.get(measure, 2)
    parts = [
        f"`python -m benchmarks.run {found.name} --preset {found.preset}`. {provenance(found)}",
        f"Reduced: {preset.about}.",
        f"Mean and standard error of the {_name(measure)}; the best is bold:",
        measure_table(found, measure, digits, _papers_rows(found)),
    ]
    parts += [f"![{experiment.title}]({path.name})" for path in figure_paths]
    if found.name != "scaling" and (table := difference_table(found, measure, digits)):
        sign = "more" if measure in MORE_IS_BETTER else "less"
        parts += [f"L2RW against the best other arm ({sign} is better), paired by seed:", table]
    if found.name == "imbalance-tabular":
        parts += ["Ranks over the data sets:", rank_table(found, measure)]
    parts += [_details(found, name) for name in (*MORE[found.name], *["rise"] * preset.watched)]
    if found.tunings:
        about = "learning rates, and how often chosen; \\* is at an edge of those tried"
        parts.append(_folded(about, lr_table(found)))
    if found.failed:
        parts.append(_failures(found))
    return "\n\n".join(parts)


def provenance(found: Results) -> str:
    """When, where and with what the results were made."""
    last = found.environments[-1]
    versions = ", ".join(
        f"{name} {version}"
        for name, version in last["versions"].items()
        if version != "not installed"
    )
    where = last["device"] if last["device"] != "cpu" else f"{last['cores']} cores"
    seeds = {row["seed"] for row in found.tests}
    return (
        f"{last['date'][:10]}, {_commits(found)}, {last['machine']}, {where}; {versions}; "
        f"{len(seeds)} seeds or folds."
    )


def _commits(found: Results) -> str:
    """Commits that the runs were made with, a plus being one with changes."""
    runs = Counter(row["environment"]["commit"] for row in found.tests)
    if len(runs) == 1:
        return f"commit {next(iter(runs))}"
    return "commits " + ", ".join(f"{commit} ({n} of the runs)" for commit, n in runs.items())


def _name(measure: str) -> str:
    return NAMES.get(measure, measure)


def _details(found: Results, measure: str) -> str:
    table = measure_table(found, measure, DIGITS.get(measure, 2))
    return _folded(_name(measure), table)


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def _papers_rows(found: Results) -> list[list[str]]:
    """Rows of the paper's figures, where it has any at these points."""
    if found.name != "imbalance-mnist":
        return []
    errors = dict(paper.IMBALANCE_ERRORS)
    by_share = {
        arm: dict(zip(paper.IMBALANCE_SHARES, values, strict=True))
        for arm, values in errors.items()
    }
    return [
        [f"*{arm}, paper*", *(f"{values[point['majority']]:.2f}" for point in found.points)]
        for arm, values in by_share.items()
    ]


def _failures(found: Results) -> str:
    reasons: dict[tuple[str, str], int] = {}
    label = EXPERIMENTS[found.name].labels
    for row in found.failed:
        key = f"{row['arm']}, {label(row['point'])}", row["failed"].splitlines()[0]
        reasons[key] = reasons.get(key, 0) + 1
    rows = [[where, str(number), why] for (where, why), number in reasons.items()]
    return "Runs that failed, and are in no mean:\n\n" + markdown(["run", "times", "reason"], rows)


def page(name: str, folder: Path, pages: Path) -> str:
    """All results of an experiment, a preset a section; empty where there are none."""
    experiment = EXPERIMENTS[name]
    sections = []
    for preset in experiment.presets:
        if preset not in SHOWN or not results.path_of(name, preset, folder).exists():
            continue
        found = Results.read(name, preset, folder)
        if found.tests:
            text = section(found, figures.draw(found, pages))
            sections.append(f"## Preset `{preset}`\n\n{text}")
    if not sections:
        return ""
    return "\n\n".join([f"# {experiment.title}", experiment.about, *sections]) + "\n"


def report(folder: Path, pages: Path) -> list[str]:
    """Write the pages of all experiments that have results; returns their names."""
    written = []
    for name in EXPERIMENTS:
        text = page(name, folder, pages)
        if text:
            pages.mkdir(parents=True, exist_ok=True)
            (pages / f"{name}.md").write_text(text, encoding="utf-8")
            written.append(name)
    return written


def main(arguments: list[str] | None = None) -> int:
    """Write the report, or print a section of it."""
    form: Any = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--print", choices=list(EXPERIMENTS), metavar="EXPERIMENT", dest="shown")
    parser.add_argument("--preset", default="cpu", help="of what is printed; default: cpu")
    parser.add_argument("--results", type=Path, default=results.FOLDER, help="folder")
    parser.add_argument("--pages", type=Path, default=PAGES, help="folder to write into")
    args = parser.parse_args(arguments)
    try:
        if args.shown is None:
            written = report(args.results, args.pages)
            print("\n".join(written) or f"No results of a preset of {SHOWN} in {args.results}.")
            return 0
        if args.preset not in EXPERIMENTS[args.shown].presets:
            names = ", ".join(EXPERIMENTS[args.shown].presets)
            parser.error(f"Got --preset {args.preset}, but expected one of {names}.")
        found = Results.read(args.shown, args.preset, args.results)
    except results.ResultsError as error:
        print(error, file=sys.stderr)
        return 2
    if not found.tests:
        path = results.path_of(args.shown, args.preset, args.results)
        print(f"Got no results in {path}. Run the experiment first.", file=sys.stderr)
        return 2
    print(section(found, []))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
