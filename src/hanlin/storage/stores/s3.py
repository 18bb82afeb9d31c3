"""Blobs in an object store, through fsspec: `s3://bucket/prefix`. One object a blob; an object appears whole or not at all.

Credentials and endpoint come from the usual AWS variables and files; this file never sees them.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from hanlin.errors import InvalidInput, NotFound, NotReady
from hanlin.storage.blobs import STORES, BlobStat, BlobStore, check_digest, check_match, digest_bytes, digest_file, verifying
from hanlin.storage.durable import CHUNK_BYTES
from hanlin.storage.failures import disk_errors
from hanlin.types import Digest, is_digest, shorten

T = TypeVar("T")
_TRIES = 5  # with the pauses below: about 6 s in all


class FileSystem(Protocol):
    """The part of an fsspec file system used here."""

    def open(self, path: str, mode: str = ...) -> BinaryIO: ...  # noqa: D102
    def put_file(self, lpath: str, rpath: str) -> None: ...  # noqa: D102
    def pipe_file(self, path: str, value: bytes) -> None: ...  # noqa: D102
    def info(self, path: str) -> dict[str, object]: ...  # noqa: D102
    def find(self, path: str, *, detail: bool) -> dict[str, dict[str, object]]: ...  # noqa: D102
    def rm_file(self, path: str) -> None: ...  # noqa: D102
    def invalidate_cache(self, path: str | None = None) -> None: ...  # noqa: D102


class ObjectStore:
    """Blobs under one prefix of an fsspec file system.

    Args:
        files: the file system.
        prefix: bucket and prefix.
        pause: waits the given seconds between tries.
    """

    def __init__(self, files: FileSystem, prefix: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._files = files
        self._prefix = prefix.rstrip("/")
        self._pause = pause

    def put(self, source: Path | bytes, *, digest: Digest | None = None, can_move: bool = False) -> Digest:
        """See `BlobStore.put`. The digest is checked before a byte leaves this machine."""
        if digest is not None:
            check_digest(digest)
        actual = digest_bytes(source) if isinstance(source, bytes) else digest_file(source)
        check_match(actual, digest)
        path = self._path(actual)
        if isinstance(source, bytes):
            self._retry(lambda: self._files.pipe_file(path, source))
        else:
            self._retry(lambda: self._files.put_file(str(source), path))
            if can_move:
                source.unlink()
        return actual

    def open(self, digest: Digest) -> BinaryIO:
        """See `BlobStore.open`."""
        path = self._path(digest)
        try:
            return verifying(self._retry(lambda: self._files.open(path, "rb")), digest)
        except FileNotFoundError:
            raise NotFound("blob_not_found", digest=digest) from None

    def get(self, digest: Digest, target: Path, *, is_shared: bool = False) -> None:
        """See `BlobStore.get`; always a copy. A cut or slow body is fetched again from its start."""

        def fetch() -> None:
            try:
                with self.open(digest) as stream, target.open("xb") as out:
                    shutil.copyfileobj(stream, out, CHUNK_BYTES)
            except BaseException:
                target.unlink(missing_ok=True)
                raise

        with disk_errors():
            self._retry(fetch)

    def stat(self, digest: Digest) -> BlobStat | None:
        """See `BlobStore.stat`."""
        path = self._path(digest)
        try:
            self._files.invalidate_cache()
            return _stat(digest, self._retry(lambda: self._files.info(path)))
        except FileNotFoundError:
            return None

    def list(self) -> Iterator[BlobStat]:
        """See `BlobStore.list`."""
        self._files.invalidate_cache()
        for path, info in self._retry(lambda: self._files.find(self._prefix, detail=True)).items():
            name = path.rpartition("/")[2]
            if is_digest(name):
                yield _stat(Digest(name), info)

    def delete(self, digest: Digest) -> None:
        """See `BlobStore.delete`."""
        path = self._path(digest)
        try:
            self._retry(lambda: self._files.rm_file(path))
        except FileNotFoundError:
            return

    def tidy(self, before: datetime) -> int:
        """See `BlobStore.tidy`: nothing is ever half done here."""
        return 0

    def _path(self, digest: Digest) -> str:
        return f"{self._prefix}/{check_digest(digest)[:2]}/{digest}"

    def _retry(self, call: Callable[[], T]) -> T:
        """Tries again with growing, jittered pauses. Raises NotReady (`storage_unavailable`) when all tries failed."""
        for turn in range(_TRIES):
            try:
                return call()
            except FileNotFoundError:
                raise
            except (OSError, TimeoutError) as error:
                if turn == _TRIES - 1:
                    raise NotReady("storage_unavailable", retry_after_s=10.0, details=str(error)) from error
                self._pause(0.2 * 2**turn * (1 + random.random()))  # noqa: S311 - jitter, not a secret
        raise AssertionError


def _stat(digest: Digest, info: dict[str, object]) -> BlobStat:
    size = info.get("size")
    moment = info.get("LastModified") or info.get("created")
    touched = moment if isinstance(moment, datetime) else datetime.now(UTC)  # unknown age counts as new: never collected early
    return BlobStat(digest, size if isinstance(size, int) else 0, touched if touched.tzinfo else touched.replace(tzinfo=UTC))


@STORES.register("s3")
class S3Stores:
    """`s3://bucket/prefix`; needs the extra `s3`."""

    def open(self, url: str) -> BlobStore:
        """Raises InvalidInput: `missing_extra` without s3fs, `invalid_blobs_url` without a bucket."""
        prefix = url.removeprefix("s3://").strip("/")
        if not prefix:
            raise InvalidInput("invalid_blobs_url", url=shorten(url))
        try:
            import s3fs
        except ImportError as error:
            raise InvalidInput("missing_extra", feature="s3://", extra="s3") from error
        return ObjectStore(s3fs.S3FileSystem(), prefix)
