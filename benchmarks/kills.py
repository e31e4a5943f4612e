"""Fits that are killed at random moments (SIGKILL), and go on from their backup.

Each run is a fit in a process of its own, which is killed at a moment drawn at random within the
time that an uninterrupted one takes, and started again until it ends; those that are started again
may be killed again. A run is lost if it does not end, and different if anything it leaves differs
from what an uninterrupted one leaves: parameters, mean, history (but for times), weights and values
of rows, optimizer, predictions, generators.

Nets train on scikit-learn's digits, with dropout, batch normalization, clean batches that are
drawn, momentum, a schedule by batch, validation, and in turn: rows in memory; items augmented by
workers; and torch's global generator in place of a random_state.

Run ``python -m benchmarks.kills`` (some 20 minutes for 50 kills).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import LRScheduler
from skorch.dataset import ValidSplit
from torch import Tensor, nn
from torch.utils.data import Dataset

from sklearn_l2rw import BackupAndRestore, L2RWClassifier

KINDS = ("rows", "workers", "global")
MOST_STARTS = 30  # of a run; one that needs more is lost
RESULTS = Path(__file__).parent / "results" / "kills.json"


class Net(nn.Sequential):
    """A net with state of all kinds."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10)
        )


class Augmented(Dataset[Any]):
    """Rows with noise of torch's and of NumPy's generators."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        noise = 0.1 * torch.randn(64) + 0.1 * float(np.random.normal())
        return torch.as_tensor(self.X[i]) + noise, int(self.y[i])


def train(kind: str, directory: str | None, epochs: int = 12) -> L2RWClassifier:
    """Fit a net, backed up where a directory is given."""
    torch.set_num_threads(1)
    X, y = load_digits(return_X_y=True)
    X, noisy = (X / 16).astype(np.float32), np.where(np.arange(len(y)) % 3 == 0, (y + 1) % 10, y)
    backup = [] if directory is None else [BackupAndRestore(directory, save_freq=7)]
    schedule = LRScheduler("CosineAnnealingLR", T_max=400, step_every="batch")
    net = L2RWClassifier(
        Net, clean_set=(X[:50], y[:50]), clean_batch_size=20, batch_size=32, max_epochs=epochs,
        random_state=None if kind == "global" else 0, optimizer__momentum=0.9, verbose=0,
        train_split=ValidSplit(5), callbacks=[schedule, *backup], lr=0.1,
    )  # fmt: skip
    torch.manual_seed(0)
    np.random.seed(0)  # validation draws from it, in this process
    if kind == "workers":
        net.set_params(iterator_train__num_workers=2)
        net.fit(Augmented(X[50:], noisy[50:]), noisy[50:])
    else:
        net.fit(X[50:], noisy[50:])
    return net


def digest(net: L2RWClassifier) -> str:
    """Hash of all that a fit leaves."""
    assert net._average is not None
    mean, raw = net._average.mean, net._average.raw
    rows = [{k: v for k, v in row.items() if k != "dur"} for row in net.history.to_list()]
    left = [
        {key: t.numpy() for key, t in net.module_.state_dict().items()},
        {key: t.numpy() for key, t in mean.items()},
        {key: t.numpy() for key, t in raw.items()},
        [t.numpy() for s in net.optimizer_.state.values() for t in s.values()],
        repr(rows), net.example_weights_, net.example_values_, torch.get_rng_state().numpy(),
        net.predict_proba(load_digits().data.astype(np.float32) / 16),
    ]  # fmt: skip
    return hashlib.sha256(b"".join(_bytes(left))).hexdigest()


def _bytes(value: Any) -> list[bytes]:
    if isinstance(value, dict):
        return [key.encode() + block for key in sorted(value) for block in _bytes(value[key])]
    if isinstance(value, list):
        return [block for part in value for block in _bytes(part)]
    return [value.encode() if isinstance(value, str) else np.ascontiguousarray(value).tobytes()]


def child(kind: str, directory: str, output: str) -> None:
    """Fit in this process, and leave the hash in a file."""
    found = digest(train(kind, directory or None))
    part = Path(output + ".part")
    part.write_text(found)
    part.replace(output)


def start(kind: str, directory: str, output: Path) -> subprocess.Popen[bytes]:
    """Start a fit in a process of its own, and of a group of its own."""
    command = [sys.executable, "-m", "benchmarks.kills", "--child", kind, directory, str(output)]
    seed = str(int.from_bytes(os.urandom(2), "big"))  # hashes differ between processes
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONHASHSEED": seed}, start_new_session=True
    )


def run(kind: str, moments: list[float], folder: Path) -> dict[str, Any]:
    """Kill a run at moments, in seconds after each start, and let it end."""
    output, kills, starts = folder / "hash", 0, 0
    while not output.exists() and starts < MOST_STARTS:
        process = start(kind, str(folder / "backup"), output)
        starts += 1
        try:
            process.wait(moments.pop(0) if moments else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        if process.returncode not in (0, -signal.SIGKILL):
            break
    return {
        "kind": kind,
        "kills": kills,
        "starts": starts,
        "hash": output.read_text() if output.exists() else None,
    }


def experiment(n_kills: int, seed: int) -> dict[str, Any]:
    """Runs until so many kills have been done; what became of them."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as root:
        whole: dict[str, str] = {}
        seconds: dict[str, float] = {}
        for kind in KINDS:
            begun = time.perf_counter()
            folder = Path(root) / kind
            folder.mkdir()
            process = start(kind, "", folder / "hash")
            process.wait()
            whole[kind], seconds[kind] = (folder / "hash").read_text(), time.perf_counter() - begun
        runs: list[dict[str, Any]] = []
        while sum(found["kills"] for found in runs) < n_kills:
            kind = KINDS[len(runs) % len(KINDS)]
            folder = Path(root) / str(len(runs))
            folder.mkdir()
            moments = (rng.uniform(0.2, 1, size=3) * seconds[kind]).tolist()
            runs.append(run(kind, moments, folder))
            print(runs[-1], runs[-1]["hash"] == whole[kind], flush=True)
    return {
        "kills": sum(found["kills"] for found in runs),
        "runs": len(runs),
        "lost": sum(found["hash"] is None for found in runs),
        "different": sum(
            found["hash"] not in (None, whole[found["kind"]]) for found in runs
        ),
        "torch": torch.__version__,
        "python": sys.version.split()[0],
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Kill runs, print what became of them, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        child(*options.child)
        return
    found = experiment(options.kills, options.seed)
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    print(found)
    if found["lost"] or found["different"]:
        raise SystemExit("Runs were lost, or ended differently.")


if __name__ == "__main__":
    main()
