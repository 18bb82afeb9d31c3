"""Blobs as files: `<root>/ab/abcdef…`, read-only, published by rename. Knows no other store."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from hanlin.errors import DataCorrupt, InvalidInput, NotFound
from hanlin.storage.blobs import STORES, BlobStat, BlobStore, check_digest, check_match, digest_bytes, digest_file, verifying
from hanlin.storage.durable import CHUNK_BYTES, publish, remove_stale, sync_folder, temporary_beside, write_new
from hanlin.storage.failures import disk_errors
from hanlin.types import Digest, is_digest, shorten


class FileStore:
    """A folder of blobs. Temporary files start with a dot and are never listed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, source: Path | bytes, *, digest: Digest | None = None, can_move: bool = False) -> Digest:
        """See `BlobStore.put`. The content is hashed before its final name can exist."""
        if digest is not None:
            check_digest(digest)
        with disk_errors():
            self._root.mkdir(parents=True, exist_ok=True)
            if isinstance(source, Path) and can_move:
                return self._move(source, digest)
            temporary = temporary_beside(self._root / "blob")
            try:
                return self._keep(temporary, _copy(source, temporary), digest)
            finally:
                temporary.unlink(missing_ok=True)

    def open(self, digest: Digest) -> BinaryIO:
        """See `BlobStore.open`."""
        try:
            with disk_errors():
                return verifying(self._path(digest).open("rb"), digest)
        except FileNotFoundError:
            raise NotFound("blob_not_found", digest=digest) from None

    def get(self, digest: Digest, target: Path, *, is_shared: bool = False) -> None:
        """See `BlobStore.get`. A shared target is a hard link where the file system allows one."""
        path = self._path(digest)
        if not path.is_file():
            raise NotFound("blob_not_found", digest=digest)
        try:
            with disk_errors():
                if not (is_shared and _link(path, target)):
                    shutil.copyfile(path, target)
                if digest_file(target) != digest:
                    raise DataCorrupt("artifact_corrupt", digest=digest)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def stat(self, digest: Digest) -> BlobStat | None:
        """See `BlobStore.stat`."""
        try:
            with disk_errors():
                return _stat(self._path(digest))
        except FileNotFoundError:
            return None

    def list(self) -> Iterator[BlobStat]:
        """See `BlobStore.list`. Blobs deleted meanwhile are left out."""
        for path in self._root.glob("[0-9a-f][0-9a-f]/*"):
            if is_digest(path.name):
                try:
                    yield _stat(path)
                except FileNotFoundError:
                    continue

    def delete(self, digest: Digest) -> None:
        """See `BlobStore.delete`. Readers and hard links that exist go on working."""
        with disk_errors():
            self._path(digest).unlink(missing_ok=True)

    def tidy(self, before: datetime) -> int:
        """See `BlobStore.tidy`."""
        with disk_errors():
            return remove_stale(self._root, before_s=before.timestamp())

    def _path(self, digest: Digest) -> Path:
        return self._root / check_digest(digest)[:2] / digest

    def _move(self, source: Path, digest: Digest | None) -> Digest:
        actual = digest_file(source)
        check_match(actual, digest)
        with source.open("rb") as stream:
            os.fsync(stream.fileno())
        try:
            return self._keep(source, actual, digest)
        except OSError as error:
            if error.errno != errno.EXDEV:  # only a source on another file system is copied
                raise
            return self.put(source, digest=digest)

    def _keep(self, temporary: Path, actual: Digest, expected: Digest | None) -> Digest:
        """Gives a synced file its final name. A blob that is there already is only touched, which saves it from collection."""
        check_match(actual, expected)
        path = self._path(actual)
        if path.is_file() and digest_file(path) == actual:
            os.utime(path)
            temporary.unlink(missing_ok=True)
            return actual
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            sync_folder(self._root)
        temporary.chmod(0o444)
        os.utime(temporary)
        publish(temporary, path)
        return actual


def _copy(source: Path | bytes, target: Path) -> Digest:
    if isinstance(source, bytes):
        write_new(target, (source,))
        return digest_bytes(source)
    seen = hashlib.sha256()
    with source.open("rb") as stream:

        def pieces() -> Iterator[bytes]:
            while chunk := stream.read(CHUNK_BYTES):
                seen.update(chunk)
                yield chunk

        write_new(target, pieces())
    return Digest(seen.hexdigest())


def _link(path: Path, target: Path) -> bool:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        return False
    return True


def _stat(path: Path) -> BlobStat:
    found = path.stat()
    return BlobStat(Digest(path.name), found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


@STORES.register("file")
class FileStores:
    """`file:///absolute/path`, or a plain path."""

    def open(self, url: str) -> BlobStore:
        """Raises InvalidInput (`invalid_blobs_url`) when a host is named."""
        if "://" not in url:
            return FileStore(Path(url))
        parts = urlsplit(url)
        if parts.netloc not in {"", "localhost"} or not parts.path:
            raise InvalidInput("invalid_blobs_url", url=shorten(url))
        return FileStore(Path(unquote(parts.path)))
