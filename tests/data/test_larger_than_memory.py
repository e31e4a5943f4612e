"""Training on arrays and data sets that are larger than the memory that a process may have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.data import larger_than_memory
from tests.data.larger_than_memory import N

WEIGHED = {
    "given": N, "double": N, "images": N, "split_off": N - 20, "mask": N - 16, "weighted": N // 2,
    "validated": N - 410, "predicted": -1, "scored": -1, "streamed": N - 410,
    "regressed": N - 20, "several": N, "tensors": N, "subset": N - 20, "lazy": N,
    "lazy_subset": N - 20, "stream": -1,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts what is mapped elsewhere")
def test_fits_in_half_of_the_memory_that_the_data_take(tmp_path: Path) -> None:
    """Each has weights of all rows that it was trained on, where rows have numbers."""
    command = [sys.executable, "-W", "error", "-m", larger_than_memory.__name__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines == [f"{name} done {n}" for name, n in WEIGHED.items()]
