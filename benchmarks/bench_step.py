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

*The first step*, in which the way is chosen, and that of another net of the same architecture, are
given too. ``--nets real`` are nets of timm and transformers (extra ``real``), with random weights.

*Whole fits.* And `partial_fit` of 100 rows, in a net that was fitted before. See
`benchmarks.step.fits`.

What cannot be run is said, with the reason.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import warnings
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

from benchmarks.step.cases import CASES, REAL
from benchmarks.step.fits import time_fits, time_partial_fits
from benchmarks.step.report import report, verdicts
from benchmarks.step.rivals import ARMS, OURS
from benchmarks.step.runs import run_case
from sklearn_l2rw.meta_gradient.ways import WAYS

RESULTS = Path(__file__).parent / "results" / "bench_step.json"
PACKAGES = ("torch", "numpy", "scikit-learn", "skorch", "higher", "torchopt", "betty-ml")
FITS, ALL_REAL = "fits", "real"


# One backward pass for each example takes minutes on the larger nets.
TOO_SLOW = [arm for arm in OURS if not WAYS.get(arm.removeprefix("ours:"), WAYS["merged"]).tried]
DEFAULT = [arm for arm in ARMS if arm not in TOO_SLOW or arm == "ours:finite_difference"]


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
    choices = [*names, *REAL, ALL_REAL]
    parser.add_argument("--nets", nargs="+", choices=choices, default=names, metavar="NET")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=DEFAULT, metavar="ARM")
    parser.add_argument("--rounds", type=int, help="for every net; default: by net, 5 to 300")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="of torch; default: 2")
    parser.add_argument("--amp", action="store_true", help="nets under autocast, in bfloat16")
    parser.add_argument("--compiled", action="store_true", help="nets by torch.compile")
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file")
    parser.add_argument("--check", action="store_true", help="fail if a figure is missed")
    return parser


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what is asked for, and say at once what is left out."""
    names = [name for name in ARMS if name in args.arms or name == "plain"]
    parts: dict[str, Any] = {"steps": {}, "skipped": {}, "fits": {}, "partial_fits": {}}
    results: dict[str, Any] = {**environment(args.device), **parts}
    asked_for = {*args.nets, *(REAL if ALL_REAL in args.nets else ())}
    cases = {**CASES, **REAL}
    for net in [net for net in cases if net in asked_for]:
        case = replace(cases[net], amp=args.amp, compiled=args.compiled)
        rounds = case.rounds if args.rounds is None else args.rounds
        found, skipped = run_case(case, names, rounds, args.device)
        results["steps"][net] = found
        results["skipped"][net] = skipped
        print(f"{net}: {len(found)} arms, {rounds} rounds", flush=True)
        for name, why in skipped.items():
            print(f"  left out: {name}: {why}", flush=True)
    if FITS in args.nets:
        rounds = 5 if args.rounds is None else args.rounds
        results["fits"] = time_fits(10_000, epochs=5, rounds=rounds, device=args.device)
        results["partial_fits"] = time_partial_fits(100, rounds=10 * rounds, device=args.device)
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
