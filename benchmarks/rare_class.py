"""Example weights of a rare class: 5,000 nines and fours of MNIST, 99.5% of them nines.

Prints the mean weight of each class, 1 being uniform, and draws the weights. Run
``python -m benchmarks.rare_class`` (a minute).
"""

from __future__ import annotations

import argparse

import torch
from matplotlib.figure import Figure

from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.images import imbalanced_task
from benchmarks.methods import fit
from benchmarks.methods.setting import Setting
from benchmarks.methods.training import Training
from sklearn_l2rw import ExampleWeightsDisplay

PRESET = EXPERIMENTS["imbalance-mnist"].presets["cpu"]
MAJORITY = 0.995
TRAINING = Training("lenet5", 1000, 1000, 100, lrs=(0.01,))


def main(arguments: list[str] | None = None) -> None:
    """Train once, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-home", help="where data sets are kept; default: scikit-learn's")
    parser.add_argument("--output", default="rare_class.png", help="where the figure goes")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    task = imbalanced_task(PRESET, {"majority": MAJORITY}, 0, args.data_home)
    net = fit("l2rw", Setting(task, TRAINING, TRAINING.lrs[0], seed=0))
    weights = net.example_weights_[: len(task.y)]  # the clean rows come after
    common, rare = (weights[task.y == code] for code in (0, 1))
    for name, of_class in (("nines", common), ("fours", rare)):
        print(f"{len(of_class)} {name}: mean weight {of_class.mean():.2f}")
    print(f"A four counts as much as {rare.mean() / common.mean():.0f} nines.")
    _, y, _ = task.with_clean()
    figure = Figure(figsize=(7, 3), layout="constrained")
    names = ["nine", "four"]
    ExampleWeightsDisplay.from_estimator(net, y, class_names=names, ax=figure.subplots())
    figure.savefig(args.output, dpi=110)
    print(f"Figure: {args.output}")


if __name__ == "__main__":
    main()
