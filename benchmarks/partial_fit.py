"""What a stream of small `partial_fit` calls costs, over skorch's own and the method's step.

All train the perceptron of `benchmarks.step.fits` on the same chunks of rows, one batch a call:

- ``plain step``, ``weighted step``: loops of one's own, by SGD alone, and with
  `reweighted_backward`, clipping and a running mean of the parameters, as the estimator takes it;
- ``skorch``: its NeuralNetClassifier's ``partial_fit``; ``ours``: L2RWClassifier's.

The method cannot do without its step. So ours is compared with skorch's call whose plain step is
replaced by a weighted one (*whole*), and without their steps (*calls alone*). Processor time, of
nets that begin anew in each round and take turns: histories grow, and with them skorch's callbacks
take longer.

Run ``python -m benchmarks.partial_fit``; ``--profile`` shows where ours spends its time.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from benchmarks.bench_step import environment
from benchmarks.nets.small import MLP
from benchmarks.step.fits import Rows, make_ours, make_rows, make_skorch
from sklearn_l2rw import reweighted_backward

RESULTS = Path(__file__).parent / "results" / "partial_fit.json"
SIZES = (32, 128, 1024)
BOUND = 1.5
Call = Callable[[Any, Any], Any]


def loop(rows: Rows, *, weighted: bool) -> Call:
    """Return a step of a loop of one's own, as a function of a chunk."""
    net = MLP(20, 2, (64, 64))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    loss = nn.CrossEntropyLoss(reduction="none")
    clean = torch.as_tensor(rows.X_clean), torch.as_tensor(rows.y_clean)
    mean = [p.detach().clone() for p in net.parameters()]

    def step(X: Any, y: Any) -> None:
        batch: tuple[Tensor, Tensor] = (torch.as_tensor(X), torch.as_tensor(y))
        optimizer.zero_grad()
        if not weighted:
            loss(net(batch[0]), batch[1]).mean().backward()
            optimizer.step()
            return
        reweighted_backward(net, loss, batch, clean)
        clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(mean, [p.detach() for p in net.parameters()], 0.01)

    return step


def makers(size: int) -> dict[str, Callable[[Rows], Call]]:
    """Arms, by name: from data to what a chunk is given to."""
    whole = {"iterator_train__batch_size": size}
    return {
        "plain step": lambda rows: loop(rows, weighted=False),
        "weighted step": lambda rows: loop(rows, weighted=True),
        "skorch": lambda rows: make_skorch(rows, **whole).partial_fit,
        "ours": lambda rows: make_ours(rows, **whole).partial_fit,
    }


def milliseconds(make: Callable[[Rows], Call], rows: Rows, size: int, calls: int) -> float:
    """Processor time of a call, after some that are not counted."""
    call = make(rows)
    chunks = [slice(i * size, (i + 1) * size) for i in range(len(rows.y) // size)]
    for chunk in chunks[:3]:
        call(rows.X[chunk], rows.y[chunk])
    start = time.process_time()
    for i in range(calls):
        chunk = chunks[i % len(chunks)]
        call(rows.X[chunk], rows.y[chunk])
    return (time.process_time() - start) / calls * 1e3


def measure(size: int, calls: int, rounds: int) -> dict[str, float]:
    """Medians over rounds in which arms take turns, and ratios of these."""
    rows = make_rows(8 * size, 1, "cpu")
    arms = makers(size)
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, make in arms.items():
            taken[name].append(milliseconds(make, rows, size, calls))
    found = {name: statistics.median(values) for name, values in taken.items()}
    return {**found, **ratios(found)}


def ratios(found: dict[str, float]) -> dict[str, float]:
    """Of ours to skorch's: with the method's step in both, without steps, and as they are."""
    plain, weighted = found["plain step"], found["weighted step"]
    return {
        "whole": found["ours"] / (found["skorch"] - plain + weighted),
        "calls alone": (found["ours"] - weighted) / (found["skorch"] - plain),
        "as they are": found["ours"] / found["skorch"],
    }


def table(found: dict[str, dict[str, float]]) -> str:
    """Markdown of the results, by rows a call."""
    columns = list(next(iter(found.values())))
    head = f"| rows a call | {' | '.join(columns)} |\n" + "|---" * (len(columns) + 1) + "|"
    lines = [
        f"| {size} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |"
        for size, row in found.items()
    ]
    return "\n".join([head, *lines])


def profile(size: int, calls: int) -> None:
    """Print where the estimator's calls spend their time."""
    rows = make_rows(8 * size, 1, "cpu")
    watched = cProfile.Profile()
    watched.runcall(milliseconds, makers(size)["ours"], rows, size, calls)
    pstats.Stats(watched).sort_stats("cumtime").print_stats(60)


def main(argv: list[str] | None = None) -> None:
    """Print a table, write it down, and fail where ours costs too much."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--calls", type=int, default=100, help="in a round; default: 100")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="rows a call")
    parser.add_argument("--profile", action="store_true", help="show where the time goes")
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if options.profile:
        profile(options.sizes[0], options.calls)
        return
    where = environment("cpu")
    found = {str(n): measure(n, options.calls, options.rounds) for n in options.sizes}
    print(f"Milliseconds of processor time a call, and ratios\n\n{table(found)}")
    options.output.write_text(json.dumps({**where, "partial_fits": found}, indent=1) + "\n")
    if max(row["whole"] for row in found.values()) > BOUND:
        raise SystemExit(f"More than {BOUND} times skorch's call with the method's step in it.")


if __name__ == "__main__":
    main()
