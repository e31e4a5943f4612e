"""Strange input for the four estimators: how many cases end as they should, and which do not.

Run ``python -m benchmarks.fuzz --cases 10000 --jobs 2``. A case gives an estimator rows, labels,
weights, a clean set, a module and parameters, all usual but for up to three of them. It ends well
if it is fitted, or refused by a ValueError or TypeError before the first step that says what to do,
and if what `benchmarks.fuzzing.properties` lists holds. Cases follow from the number of their
block, so that a run that was stopped goes on, and ``--block`` repeats one.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.fuzzing.cases import Case, cases
from benchmarks.fuzzing.properties import Offender, run
from benchmarks.reporting.results import FOLDER, environment

RESULTS = FOLDER / "fuzz.json"
SIZE = 100  # cases of a block
SHOWN = 20  # offenders that are told in full

Found = dict[str, Any]


def block(number: int, size: int = SIZE) -> Found:
    """Run the cases of a block; return counts, by estimator and outcome, and offenders."""
    torch.set_num_threads(1)
    counts: Counter[str] = Counter()
    offenders: list[str] = []

    @seed(number)
    @settings(
        max_examples=size,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def each(case: Case) -> None:
        try:
            outcome = run(case)
        except Offender as offence:
            outcome = "offender"
            offenders.append(str(offence))
        counts[f"{case.estimator}: {outcome}"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of a fit are looked at in a case
        each()
    return {"counts": dict(counts), "offenders": offenders}


def read(path: Path) -> Found:
    """What was found so far; nothing where there is no file."""
    if not path.exists():
        return {"blocks": 0, "cases": 0, "commits": {}, "counts": {}, "offenders": []}
    found: Found = json.loads(path.read_text())
    return found


def write(path: Path, found: Found) -> None:
    """Write all at once, so that no kill leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    half.write_text(json.dumps(found, indent=1) + "\n")
    half.replace(path)


def _blocks(numbers: range, jobs: int) -> Iterator[Found]:
    if jobs == 1:
        yield from map(block, numbers)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(block, numbers)


def add(found: Found, done: Found) -> None:
    """Count a block, and its cases by commit: a run that goes on may do so on another one."""
    n_cases = sum(done["counts"].values())
    found["blocks"] += 1
    found["cases"] += n_cases
    commit = found["environment"]["commit"]
    found["commits"][commit] = found["commits"].get(commit, 0) + n_cases
    counts: Counter[str] = Counter(found["counts"]) + Counter(done["counts"])
    found["counts"] = dict(sorted(counts.items()))
    found["offenders"] += done["offenders"]


def fuzz(n_cases: int, jobs: int, path: Path) -> Found:
    """Go on from what the file has until so many cases were run."""
    found = read(path)
    for done in _blocks(range(found["blocks"], -(-n_cases // SIZE)), jobs):
        found["environment"] = environment("fuzz", "cpu")  # of the last block
        add(found, done)
        write(path, found)
        print(f"{found['cases']:,} cases, {len(found['offenders'])} offenders", flush=True)
    return found


def report(found: Found) -> str:
    """Outcomes, a line each, and offenders."""
    lines = [f"{n:>7,}  {name}" for name, n in found["counts"].items()]
    total = f"{found['cases']:,} cases, {len(found['offenders'])} offenders"
    return "\n".join([*lines, total, *found["offenders"][:SHOWN]])


def main(arguments: list[str] | None = None) -> int:
    """Run, write the results; 1 if anything did not hold."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--cases", type=int, default=10_000, help="default: 10,000")
    parser.add_argument("--jobs", type=int, default=1, help="processes; default: 1")
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file")
    parser.add_argument("--block", type=int, help="run this block alone, and write nothing")
    args = parser.parse_args(arguments)
    for name in ("cases", "jobs"):
        if getattr(args, name) < 1:
            parser.error(f"Got --{name} {getattr(args, name)}, but expected a positive number.")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that are started
    if args.block is None:
        found = fuzz(args.cases, args.jobs, args.output)
    else:
        found = block(args.block)
        found["cases"] = sum(found["counts"].values())
    print(report(found))
    return int(bool(found["offenders"]))


if __name__ == "__main__":
    raise SystemExit(main())
