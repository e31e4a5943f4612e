"""The experiments by name, each with its presets.

``quick`` takes minutes on 2 cores and shows that all works; its numbers mean little. ``cpu`` takes
about an hour on 2 cores, and says what it reduces. ``paper`` is the paper's protocol, for a GPU.
"""

from __future__ import annotations

from benchmarks.experiments import label_errors, scaling, tabular
from benchmarks.experiments.images import (
    imbalanced_task,
    noisy_task,
    run_imbalanced,
    run_noisy,
    tuned_at_each_point,
    tuned_at_median_ratio,
)
from benchmarks.experiments.preset import Experiment, Point
from benchmarks.experiments.sizes import (
    CLEAN_SIZE,
    IMBALANCE,
    LABEL_ERRORS,
    NOISE_AND_IMBALANCE,
    NOISE_CIFAR,
    NOISE_HUMAN,
    NOISE_MNIST,
    SCALING,
    TABULAR,
)
from benchmarks.methods import ARMS

PRESETS = ("quick", "cpu", "paper")


def _noise(point: Point) -> str:
    if not point["rate"]:
        return "no noise"
    return f"{100 * point['rate']:.0f}% {point['noise']}"


EXPERIMENTS: dict[str, Experiment] = {
    "imbalance-mnist": Experiment(
        "Rare classes: MNIST, 4 against 9",
        "The paper's Fig. 2, with samplers: error on a balanced test set by the share of nines.",
        IMBALANCE, run_imbalanced, tuple(ARMS), "error",
        lambda point: f"{100 * point['majority']:g}%",
        imbalanced_task, tuned_at_median_ratio,
    ),
    "imbalance-tabular": Experiment(
        "Rare classes: real tables",
        "Six data sets, default MLP, repeated stratified cross-validation, right labels.",
        TABULAR, tabular.run, tuple(ARMS), "balanced_error",
        lambda point: str(point["data"]),
        tabular.task, tabular.tuned_at,
    ),
    "noise-mnist": Experiment(
        "Wrong labels: MNIST, ten digits",
        "UniformFlip and BackgroundFlip, as in the paper's Tables 1 and 2, on MNIST.",
        NOISE_MNIST, run_noisy, tuple(ARMS), "error", _noise, noisy_task, tuned_at_each_point,
    ),
    "noise-cifar": Experiment(
        "Wrong labels: CIFAR-10",
        "UniformFlip and BackgroundFlip: the paper's Tables 1 and 2.",
        NOISE_CIFAR, run_noisy, tuple(ARMS), "error", _noise, noisy_task, tuned_at_each_point,
    ),
    "noise-human": Experiment(
        "Wrong labels that people gave: CIFAR-10N",
        "CIFAR-10 with the labels of Wei et al. (2022), which are not for commercial use: by the "
        "majority of three people, by the first of them, and a wrong one if there was any.",
        NOISE_HUMAN, run_noisy, tuple(ARMS), "error", lambda point: str(point["noise"]),
        noisy_task, tuned_at_each_point,
    ),
    "clean-size": Experiment(
        "How many clean examples?",
        "The paper's Fig. 4: 40% of the labels flipped to one class.",
        CLEAN_SIZE, run_noisy, tuple(ARMS), "error",
        lambda point: f"{point['n_clean']} clean",
        noisy_task, tuned_at_each_point,
    ),
    "noise-and-imbalance": Experiment(
        "Wrong labels and rare classes at once",
        "The paper's Fig. 5: labels flipped to one class, which becomes the most frequent one.",
        NOISE_AND_IMBALANCE, run_noisy, tuple(ARMS), "error", _noise, noisy_task,
        tuned_at_each_point,
    ),
    "scaling": Experiment(
        "Time and memory by number of rows",
        "Three passes over rows of 20 columns, a tenth of them of the rare class.",
        SCALING, scaling.run, tuple(ARMS), "cpu_time", scaling.label,
    ),
    "label-errors": Experiment(
        "Which labels are wrong?",
        "AUROC and average precision of scores of the training labels, and the time of each.",
        LABEL_ERRORS, label_errors.run, tuple(label_errors.ARMS), "auroc", _noise, noisy_task,
        tuned_at_each_point,
    ),
}  # fmt: skip
