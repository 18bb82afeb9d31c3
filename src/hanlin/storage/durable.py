"""Writing files so that a crash or a power cut leaves either the old file or the whole new one.

The order is always: temporary file beside the target, write, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

CHUNK_BYTES = 1 << 20


def write_atomically(target: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replaces `target` by `data`, durably. Raises OSError; then nothing has changed and no temporary file stays."""
    temporary = temporary_beside(target)
    try:
        write_new(temporary, (data,), mode=mode)
        publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(target: Path) -> Path:
    """A fresh name in the same folder; the dot keeps it out of listings."""
    return target.with_name(f".{target.name[:80]}.{secrets.token_hex(6)}.tmp")


def write_new(path: Path, chunks: Iterable[bytes], *, mode: int = 0o644) -> None:
    """Creates `path` (must not exist) from `chunks` and waits until the disk has it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), mode)
    try:
        for chunk in chunks:
            write_all(handle, chunk)
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes | bytearray | memoryview) -> None:
    """Writes all of `data`; a short write is continued, not mistaken for success."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def publish(temporary: Path, target: Path) -> None:
    """Renames a synced file over `target` and syncs the folder, so that the name survives a power cut."""
    os.replace(temporary, target)  # noqa: PTH105 - the one call whose atomicity everything rests on
    sync_folder(target.parent)


def remove_stale(folder: Path, *, before_s: float) -> int:
    """Removes temporary files and folders in `folder` last changed before `before_s` (seconds since 1970); returns how many.

    They belong to writers that died: one that lives is done, or has written since.
    """
    count = 0
    for path in folder.glob(".*"):
        if path.suffix != ".tmp" or path.lstat().st_mtime >= before_s:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        count += 1
    return count


def sync_folder(folder: Path) -> None:
    """Makes the entries of `folder` durable. Does nothing where folders cannot be opened (Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
