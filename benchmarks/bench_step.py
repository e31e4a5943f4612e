"""Time and memory of a training step: plain PyTorch, this package, and other implementations.

Run ``make bench-step``, or ``python -m benchmarks.bench_step --help``.

*Steps.* A full optimiser step (SGD, momentum 0.9), on random data. Every arm has a copy of the
net and an optimizer of its own. The arms take turns, step by step, in one process, so that what
else the machine does falls on all alike; given are medians, and their ratio to plain's. Before
it is timed, an arm has to find the weights of Algorithm 1 (to 1e-4; finite differences to half of
the largest weight), without dropout, whose masks no two arms draw alike.

*Memory.* The net, the optimizer's state and the batches, and what is allocated at most beyond
them during a step. On CPU it is counted by torch's profiler, which records every allocation: the
same number at every run, where the resident size of a process depends on what its allocator keeps
and is blind to small nets. On CUDA it is ``torch.cuda.max_memory_allocated``.

*Whole fits.* See `benchmarks.fits`.

What cannot be run is said, with the reason.
"""

from __future__ import annotations

import argparse
import copy
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import textwrap
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.fits import time_fits
from benchmarks.nets import MLP, GRUClassifier, LeNet, ResNet32, TransformerClassifier
from benchmarks.rivals import ARMS, INEXACT, Arm, Batch, Setting, literal_weights
from benchmarks.step_report import report, verdicts

RESULTS = Path(__file__).parent / "results" / "bench_step.json"
PACKAGES = ("torch", "numpy", "scikit-learn", "skorch", "higher", "torchopt", "betty-ml")
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Case:
    """A net, the shape of an example, the number of classes, and both batch sizes."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    n_classes: int
    n: int
    m: int
    rounds: int
    twice: bool = False  # see Setting
    dropout: bool = False


_MLP = partial(MLP, 20, 2, (64, 64))
_WIDE = partial(MLP, 100, 2, (512, 512))
CASES = {
    "mlp-128-10": Case(_MLP, (20,), 2, 128, 10, rounds=300),
    "wide-mlp-512-10": Case(_WIDE, (100,), 2, 512, 10, rounds=100),
    "lenet-100-10": Case(LeNet, (1, 28, 28), 2, 100, 10, rounds=25),
    "lenet-100-100": Case(LeNet, (1, 28, 28), 2, 100, 100, rounds=25),
    "resnet32-100-10": Case(ResNet32, (3, 32, 32), 10, 100, 10, rounds=5),
    "resnet32-100-100": Case(ResNet32, (3, 32, 32), 10, 100, 100, rounds=5),
    "gru-64-10": Case(GRUClassifier, (20, 16), 2, 64, 10, rounds=40, twice=True),
    "transformer-64-10": Case(
        TransformerClassifier, (20, 16), 2, 64, 10, rounds=40, twice=True, dropout=True
    ),
}
FITS = "fits"


def draw(case: Case, device: str) -> tuple[nn.Module, Batch, Batch]:
    """Net, training batch and clean batch: the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = case.make()
        sizes = (case.n, case.m)
        X, X_clean = (torch.randn(size, *case.shape).to(device) for size in sizes)
        y, y_clean = (torch.randint(case.n_classes, (size,)).to(device) for size in sizes)
    return net.to(device), (X, y), (X_clean, y_clean)


