"""Files that are whole or not believed: a backup is written while its process may be killed."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

_NAME, _BEFORE, _NEW = "fit.backup", "fit.backup.before", "fit.backup.new"


class BackupFile:
    """The last backup of a fit in a directory, and the one before.

    A file is a SHA-256 digest of the rest, a line with the version that wrote it, and what
    `torch.save` writes.

    Parameters
    ----------
    dirname : str or Path
        Directory of this one fit; made where there is none.
    version : str
        Of whoever reads and writes; files of another one are refused before they are unpickled.
    """

    def __init__(self, dirname: Any, version: str) -> None:
        self.directory = Path(dirname).expanduser().absolute()  # wherever a callback goes
        self.version = version

    def write(self, state: Any) -> None:
        """Write a backup; it takes the place of the last one once it is whole."""
        new, last = self.directory / _NEW, self.directory / _NAME
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                digested: Any = _Digested(file, self.version)
                torch.save(state, digested)
                digested.close()
            if last.exists():
                last.replace(self.directory / _BEFORE)
            new.replace(last)
        except OSError as error:
            with suppress(OSError):
                new.unlink()  # which may fill the disk
            error.add_note(
                f"A backup could not be written to {str(self.directory)!r}. If there is one before "
                "it, it is as it was: once there is room, the same fit goes on from there."
            )
            raise

    def read(self) -> Any:
        """Read the last backup that is whole; None where there is none.

        Raises
        ------
        ValueError
            If there are backups, and none of them is whole, or they are of another version.

        """
        paths = [path for name in (_NAME, _BEFORE) if (path := self.directory / name).exists()]
        broken: list[Path] = []
        for path in paths:
            content = _content(path)
            if content is None:
                broken.append(path)
                continue
            if broken:
                warnings.warn(
                    f"The backup {broken[0]} is cut short or damaged; training goes on from the "
                    "one before.",
                    UserWarning,
                    stacklevel=2,
                )
            return self._loaded(path, content)
        if broken:
            raise ValueError(
                f"Got backups in {str(self.directory)!r} that are cut short or damaged "
                f"({', '.join(path.name for path in broken)}), but expected at least one that is "
                "whole. Delete the directory, to begin anew."
            )
        return None

    def _loaded(self, path: Path, content: bytes) -> Any:
        line, _, rest = content.partition(b"\n")
        if line.decode(errors="replace") != self.version:
            raise ValueError(
                f"Got a backup {str(path)!r} of version {line.decode(errors='replace')[:40]!r}, "
                f"but expected one of {self.version!r}, which is running. Finish the fit with the "
                "version that began it, or delete the directory to begin anew."
            )
        return torch.load(io.BytesIO(rest), map_location="cpu", weights_only=False)

    def delete(self) -> None:
        """Delete the backups, and the directory if nothing else is in it."""
        if not self.directory.is_dir():
            return
        for path in self.directory.glob(f"{_NAME}*"):
            path.unlink()
        if not any(self.directory.iterdir()):
            self.directory.rmdir()


class _Digested:
    """File that begins with a digest of what is written to it, and is whole once it is closed."""

    def __init__(self, file: BinaryIO, version: str) -> None:
        self.file = file
        self.found = hashlib.sha256()
        file.write(bytes(self.found.digest_size))
        self.write(f"{version}\n".encode())

    def write(self, content: Any) -> int:
        self.found.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.seek(0)
        self.file.write(self.found.digest())
        self.file.flush()
        os.fsync(self.file.fileno())


def _content(path: Path) -> bytes | None:
    """What a file holds after its digest; None if that is not what was written."""
    with path.open("rb") as file:
        digest, content = file.read(hashlib.sha256().digest_size), file.read()
    return content if hashlib.sha256(content).digest() == digest else None
