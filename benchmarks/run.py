"""Run an experiment: ``python -m benchmarks.run EXPERIMENT --preset quick --jobs 2``.

Each finished run is a line in ``benchmarks/results/EXPERIMENT-PRESET.jsonl``. A run that was
stopped, by Ctrl-C or a kill, goes on with the same command. ``python -m benchmarks.report`` makes
tables and figures of the results.

Another joblib backend takes over the runs with two lines around `run`:

    client = dask.distributed.Client()
    with joblib.parallel_config(backend="dask"):
        run("noise-cifar", "paper", n_jobs=-1)
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed, effective_n_jobs
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.data.errors import DataError
from benchmarks.data.loaders import load
from benchmarks.experiments import EXPERIMENTS, PRESETS
from benchmarks.experiments.label_errors import LIKE
from benchmarks.experiments.preset import Job, Preset, Row
from benchmarks.experiments.training_run import Scores, choose_lr, next_lr
from benchmarks.methods import ABLATION, ARMS, BASE, is_installed, tuned_as
from benchmarks.methods.options import OPTIONS
from benchmarks.methods.others import MissingPackageError
from benchmarks.reporting import results


class StoppedError(BaseException):
    """Ctrl-C; not KeyboardInterrupt, by which skorch ends a fit as if it were done."""


# -- which runs there are --------------------------------------------------------------------


def choose_arms(experiment: str, preset: Preset, arms: list[str] | None) -> list[str]:
    """Arms to run: those that are named, or those of the preset whose packages are installed.

    Raises
    ------
    ValueError
        If there is no such arm.
    MissingPackageError
        If an arm that is named needs a package that is not installed.

    """
    names = EXPERIMENTS[experiment].arms
    for name in arms or ():
        if name not in names:
            alone = [name for name in names if name in BASE | ABLATION or name not in ARMS]
            raise ValueError(
                f"Got arm {name!r}, but expected some of {', '.join(alone)}; a net's name may end "
                f"in some of {', '.join(f'_{option}' for option in OPTIONS)}, in that order."
            )
        if not _installed(name):
            raise MissingPackageError(
                f"The arm {name!r} needs {ARMS[name].package}, which is not installed. Run "
                f"`pip install {ARMS[name].package}`, or leave the arm out."
            )
    if arms is not None:
        return arms
    for name in preset.arms:
        if not _installed(name):
            print(f"Left out: {name}, for want of the package {ARMS[name].package}.")
    return [name for name in preset.arms if _installed(name)]


def _installed(arm: str) -> bool:
    return arm not in ARMS or is_installed(arm)


def plan(name: str, preset_name: str, arms: list[str], seeds: int, **where: Any) -> list[Job]:
    """All runs of an experiment, seed by seed."""
    preset = EXPERIMENTS[name].presets[preset_name]
    return [
        Job(name, preset_name, arm, point, seed, **where)
        for seed in range(seeds)
        for point in preset.points
        for arm in arms
    ]


def tuning_job(job: Job) -> Job | None:
    """The choice of a learning rate that a run waits for; None if there is nothing to choose."""
    experiment = EXPERIMENTS[job.experiment]
    preset = experiment.presets[job.preset]
    like = LIKE.get(job.arm) or tuned_as(job.arm)
    if experiment.tuned_at is None or like is None or len(preset.training.lrs) == 1:
        return None
    point, seed = experiment.tuned_at(preset, job.point, job.seed)
    return replace(job, arm=like, point=point, seed=seed)


def key_of(job: Job) -> results.Key:
    """Key of a run."""
    return results.key(job.arm, job.point, job.seed)


# -- doing them ------------------------------------------------------------------------------


def work(kind: str, job: Job, known: Scores) -> Row:
    """Do one run; in a process of joblib's, leave Ctrl-C to the one that waits for it."""
    if multiprocessing.parent_process() is not None:
        with contextlib.suppress(ValueError):  # not in the main thread, under some backends
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    experiment = EXPERIMENTS[job.experiment]
    preset = experiment.presets[job.preset]
    with threadpool_limits(1):
        tune = kind == "tune"
        found = choose_lr(experiment, preset, job, known) if tune else experiment.run(preset, job)
    return {"kind": kind, "arm": job.arm, "point": job.point, "seed": job.seed, **found}


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn Ctrl-C into `StoppedError`."""

    def stop(*_: Any) -> None:
        raise StoppedError

    try:
        before = signal.signal(signal.SIGINT, stop)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run(
    name: str, preset_name: str = "quick", *, arms: list[str] | None = None,
    seeds: int | None = None, n_jobs: int = 1, data_home: str | None = None, device: str = "cpu",
    folder: Path = results.FOLDER, progress: bool = True,
) -> Path:  # fmt: skip
    """Run what is missing of an experiment.

    Parameters
    ----------
    name, preset_name : str
        Of `EXPERIMENTS`, and of its presets.
    arms, seeds
        Names of arms, number of seeds or folds; None takes those of the preset.
    n_jobs : int
        Runs at a time, each with one thread.
    data_home : str or None
        Where data sets are kept; None is scikit-learn's.
    device, folder, progress
        Device of torch; where the results go; whether a bar is shown.

    Returns
    -------
    path : Path
        File of the results.

    """
    preset = EXPERIMENTS[name].presets[preset_name]
    chosen = choose_arms(name, preset, arms)
    path = results.path_of(name, preset_name, folder)
    rows = results.read(path, preset.digest())
    n_seeds = preset.n_seeds if seeds is None else seeds
    jobs = plan(name, preset_name, chosen, n_seeds, data_home=data_home, device=device)
    todo = ToDo(jobs, rows)
    pending = [job for job, _ in (*todo.tunings(), *todo.tests())]
    if pending:
        load_all(pending)
        results.append(path, results.environment(preset.digest(), device))
        do_all(todo, path, n_jobs, progress)
    return path


class ToDo:
    """What is missing of some runs.

    A learning rate at an edge of those that were tried is not settled. A run at another rate than
    the one that is best by now is to be done again.
    """

    def __init__(self, jobs: list[Job], rows: list[Row]) -> None:
        self.jobs = jobs
        self.tuned = results.by_key(rows, "tune")
        self.finished = results.by_key(rows, "test")

    def tunings(self) -> list[tuple[Job, Scores]]:
        """Choices of a learning rate, with the scores that are known."""
        jobs = {key_of(job): job for job in map(tuning_job, self.jobs) if job is not None}
        known = {k: self.tuned[k]["held_out"] if k in self.tuned else {} for k in jobs}
        return [(job, known[k]) for k, job in jobs.items() if not known[k] or next_lr(known[k])]

    def tests(self) -> list[tuple[Job, Scores]]:
        """Runs at the learning rates that were chosen, as far as they were."""
        missing: list[tuple[Job, Scores]] = []
        for job in map(self._with_lr, self.jobs):
            row = self.finished.get(key_of(job))
            if row is None or row.get("lr") != job.lr:
                missing.append((job, {}))
        return missing

    def _with_lr(self, job: Job) -> Job:
        tuning = tuning_job(job)
        row = None if tuning is None else self.tuned.get(key_of(tuning))
        return job if row is None else replace(job, lr=row["lr"])


def do_all(todo: ToDo, path: Path, n_jobs: int, progress: bool) -> None:
    """Choose the learning rates that are missing, then do the runs."""
    tunings = todo.tunings()
    with interruptible(), tqdm(total=len(tunings), disable=not progress) as bar:
        do = _doer(path, n_jobs, bar)
        todo.tuned |= results.by_key(do("tune", tunings), "tune")
        tests = todo.tests()
        bar.total = len(tunings) + len(tests)
        list(do("test", tests))


def _doer(
    path: Path, n_jobs: int, bar: Any
) -> Callable[[str, list[tuple[Job, Scores]]], Iterator[Row]]:
    """Function that does jobs in parallel, and writes each result down as it comes."""

    def do(kind: str, jobs: list[tuple[Job, Scores]]) -> Iterator[Row]:
        bar.set_description("learning rates" if kind == "tune" else "runs")
        for row in _in_parallel(n_jobs, [delayed(work)(kind, *job) for job in jobs]):
            results.append(path, row)
            bar.update()
            yield row

    return do


def _in_parallel(n_jobs: int, tasks: list[Any]) -> Iterator[Row]:
    """Yield results as they come; with backends that cannot (Ray's), a batch at a time."""
    try:
        parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except ValueError:
        parallel = Parallel(n_jobs=n_jobs)
        size = max(1, effective_n_jobs(n_jobs))
        for start in range(0, len(tasks), size):
            yield from parallel(tasks[start : start + size])
    else:
        yield from parallel(tasks)


def load_all(jobs: list[Job]) -> None:
    """Load each data set once before the runs start, so that it is fetched once."""
    names = {(_data_of(job), job.data_home) for job in jobs}
    for data, data_home in sorted(names, key=str):
        if data:
            load(data, data_home)


def _data_of(job: Job) -> str:
    preset = EXPERIMENTS[job.experiment].presets[job.preset]
    return str(job.point.get("data", preset.data))


# -- the command -----------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("experiment", choices=list(EXPERIMENTS), metavar="EXPERIMENT",
                        help=", ".join(EXPERIMENTS))  # fmt: skip
    parser.add_argument("--preset", default="quick", help=", ".join(PRESETS) + "; default: quick")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="default: those of the preset")
    parser.add_argument("--seeds", type=int, help="how many; default: those of the preset")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; default: 1")
    parser.add_argument("--data-home", help="where data sets are kept; default: scikit-learn's")
    parser.add_argument("--device", default="cpu", help="of torch; default: cpu")
    parser.add_argument("--results", type=Path, default=results.FOLDER, help="folder")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = _parser()
    args = parser.parse_args(arguments)
    presets = EXPERIMENTS[args.experiment].presets
    if args.preset not in presets:
        parser.error(f"Got --preset {args.preset}, but expected one of {', '.join(presets)}.")
    for name in ("seeds", "jobs"):
        number = getattr(args, name)
        if number is not None and number < 1:
            parser.error(f"Got --{name} {number}, but expected a positive number.")
    if args.device != "cpu" and not torch.cuda.is_available():
        parser.error(f"Got --device {args.device}, but torch finds no CUDA device.")
    path = results.path_of(args.experiment, args.preset, args.results)
    try:
        run(
            args.experiment, args.preset, arms=args.arms, seeds=args.seeds, n_jobs=args.jobs,
            data_home=args.data_home, device=args.device, folder=args.results,
        )  # fmt: skip
    except StoppedError:
        print(f"\nStopped. What is finished is in {path}; the same command goes on.")
        return 130
    except (ValueError, DataError, MissingPackageError, results.ResultsError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Results: {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
