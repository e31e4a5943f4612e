"""What a step on learned weights costs among many workers: a model on paper, not a measurement.

Run ``python -m benchmarks.several_processes``; ``--help`` lists what is assumed.

*Passes.* A forward pass over a batch is 1, a backward pass 2. Each worker has n training examples,
whatever their number k (the batch grows with it). Of m clean examples it has all, or m / k. A plain
step takes 3 n, one on learned weights 4 n + 3 m layer by layer, and 5 n + 3 m by forward mode,
which BatchNorm needs.

*Sums over workers* of S bytes take the less of a ring, ``2 (k - 1) (a + S / (k b))``, and of a
tree, ``2 log2(k) a + 2 S / b``, at latency a and bandwidth b. Plain training hides the sum of its
gradient behind the backward pass, all but the last of 25 MB. On learned weights there are two sums,
that of the clean gradient, which has to be there before slopes are, and that of the gradient, which
is made by hand and summed behind the pass; and nine small ones, of flags, sizes and slopes.

Not modelled: uneven workers, the workers' own input, other traffic, launches of kernels.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

_BUCKET = 25e6  # bytes that DistributedDataParallel sends at once
_SMALL = 9  # collectives of a step that are bound by latency
_WORKERS = (1, 8, 64, 256, 1024)


@dataclass(frozen=True)
class Net:
    """A net as far as its step goes.

    Parameters, seconds of plain training an example, and passes over training examples in a step
    on learned weights.
    """

    name: str
    parameters: float
    seconds: float
    passes: int


NETS = (
    Net("ResNet-50, forward mode", 25.6e6, 0.4e-3, 5),
    Net("BERT-base, 128 tokens, layer by layer", 110e6, 2.5e-3, 4),
    Net("ViT-L/16, layer by layer", 304e6, 8e-3, 4),
)


@dataclass(frozen=True)
class Cluster:
    """Workers, and the network between them."""

    workers: int
    latency: float = 10e-6
    bandwidth: float = 12.5e9

    def total(self, size: float) -> float:
        """Seconds that a sum of so many bytes takes."""
        k, a, b = self.workers, self.latency, self.bandwidth
        ring = 2 * (k - 1) * (a + size / (k * b))
        tree = 2 * math.ceil(math.log2(k)) * a + 2 * size / b
        return min(ring, tree) if k > 1 else 0.0

    def small(self, n: int) -> float:
        """Seconds of the small collectives, and of telling all workers two numbers an example."""
        k = self.workers
        return _SMALL * self.total(8) + 16 * n * (k - 1) / self.bandwidth if k > 1 else 0.0


def plain(net: Net, cluster: Cluster, n: int, m: int) -> float:
    """Seconds of a plain step, whose gradient is summed while it is computed."""
    passes = net.seconds * n
    size = 4 * net.parameters
    left = cluster.total(size) - passes * 2 / 3
    return passes + max(left, cluster.total(min(size, _BUCKET)))


def _weighted(net: Net, cluster: Cluster, n: int, clean: float, sums: int) -> float:
    passes = net.seconds / 3 * (net.passes * n + 3 * clean)
    return passes + sums * cluster.total(4 * net.parameters) + cluster.small(n)


def shared(net: Net, cluster: Cluster, n: int, m: int) -> float:
    """Seconds of a step where each worker has its share of the clean batch."""
    return _weighted(net, cluster, n, max(m / cluster.workers, 1), 2)


def repeated(net: Net, cluster: Cluster, n: int, m: int) -> float:
    """Seconds where each worker has all of it, and its gradient is summed all the same."""
    return _weighted(net, cluster, n, m, 2)


def not_summed(net: Net, cluster: Cluster, n: int, m: int) -> float:
    """Seconds where each has all of it and believes in its own gradient; this is not built."""
    return _weighted(net, cluster, n, m, 1)


Cost = Callable[[Net, Cluster, int, int], float]
COSTS: dict[str, Cost] = {
    "clean batch shared": shared,
    "clean batch repeated": repeated,
    "repeated, not summed (not built)": not_summed,
}


def table(n: int, m: int, latency: float, bandwidth: float) -> str:
    """Time of a step over that of a plain one, by number of workers."""
    heads = [f"{k:,}" for k in _WORKERS]
    lines = [f"| net | step | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    clusters = [Cluster(k, latency, bandwidth) for k in _WORKERS]
    for net in NETS:
        base = [plain(net, cluster, n, m) for cluster in clusters]
        cells = [f"{1e3 * seconds:.0f} ms" for seconds in base]
        lines.append(f"| {net.name} | plain | {' | '.join(cells)} |")
        for name, cost in COSTS.items():
            times = [cost(net, cluster, n, m) for cluster in clusters]
            cells = [f"{time / least:.2f}" for time, least in zip(times, base, strict=True)]
            lines.append(f"| | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Cost of a step by number of workers, modelled.")
    parser.add_argument("--batch", type=int, default=64, help="training examples of a worker")
    parser.add_argument("--clean", type=int, default=64, help="clean examples of a step")
    parser.add_argument("--latency", type=float, default=10, help="of a message, in microseconds")
    parser.add_argument("--bandwidth", type=float, default=12.5, help="of a worker, in GB/s")
    given = parser.parse_args(arguments)
    print(
        f"Modelled, not measured: {given.batch} training examples a worker, {given.clean} clean "
        f"ones a step, {given.latency:g} microseconds, {given.bandwidth:g} GB/s. Plain steps in "
        "milliseconds, others over plain.\n"
    )
    print(table(given.batch, given.clean, 1e-6 * given.latency, 1e9 * given.bandwidth))


if __name__ == "__main__":
    main()
