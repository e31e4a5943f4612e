"""Results as JSON lines: one a finished run, appended, so that what was stopped goes on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

Row = dict[str, Any]
Key = tuple[str, str, int]

FORMAT = 1
FOLDER = Path(__file__).parents[1] / "results"
PACKAGES = (
    "sklearn_l2rw", "torch", "numpy", "scipy", "scikit-learn", "skorch", "imbalanced-learn",
    "cleanlab",
)  # fmt: skip


class ResultsError(Exception):
    """A file of results that cannot be gone on with."""


def path_of(experiment: str, preset: str, folder: Path = FOLDER) -> Path:
    """File of an experiment's results."""
    return folder / f"{experiment}-{preset}.jsonl"


def read(path: Path, digest: str | None = None) -> list[Row]:
    """Rows of a file, without a last line that was cut off by a kill; none if there is no file.

    Parameters
    ----------
    path : Path
        The file.
    digest : str or None
        Of the preset as it is now. None takes any.

    Raises
    ------
    ResultsError
        If the file was written in another format, or for other settings of the preset.

    """
    if not path.exists():
        return []
    rows = [_parse(line, path) for line in path.read_text().splitlines(keepends=True)]
    found = [row for row in rows if row is not None]
    for row in found:
        if row["kind"] == "environment":
            _check_version(row, path, digest)
    if found and found[0]["kind"] != "environment":
        raise ResultsError(f"Got {path} without an environment in its first line. {_MOVE}")
    return found


def key(arm: str, point: Any, seed: int) -> Key:
    """What tells one run from another in a file."""
    return arm, json.dumps(point, sort_keys=True), seed


def by_key(rows: Iterable[Row], kind: str) -> dict[Key, Row]:
    """Rows of a kind, by what tells one run from another; the last one counts."""
    return {key(r["arm"], r["point"], r["seed"]): r for r in rows if r["kind"] == kind}


_MOVE = "Move it away to begin anew, or check out the version that wrote it."


def _parse(line: str, path: Path) -> Row | None:
    if not line.endswith("\n"):
        return None
    try:
        row: Row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ResultsError(f"Got {path} with a line that is no JSON ({error}). {_MOVE}") from error
    return row


def _check_version(row: Row, path: Path, digest: str | None) -> None:
    if row.get("format") != FORMAT:
        raise ResultsError(
            f"Got {path} of format {row.get('format')}, but expected {FORMAT}. {_MOVE}"
        )
    if digest is not None and row["digest"] != digest:
        raise ResultsError(
            f"Got {path} for other settings of this preset ({row['digest']}), but expected those "
            f"of now ({digest}). {_MOVE}"
        )


def append(path: Path, row: Row) -> None:
    """Add a row; after a line that was cut off, in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        size = file.tell()
        file.seek(max(0, size - 1))
        if file.read() not in (b"", b"\n"):
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def environment(digest: str, device: str) -> Row:
    """Row that says where, when and with what the rows after it were made."""
    return {
        "kind": "environment",
        "format": FORMAT,
        "digest": digest,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if device != "cpu" else "cpu",
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Commit of the checkout; with a plus where files that it tracks were changed."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        found = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.decode().strip()


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
