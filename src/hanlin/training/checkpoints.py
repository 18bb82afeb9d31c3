"""Checkpoints in a folder: written aside, synced, renamed. A killed process leaves complete ones or none; half-written ones are swept."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

_COMPLETE = re.compile(r"step-\d{9}")


class FolderCheckpoints:
    """Keeps the newest `keep` checkpoints under `root`. One process at a time."""

    def __init__(self, root: Path, *, keep: int = 2) -> None:
        self._root = root
        self._keep = keep
        root.mkdir(parents=True, exist_ok=True)
        for path in root.iterdir():
            if path.name.endswith(".part"):
                shutil.rmtree(path, ignore_errors=True)

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """See `Checkpoints.save`. A checkpoint of the same step is replaced."""
        final = self._root / f"step-{step:09d}"
        part = self._root / f"{final.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        write(part)
        for path in part.iterdir():
            _sync(path)
        _sync(part)
        self._remove(final)
        part.rename(final)
        _sync(self._root)
        for old in self._complete()[: -self._keep]:
            self._remove(old)

    def latest(self) -> Path | None:
        """See `Checkpoints.latest`."""
        complete = self._complete()
        return complete[-1] if complete else None

    def _remove(self, path: Path) -> None:
        # Renamed first: a kill amid the deletion must not leave half a checkpoint under a good name.
        if path.exists():
            gone = path.with_name(f"{path.name}.old.part")
            shutil.rmtree(gone, ignore_errors=True)
            path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _complete(self) -> list[Path]:
        return sorted(path for path in self._root.iterdir() if _COMPLETE.fullmatch(path.name))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
