"""Memory of a process over many fits, calls of `partial_fit`, and of `example_weights`.

Each kind runs in a process of its own, on a small net, and is looked at in ten equal parts: what it
has resident, how many objects the garbage collector knows, and what Python holds (`tracemalloc`, in
a tenth of the runs more, as it is slow). What is held after the second part, caches filled, is not
to grow. Streams are cut, by ``del net.history[:-10]`` after each call, since skorch keeps a history
of all epochs; ``stream, uncut`` shows how much that is.

Run ``python -m benchmarks.long_runs`` (Linux).
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.bench_step import environment
from benchmarks.lora_memory import resident
from benchmarks.nets.small import MLP
from sklearn_l2rw import L2RWClassifier, example_weights

RESULTS = Path(__file__).parent / "results" / "long_runs.json"
PARTS = 10
BOUND = 2.0  # MB that resident memory may grow by, from the second part to the last
CALLS = {"fits": 1000, "stream": 1000, "stream, uncut": 1000, "example_weights": 100_000}


def _data(n: int = 64) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 20)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(np.int64)


def _net() -> Any:
    X, y = _data(10)
    return L2RWClassifier(
        MLP, module__n_inputs=20, module__n_outputs=2, module__hidden=(64, 64),
        clean_set=(X, y), max_epochs=2, batch_size=32, verbose=0, lr=0.01,
    )  # fmt: skip


def fits() -> Callable[[], Any]:
    """Fits of nets that are made and left."""
    X, y = _data()
    return lambda: _net().fit(X, y)


def stream(keep: int | None) -> Callable[[], Any]:
    """Calls of a net's `partial_fit`; of its history the last epochs are kept."""
    X, y = _data()
    net = _net()

    def call() -> None:
        net.partial_fit(X, y)
        if keep is not None:
            del net.history[:-keep]

    return call


def weights() -> Callable[[], Any]:
    """Calls of the function."""
    X, y = (torch.as_tensor(part) for part in _data())
    net, loss = MLP(20, 2, (64, 64)), nn.CrossEntropyLoss(reduction="none")
    return lambda: example_weights(net, loss, (X, y), (X[:10], y[:10]))


KINDS: dict[str, Callable[[], Callable[[], Any]]] = {
    "fits": fits,
    "stream": lambda: stream(10),
    "stream, uncut": lambda: stream(None),
    "example_weights": weights,
}


def measure(kind: str, calls: int) -> dict[str, Any]:
    """Resident megabytes and objects after each part, and what Python held in a tenth of them."""
    warnings.simplefilter("ignore")  # of nets that have learned all there is
    call = KINDS[kind]()
    found: dict[str, Any] = {"calls": calls, "resident": [], "objects": []}
    for _ in range(PARTS):
        for _ in range(max(1, calls // PARTS)):
            call()
        gc.collect()
        found["resident"].append(round(resident("VmRSS") / 1e6, 2))
        found["objects"].append(len(gc.get_objects()))
    tracemalloc.start()
    held = []
    for _ in range(2):
        for _ in range(max(1, calls // PARTS // 2)):
            call()
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    found["python_kb_more"] = round((held[1] - held[0]) / 1e3, 1)
    return {**found, "grown": round(found["resident"][-1] - found["resident"][1], 2)}


def in_process(kind: str, calls: int) -> dict[str, Any]:
    """Measure a kind in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.long_runs", "--kind", kind, "--calls", str(calls)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown of the results."""
    lines = [
        "| kind | calls | resident, MB: first, second, last part | grown, MB | objects more |",
        "|---" * 5 + "|",
    ]
    for kind, row in found.items():
        first, second, *_, last = row["resident"]
        more = row["objects"][-1] - row["objects"][1]
        lines.append(
            f"| {kind} | {row['calls']:,} | {first:.1f}, {second:.1f}, {last:.1f} "
            f"| {row['grown']:.1f} | {more} |"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Print a table, write it down, and fail where memory grows that a user cannot cut."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--kind", choices=[*KINDS], help="measure one kind in this process")
    parser.add_argument("--calls", type=int, help="of each kind; default: as in the docs")
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if options.kind:
        print(json.dumps(measure(options.kind, options.calls or CALLS[options.kind])))
        return
    where = environment("cpu")
    found = {kind: in_process(kind, options.calls or calls) for kind, calls in CALLS.items()}
    print(table(found))
    options.output.write_text(json.dumps({**where, "long_runs": found}, indent=1) + "\n")
    grown = {kind: row["grown"] for kind, row in found.items() if kind != "stream, uncut"}
    if max(grown.values()) > BOUND:
        raise SystemExit(f"Resident memory grew by more than {BOUND} MB: {grown}")


if __name__ == "__main__":
    main()
