"""The door to stored bytes: `BlobStore`, its registry by URL scheme, and reading that verifies.

A blob is named by the SHA-256 of its content; nothing else names it. Stores live in `hanlin.storage.stores`,
one file a scheme. This file knows none of them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from hanlin.errors import DataCorrupt, InvalidInput
from hanlin.plugins import PluginRegistry
from hanlin.storage.durable import CHUNK_BYTES
from hanlin.types import Digest, is_digest, shorten


@dataclass(frozen=True, slots=True)
class BlobStat:
    """A stored blob. `touched_at` is the last time it was put (also when it was there already)."""

    digest: Digest
    size_bytes: int
    touched_at: datetime


class BlobStore(Protocol):
    """Bytes by digest. All methods may be called from any thread and from many processes at once.

    Raises (all methods): NotReady `storage_full` or `storage_unavailable` when the disk or the service fails;
    InvalidInput `invalid_digest` for anything that is not 64 lower-case hex digits.
    """

    def put(self, source: Path | bytes, *, digest: Digest | None = None, can_move: bool = False) -> Digest:
        """Stores `source` and returns its digest; durable and visible in one step, or not at all.

        Args:
            source: the content, or the file that holds it.
            digest: the digest the caller expects.
            can_move: the store may take the source file away instead of copying it.

        Raises:
            InvalidInput: `digest_mismatch` when the content has another digest than expected; nothing is stored.
        """

    def open(self, digest: Digest) -> BinaryIO:
        """A reader that raises DataCorrupt (`artifact_corrupt`) at the end if the bytes are not what they should be.

        Raises NotFound (`blob_not_found`).
        """

    def get(self, digest: Digest, target: Path, *, is_shared: bool = False) -> None:
        """Writes the verified blob to `target` (must not exist).

        Args:
            digest: which blob.
            target: the file to make; removed again on failure.
            is_shared: the caller will never write to `target`, so it may be a hard link into the store.

        Raises:
            NotFound: `blob_not_found`.
            DataCorrupt: `artifact_corrupt`.
        """

    def stat(self, digest: Digest) -> BlobStat | None:
        """What is stored under `digest`, or None."""

    def list(self) -> Iterator[BlobStat]:
        """Every blob, in no particular order."""

    def delete(self, digest: Digest) -> None:
        """Removes a blob; does nothing when there is none."""

    def tidy(self, before: datetime) -> int:
        """Removes what writers that died before this moment left half done; returns how many. Blobs are not touched."""


class StoreKind(Protocol):
    """A plugin: makes a store of its kind from a URL."""

    def open(self, url: str) -> BlobStore:
        """Raises InvalidInput when the URL is wrong or an extra is missing."""


STORES: PluginRegistry[StoreKind] = PluginRegistry("blob store", package="hanlin.storage.stores", group="hanlin.storage")


def open_blobs(url: str) -> BlobStore:
    """The store behind `url`: `scheme://…`, or a plain path for files. Raises InvalidInput."""
    return STORES.get(url.partition("://")[0] if "://" in url else "file").open(url)


def check_digest(text: str) -> Digest:
    """`text` as a digest. Raises InvalidInput (`invalid_digest`) unless it is 64 lower-case hex digits."""
    if not is_digest(text):
        raise InvalidInput("invalid_digest", digest=shorten(text, 80))
    return Digest(text)


def digest_bytes(data: bytes) -> Digest:
    """SHA-256 of `data`."""
    return Digest(hashlib.sha256(data).hexdigest())


def digest_file(path: Path) -> Digest:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return Digest(hashlib.file_digest(stream, "sha256").hexdigest())


def check_match(actual: Digest, expected: Digest | None) -> None:
    """Raises InvalidInput (`digest_mismatch`) when a digest was expected and another came."""
    if expected is not None and actual != expected:
        raise InvalidInput("digest_mismatch", expected=expected, actual=actual)


class VerifyingReader(io.RawIOBase):
    """Reads a stream to its end while hashing; the last read raises DataCorrupt if the digest is wrong."""

    def __init__(self, stream: BinaryIO, digest: Digest) -> None:
        super().__init__()
        self._stream = stream
        self._digest = digest
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fills `buffer`; 0 means a verified end. Raises DataCorrupt (`artifact_corrupt`)."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed's Buffer is 3.12+
        data = self._stream.read(len(view))
        if data:
            self._hash.update(data)
            view[: len(data)] = data
        elif len(view) and self._hash.hexdigest() != self._digest:
            raise DataCorrupt("artifact_corrupt", digest=self._digest)
        return len(data)

    def close(self) -> None:
        """Closes the stream below too."""
        self._stream.close()
        super().close()


def verifying(stream: BinaryIO, digest: Digest) -> BinaryIO:
    """A buffered `VerifyingReader`."""
    return io.BufferedReader(VerifyingReader(stream, digest), CHUNK_BYTES)