def setting(case: Case, net: nn.Module, batch: Batch, clean_batch: Batch) -> Setting:
    """What one arm gets, with a copy of the net."""
    net = copy.deepcopy(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    return Setting(net, optimizer, batch, clean_batch, case.twice)


def without_dropout(net: nn.Module) -> nn.Module:
    """Copy of a net that draws no masks."""
    net = copy.deepcopy(net)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    return net


@cache
def true_weights(case: Case, meta_parameters: str | None, device: str) -> Tensor:
    """Weights that arms should find, by Algorithm 1 as it stands.

    In float32: convolutions of float64 take minutes on CPU. The tests do it in float64.
    """
    net, batch, clean_batch = draw(case, device)
    return literal_weights(setting(case, without_dropout(net), batch, clean_batch), meta_parameters)


def weights_error(case: Case, name: str, weights: Tensor | None, device: str) -> float | None:
    """Largest error of the weights of an arm's first step; ValueError if it is too large."""
    if weights is None:
        return None
    expected = true_weights(case, "last" if name == "ours:last" else None, device)
    error = float((weights - expected).abs().max())
    tolerance = 0.5 * float(expected.max()) if name in INEXACT else TOLERANCE
    if not error <= tolerance:
        raise ValueError(f"its weights are off by {error:.2g}, allowed are {tolerance:.2g}")
    return error


def timed(step: Callable[[], Any], device: str) -> float:
    """Seconds of a step; an accelerator is waited for."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def time_arms(
    steps: dict[str, Callable[[], Any]], rounds: int, device: str
) -> dict[str, list[float]]:
    """Seconds of every step: one of each arm in turn, in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            seconds[name].append(timed(step, device))
    return seconds


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _rise_on_cpu(step: Callable[[], Any]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    assert recorded.profiler is not None
    results = recorded.profiler.kineto_results
    assert results is not None
    changes = [(e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]"]
    level = highest = 0
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        level += change
        highest = max(highest, level)
    return highest


def _rise_on_cuda(step: Callable[[], Any]) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def peak_memory(arm: Arm, given: Setting, device: str) -> int:
    """Bytes: what a step starts from, and the most that is allocated beyond it."""
    gc.collect()
    given.optimizer.zero_grad()
    state = [t for slots in given.optimizer.state.values() for t in slots.values()]
    held = [*given.net.parameters(), *given.net.buffers(), *given.batch, *given.clean_batch]
    tensors = [*held, *(t for t in state if isinstance(t, Tensor))]
    rise = _rise_on_cuda if device == "cuda" else _rise_on_cpu
    return _size(tensors) + rise(arm.step)


def prepare(case: Case, name: str, device: str) -> tuple[Arm, Setting, float | None]:
    """Arm that is right and warmed up, what it works on, and the error of its weights."""
    net, *batches = draw(case, device)
    given = setting(case, net, *batches)
    arm = checked = ARMS[name](given)
    if case.dropout:
        checked = ARMS[name](setting(case, without_dropout(net), *batches))
    error = weights_error(case, name, checked.step(), device)
    arm.step()
    return arm, given, error


def reason(exception: Exception) -> str:
    """Why an arm is left out, in one line."""
    if isinstance(exception, ModuleNotFoundError):
        return f"{exception.name} is not installed"
    lines = str(exception).strip().splitlines()
    line = lines[0] if lines else "no message"
    return f"{type(exception).__name__}: {textwrap.shorten(line, 200, placeholder=' ...')}"


def run_case(
    case: Case, names: list[str], rounds: int, device: str
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Results by arm; and, for arms that are left out, why."""
    ready: dict[str, tuple[Arm, Setting, float | None]] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            ready[name] = prepare(case, name, device)
        except Exception as exception:  # other packages fail in any way
            if name == "plain":
                raise
            skipped[name] = reason(exception)
    seconds = time_arms({name: arm.step for name, (arm, *_) in ready.items()}, rounds, device)
    found: dict[str, dict[str, Any]] = {}
    for name, (arm, given, error) in ready.items():
        median = statistics.median(seconds[name])
        memory = peak_memory(arm, given, device)
        plain = found.get("plain", {"ms": 1e3 * median, "memory_mb": memory / 1e6})
        found[name] = {
            "ms": 1e3 * median,
            "ratio": 1e3 * median / plain["ms"],
            "memory_mb": memory / 1e6,
            "memory_ratio": memory / 1e6 / plain["memory_mb"],
            "weights_error": error,
            "way": arm.note(),
            "rounds": rounds,
        }
    return found, skipped


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def environment(device: str) -> dict[str, Any]:
    """Machine, versions and date."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "versions": versions,
        "device": device,
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    names = [*CASES, FITS]
    parser.add_argument("--nets", nargs="+", choices=names, default=names, metavar="NET")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM")
    parser.add_argument("--rounds", type=int, help="for every net; default: by net, 5 to 300")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="of torch; default: 2")
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file")
    parser.add_argument("--check", action="store_true", help="fail if a figure is missed")
    return parser


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what is asked for, and say at once what is left out."""
    names = [name for name in ARMS if name in args.arms or name == "plain"]
    results: dict[str, Any] = {**environment(args.device), "steps": {}, "skipped": {}, "fits": {}}
    for net in [net for net in CASES if net in args.nets]:
        rounds = CASES[net].rounds if args.rounds is None else args.rounds
        found, skipped = run_case(CASES[net], names, rounds, args.device)
        results["steps"][net] = found
        results["skipped"][net] = skipped
        print(f"{net}: {len(found)} arms, {rounds} rounds", flush=True)
        for name, why in skipped.items():
            print(f"  left out: {name}: {why}", flush=True)
    if FITS in args.nets:
        rounds = 5 if args.rounds is None else args.rounds
        results["fits"] = time_fits(10_000, epochs=5, rounds=rounds, device=args.device)
    results["verdicts"] = verdicts(results)
    return results


def main(arguments: list[str] | None = None) -> int:
    """Run, print the tables, write the results."""
    parser = _parser()
    args = parser.parse_args(arguments)
    for name in ("rounds", "threads"):
        number = getattr(args, name)
        if number is not None and number < 1:
            parser.error(f"Got --{name} {number}, but expected a positive number.")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("Got --device cuda, but torch finds no CUDA device.")
    torch.set_num_threads(args.threads)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler reports its starts and stops
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages, whose code is what it is
        results = run(args)
    print(report(results))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(results, indent=1) + "\n")
    missed = any(verdict["status"] == "missed" for verdict in results["verdicts"])
    return int(missed and args.check)


if __name__ == "__main__":
    raise SystemExit(main())
