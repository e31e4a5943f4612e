"""Hold the committed results to what the READMEs claim: ``python -m benchmarks.check``.

Prints a line for each claim of `benchmarks.reporting.claims`; the exit status is 1 where one fails,
or has no results. The targets follow, reached, missed or not measured, and have no say in it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.reporting import results
from benchmarks.reporting.claims import CLAIMS
from benchmarks.reporting.judges import Claim, Verdict
from benchmarks.reporting.tables import Results
from benchmarks.reporting.targets import TARGETS


def judge(claim: Claim, folder: Path) -> Verdict:
    """Judge a claim by the results in a folder; one without results fails."""
    found = Results.read(claim.experiment, claim.preset, folder)
    if not found.tests:
        path = results.path_of(claim.experiment, claim.preset, folder)
        return Verdict(False, f"no results in {path.name}", measured=False)
    return claim.judge(found)


def check(claims: Iterable[Claim], folder: Path) -> bool:
    """Print the verdict on each claim; whether all hold."""
    verdicts = [(claim, judge(claim, folder)) for claim in claims]
    for claim, verdict in verdicts:
        status = "holds" if verdict.holds else "FAILS"
        print(f"{status}: {claim.experiment} {claim.preset}, {claim.text}: {verdict.found}")
    return all(verdict.holds for _, verdict in verdicts)


def report(targets: Iterable[Claim], folder: Path) -> None:
    """Print which targets are reached."""
    for target in targets:
        verdict = judge(target, folder)
        missed = "missed" if verdict.measured else "not measured"
        status = "reached" if verdict.holds else missed
        print(f"{status}: {target.experiment} {target.preset}, {target.text}: {verdict.found}")


def main(arguments: list[str] | None = None) -> int:
    """Check all claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=results.FOLDER, help="folder")
    args = parser.parse_args(arguments)
    try:
        holds = check(CLAIMS, args.results)
        report(TARGETS, args.results)
        return 0 if holds else 1
    except results.ResultsError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
