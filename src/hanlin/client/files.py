"""Local files for upload and download: listing, streamed digests, reading pieces. Blocking; knows no server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.types import shorten

PIECE_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload: where it is, its name for the server (`/` between parts), and its digest."""

    source: Path
    path: str
    sha256: str
    size_bytes: int


def list_files(source: Path) -> list[tuple[Path, str]]:
    """The file itself, or all files below a folder in name order, hidden ones and links that lead out left aside.

    Raises:
        InvalidInput: `file_missing` or `folder_empty`.
    """
    if source.is_file():
        return [(source, source.name)]
    if not source.is_dir():
        raise InvalidInput("file_missing", path=shorten(str(source), 200))
    root = source.resolve()
    found = []
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        is_hidden = any(part.startswith(".") for part in inside.parts)
        if not is_hidden and path.is_file() and path.resolve().is_relative_to(root):
            found.append((path, inside.as_posix()))
    if not found:
        raise InvalidInput("folder_empty", path=shorten(str(source), 200))
    return found


def digest_file(path: Path) -> tuple[str, int]:
    """SHA-256 in hex and size, read once in pieces. Raises InvalidInput (`file_unreadable`)."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return digest.hexdigest(), file.tell()
    except OSError as error:
        raise InvalidInput("file_unreadable", path=shorten(str(path), 200), problem=error.strerror) from error


def describe_files(source: Path) -> list[LocalFile]:
    """All files of `source` with their digests."""
    return [LocalFile(path, name, *digest_file(path)) for path, name in list_files(source)]


def read_piece(path: Path, offset: int, size: int = PIECE_BYTES) -> bytes:
    """Up to `size` bytes from `offset`. Raises InvalidInput (`file_unreadable`)."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except OSError as error:
        raise InvalidInput("file_unreadable", path=shorten(str(path), 200), problem=error.strerror) from error
