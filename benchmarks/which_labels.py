"""Which labels are wrong? One fit of L2RW beside cross-validated predictions of the same net.

MNIST, 10,000 images, 100 clean ones, a LeNet, labels made wrong in several ways. Both get as many
passes over the data and one learning rate schedule, with a peak from the same grid of two, by
their AUROC at 40% uniform noise on seed 0, which is not in the table. AUROC for being wrong of
each score of `rank_label_errors`,
and seconds of one core. cleanlab's default score of an example is the out-of-sample
probability of its label, which is what stands in the last columns.

Run ``make bench-labels``, or ``python -m benchmarks.which_labels`` (about 10 minutes on 2 cores).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from benchmarks.data.faults import background_flip, uniform_flip
from benchmarks.data.loaders import load
from benchmarks.nets import LeNet
from sklearn_l2rw import L2RWClassifier, rank_label_errors

N_TRAIN, N_CLEAN_PER_CLASS, N_FOLDS, BATCH_SIZE = 10_000, 10, 3, 100
NOISES = (
    ("uniform", 0.2), ("uniform", 0.4), ("uniform", 0.6), ("background", 0.2),
    ("background", 0.4), ("next class", 0.3),
)  # fmt: skip
METHODS = ("probability", "weight", "both")
LR = {"ours": 0.1, "cross-validation": 0.05}  # of 0.05 and 0.1
RESULTS = Path(__file__).parent / "results" / "which_labels.jsonl"

Data = tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_], tuple[NDArray[Any], NDArray[Any]]]


def make_noisy(y: NDArray[Any], noise: str, rate: float, rng: np.random.RandomState) -> Any:
    """Labels some of which are wrong."""
    if noise == "uniform":
        return uniform_flip(y, rate, rng, 10)
    if noise == "background":
        return background_flip(y, rate, rng)
    wrong = rng.permutation(len(y))[: round(rate * len(y))]
    noisy = y.copy()
    noisy[wrong] = (y[wrong] + 1) % 10
    return noisy


def draw(noise: str, rate: float, seed: int, data_home: str | None) -> Data:
    """Images, given labels, which of them are wrong, and the clean set."""
    source = load("mnist", data_home)
    rng = np.random.RandomState(seed)
    rows = rng.permutation(60_000)
    clean = np.concatenate([rows[source.y[rows] == k][:N_CLEAN_PER_CLASS] for k in range(10)])
    train = rng.permutation(np.setdiff1d(rows, clean))[:N_TRAIN]
    images = (source.X[:60_000].reshape(-1, 1, 28, 28) / np.float32(255)).astype(np.float32)
    y = source.y[train]
    noisy = make_noisy(y, noise, rate, rng)
    return images[train], noisy, noisy != y, (images[clean], source.y[clean])


def settings(n_rows: int, passes: int, lr: float) -> dict[str, Any]:
    """How a net is trained: SGD with momentum, one cycle of the learning rate."""
    n_steps = passes * int(np.ceil(n_rows / BATCH_SIZE))
    cycle = LRScheduler(
        OneCycleLR, max_lr=lr, total_steps=n_steps + 1, step_every="batch", cycle_momentum=False
    )
    return {
        "module": LeNet,
        "module__n_outputs": 10,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "batch_size": BATCH_SIZE,
        "max_epochs": passes,
        "callbacks": [("cycle", cycle)],
        "verbose": 0,
    }


def ours(data: Data, passes: int, seed: int, **more: Any) -> dict[str, float]:
    """AUROC of each score of one fit."""
    X, y, wrong, clean_set = data
    net = L2RWClassifier(
        **settings(len(y), passes, LR["ours"]), clean_set=clean_set, random_state=seed, **more
    ).fit(X, y)
    rank = {method: rank_label_errors(net, X, y, method=method).scores for method in METHODS}
    return {method: float(roc_auc_score(wrong, scores)) for method, scores in rank.items()}


def cross_validated(data: Data, passes: int, seed: int) -> dict[str, float]:
    """AUROC of out-of-sample probabilities; the clean examples are trained on in each fold."""
    X, y, wrong, (X_clean, y_clean) = data
    given = np.empty(len(y))
    torch.manual_seed(seed)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(X, y):
        net = NeuralNetClassifier(
            **settings(len(train) + len(y_clean), passes, LR["cross-validation"]),
            criterion=torch.nn.CrossEntropyLoss,
            iterator_train__shuffle=True,
            train_split=None,
        ).fit(np.concatenate([X[train], X_clean]), np.concatenate([y[train], y_clean]))
        given[test] = net.predict_proba(X[test])[np.arange(len(test)), y[test]]
    return {"probability": float(roc_auc_score(wrong, -given))}


ARMS = {
    "L2RW": lambda data, passes, seed: ours(data, passes, seed),
    "L2RW, last layer": lambda data, passes, seed: ours(data, passes, seed, meta_parameters="last"),
    "cross-validation": cross_validated,
}


def run(
    arm: str, noise: str, rate: float, passes: int, seed: int, home: str | None
) -> dict[str, Any]:
    """One row of the results."""
    torch.set_num_threads(1)
    data = draw(noise, rate, seed, home)
    start = time.process_time()
    auroc = ARMS[arm](data, passes, seed)
    seconds = time.process_time() - start
    return {
        "arm": arm, "noise": noise, "rate": rate, "passes": passes, "seed": seed, "auroc": auroc,
        "seconds": seconds,
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Mean AUROC of each score by noise, and seconds."""
    lines = [
        "| labels wrong | passes | arm | probability | weight | both | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    keys = dict.fromkeys((r["noise"], r["rate"], r["passes"], r["arm"]) for r in rows)
    for noise, rate, passes, arm in keys:
        mine = [
            r
            for r in rows
            if (r["noise"], r["rate"], r["passes"], r["arm"]) == (noise, rate, passes, arm)
        ]
        cells = []
        for method in METHODS:
            found = [r["auroc"][method] for r in mine if method in r["auroc"]]
            cells.append(f"{np.mean(found):.4f}" if found else "")
        seconds = np.mean([r["seconds"] for r in mine])
        lines.append(
            f"| {noise} {rate:.0%} | {passes} | {arm} | {' | '.join(cells)} | {seconds:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is not yet in the results, and print the table."""
    parser = argparse.ArgumentParser(description="Finding wrong labels on MNIST.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--passes", type=int, nargs="+", default=[4])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data-home", default=None, help="as scikit-learn's")
    args = parser.parse_args()
    names = ("noise", "rate", "passes", "arm", "seed")
    rows = []
    if RESULTS.exists():
        rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    done = {tuple(row[name] for name in names) for row in rows}
    wanted = [
        (noise, rate, passes, arm, seed)
        for seed in range(1, 1 + args.seeds)
        for passes in args.passes
        for noise, rate in NOISES
        for arm in ARMS
    ]
    todo = [job for job in wanted if job not in done]
    found = Parallel(n_jobs=args.jobs, return_as="generator")(
        delayed(run)(arm, noise, rate, passes, seed, args.data_home)
        for noise, rate, passes, arm, seed in todo
    )
    with RESULTS.open("a") as file:
        for row in tqdm(found, total=len(todo), unit="fit"):
            rows.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
    wanted_rows = {tuple(row[name] for name in names): row for row in rows}
    print(table([wanted_rows[job] for job in wanted]))


if __name__ == "__main__":
    main()
