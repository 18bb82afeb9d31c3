"""Blobs in this process's memory: for tests and for trying things. Gone when the process ends."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from hanlin.errors import NotFound
from hanlin.storage.blobs import STORES, BlobStat, BlobStore, check_digest, check_match, digest_bytes, verifying
from hanlin.storage.durable import write_new
from hanlin.storage.failures import disk_errors
from hanlin.types import Digest, utc_now


class MemoryStore:
    """A dictionary that keeps the promises of `BlobStore`."""

    def __init__(self) -> None:
        self._found: dict[Digest, tuple[bytes, BlobStat]] = {}

    def put(self, source: Path | bytes, *, digest: Digest | None = None, can_move: bool = False) -> Digest:
        """See `BlobStore.put`."""
        if digest is not None:
            check_digest(digest)
        data = source if isinstance(source, bytes) else source.read_bytes()
        actual = digest_bytes(data)
        check_match(actual, digest)
        self._found[actual] = (data, BlobStat(actual, len(data), utc_now()))
        if can_move and isinstance(source, Path):
            source.unlink()
        return actual

    def open(self, digest: Digest) -> BinaryIO:
        """See `BlobStore.open`."""
        if check_digest(digest) not in self._found:
            raise NotFound("blob_not_found", digest=digest)
        return verifying(io.BytesIO(self._found[digest][0]), digest)

    def get(self, digest: Digest, target: Path, *, is_shared: bool = False) -> None:
        """See `BlobStore.get`; always a copy."""
        with self.open(digest) as stream, disk_errors():
            write_new(target, (stream.read(),))

    def stat(self, digest: Digest) -> BlobStat | None:
        """See `BlobStore.stat`."""
        found = self._found.get(check_digest(digest))
        return found[1] if found else None

    def list(self) -> Iterator[BlobStat]:
        """See `BlobStore.list`."""
        return iter([stat for _, stat in self._found.values()])

    def delete(self, digest: Digest) -> None:
        """See `BlobStore.delete`."""
        self._found.pop(check_digest(digest), None)

    def tidy(self, before: datetime) -> int:
        """See `BlobStore.tidy`: nothing is ever half done here."""
        return 0


@STORES.register("memory")
class MemoryStores:
    """`memory://NAME`: the same name gives the same store within one process."""

    def __init__(self) -> None:
        self._named: dict[str, MemoryStore] = {}

    def open(self, url: str) -> BlobStore:
        """Never fails."""
        return self._named.setdefault(url, MemoryStore())
