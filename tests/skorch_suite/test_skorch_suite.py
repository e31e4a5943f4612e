"""skorch's own tests, as they are installed with it, run on our nets in the place of skorch's.

What fails is run again with skorch's own nets: what they fail as well, for want of a package or of
a network, is not ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import skorch

from .deviations import DEVIATIONS, SKORCH

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        skorch.__version__ != SKORCH,
        reason=f"deviations are those of skorch {SKORCH}, here is {skorch.__version__}",
    ),
]

TESTS = Path(skorch.__file__).parent / "tests"
SITE = TESTS.parents[1]
ROOT = Path(__file__).parents[2]
# not run: several processes that write one history, in which there is no step of a net
LEFT_OUT = "not TestDistributedHistoryMultiprocessing"


def run(name: str, cache: Path, *options: str) -> None:
    """Run a file of skorch's tests, without any settings of ours; outcomes are in the cache."""
    command = [sys.executable, "-m", "pytest", str(TESTS / name), "-q", "-k", LEFT_OUT]
    command += ["-c", os.devnull, "--rootdir", str(SITE), "-o", f"cache_dir={cache}", *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        command, cwd=cache.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-3000:]


def names_in(cache: Path, key: str) -> set[str]:
    """Names of tests in the cache, as file::class::test."""
    path = cache / "v" / "cache" / key
    found: Any = json.loads(path.read_text()) if path.exists() else []
    return {name.removeprefix("skorch/tests/") for name in found}


def outcomes(name: str, cache: Path) -> tuple[set[str], set[str]]:
    """Tests that fail with our nets and pass with skorch's own, and those that pass with ours."""
    run(name, cache, "-p", "tests.skorch_suite.plugin")
    failed, passed = names_in(cache, "lastfailed"), names_in(cache, "passed")
    if failed:
        run(name, cache, "--last-failed")
    return failed - names_in(cache, "lastfailed"), passed


@pytest.mark.parametrize("name", DEVIATIONS)
def test_deviations_are_those_listed(name: str, tmp_path: Path) -> None:
    pytest.importorskip("flaky", reason="skorch's tests need flaky")
    if not (TESTS / name).exists():
        pytest.skip(f"skorch was installed without its tests: there is no {name}")
    failed, passed = outcomes(name, tmp_path / "cache")
    listed = {test: reason for reason, tests in DEVIATIONS[name].items() for test in tests}

    def is_listed(test: str) -> bool:
        short = test.removeprefix(f"{name}::")
        return short in listed or short.partition("[")[0] in listed

    assert sorted(test for test in failed if not is_listed(test)) == []
    assert sorted(test for test in passed if is_listed(test)) == []  # no longer: take them out
    known = {test.removeprefix(f"{name}::") for test in names_in(tmp_path / "cache", "nodeids")}
    known |= {test.partition("[")[0] for test in known}
    assert sorted(listed.keys() - known) == []
