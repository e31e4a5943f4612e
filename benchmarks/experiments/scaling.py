"""Time and memory of a fit by number of rows, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.data.task import Task
from benchmarks.experiments.measures import measured
from benchmarks.experiments.preset import Job, Point, Preset, Row
from benchmarks.experiments.training_run import quiet
from benchmarks.methods import fit
from benchmarks.methods.setting import Setting
from benchmarks.methods.training import Training

N_COLUMNS = 20
RARE = 0.1
N_CLEAN = 100
ROOT = Path(__file__).parents[2]
N_PASSES = 3  # over the rows as they are; SMOTE adds rows, and so steps


def make_rows(n: int, seed: int) -> Task:
    """Two noisy classes, of which one has a tenth of the rows."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n + N_CLEAN, N_COLUMNS)).astype(np.float32)
    y = np.zeros(len(X), dtype=np.int64)
    y[: round(RARE * n)] = 1
    y[n : n + N_CLEAN // 2] = 1
    X[:, :3] += y[:, None]
    rows = np.arange(len(X))
    none = rows[:0]
    return Task(
        X[:n], y[:n], y[:n], X[n:], y[n:], X[:0], y[:0], rows[:n], rows[n:], none, (N_COLUMNS,), 2
    )


def measure(arm: str, n_rows: int, seed: int, training: Training, device: str) -> dict[str, float]:
    """Fit an arm, after a small fit that loads and compiles what is needed."""
    torch.set_num_threads(1)
    with quiet():
        fit(arm, Setting(make_rows(1000, seed), training, training.lrs[0], seed, device))
        task = make_rows(n_rows, seed)
        setting = Setting(task, training, training.lrs[0], seed, device)
        with measured(device) as cost:
            fit(arm, setting)
    data = (task.X.nbytes + task.y.nbytes) / 1e6
    return {**cost.measures(), "data_memory": data}


def n_steps(n_rows: int, batch_size: int) -> int:
    """Steps of `N_PASSES` over the rows."""
    return N_PASSES * -(-n_rows // batch_size)


def run(preset: Preset, job: Job) -> Row:
    """Measure in a fresh process, whose memory no run before has touched."""
    n, like = int(job.point["rows"]), preset.training
    training = replace(
        like,
        n_steps=n_steps(n + N_CLEAN, like.batch_size),
        n_steps_ours=n_steps(n, like.batch_size),
    )
    arguments = [job.arm, n, job.seed, asdict(training), job.device]
    command = [sys.executable, "-m", __name__, json.dumps(arguments)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        return {"failed": (found.stderr.strip() or f"exit status {found.returncode}")[-300:]}
    return {"measures": json.loads(found.stdout)}


def label(point: Point) -> str:
    """Name a point."""
    return f"{point['rows']:,} rows"


def main() -> None:
    """Measure what the command line says, and print it as JSON."""
    arm, n_rows, seed, training, device = json.loads(sys.argv[1])
    training |= {name: tuple(training[name]) for name in ("lrs", "milestones")}
    print(json.dumps(measure(arm, n_rows, seed, Training(**training), device)))


if __name__ == "__main__":
    main()
