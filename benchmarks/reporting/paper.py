"""The paper's own figures, to stand beside ours."""

from __future__ import annotations

# Fig. 2: MNIST, 4 against 9, test error in % by the share of the frequent class, 10 runs.
IMBALANCE_SHARES = (0.9, 0.95, 0.98, 0.99, 0.995)
IMBALANCE_ERRORS: dict[str, tuple[float, ...]] = {
    "unweighted": (1.62, 2.86, 5.80, 10.48, 18.26),
    "random_weights": (1.78, 2.82, 5.62, 9.52, 17.74),
    "class_weighted": (1.22, 2.04, 3.32, 5.40, 8.30),
    "balanced_batches": (1.40, 1.78, 3.38, 5.96, 9.62),
    "hard_mining": (1.34, 1.48, 2.16, 4.50, 7.74),
    "l2rw": (1.28, 1.44, 1.96, 2.50, 3.62),
}

# Table 1: CIFAR-10, 40% UniformFlip, WRN-28-10, 1,000 clean images, accuracy in %.
TABLE_1 = {
    "unweighted": 67.97,
    "bootstrap_hard": 69.66,
    "noise_adaptation": 70.64,
    "self_paced": 76.6,
    "random_weights": 86.06,
    "clean_only": 46.64,
    "fine_tuned": 78.66,
    "l2rw": 86.92,
}

# Table 2: CIFAR-10, 40% BackgroundFlip, ResNet-32, 100 clean images, accuracy in %.
TABLE_2 = {
    "unweighted": 59.54,
    "early_stopping": 64.96,
    "random_weights": 69.51,
    "noise_adaptation": 58.60,
    "noise_adaptation_true": 68.93,
    "clean_only": 15.90,
    "fine_tuned": 82.82,
    "early_stopping_fine_tuned": 85.19,
    "l2rw": 86.73,
}

# Fig. 4: CIFAR-10, 40% flipped to one label, accuracy in % by number of clean images.
CLEAN_SIZES = (15, 30, 50, 100, 200, 500, 1000)
CLEAN_SIZE_ACCURACIES = {
    "fine_tuned": (77.50, 79.81, 81.38, 83.39, 83.81, 84.11, 84.37),
    "l2rw": (84.40, 85.31, 86.22, 87.23, 86.40, 87.33, 86.94),
}

# Fig. 5: CIFAR-10, BackgroundFlip, accuracy in % by noise rate.
NOISE_RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
NOISE_ACCURACIES = {
    "unweighted": (92.55, 85.08, 78.03, 70.50, 63.12, 48.75),
    "l2rw": (91.21, 89.59, 88.99, 87.75, 87.23, 84.82),
}
