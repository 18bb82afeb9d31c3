"""Resumable uploads by digest: pieces are appended to a file, which becomes a blob when whole and right.

The file's size is the one truth about how much has arrived, so a crash at any byte leaves an upload that can be gone on
with. The database knows who announced what. Knows no HTTP.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.storage.blobs import BlobStore, check_digest
from hanlin.storage.database import Database
from hanlin.storage.durable import write_all
from hanlin.storage.failures import disk_errors
from hanlin.storage.kept_tables import UploadRow
from hanlin.types import Digest, TeamId, utc_now


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """An upload: `offset` of `size_bytes` have arrived; `is_complete` once it is a blob."""

    digest: Digest
    size_bytes: int
    offset: int
    is_complete: bool


class Uploads:
    """Uploads of all teams. What one team has sent, another cannot see, nor use without sending it too.

    Args:
        database: keeps what was announced.
        blobs: where finished uploads go.
        folder: where unfinished ones grow; best on the file system of `blobs`.
        max_bytes: largest upload.
        ttl_s: idle time after which `sweep` removes an upload, and a finished one loses its hold on its blob.
        clock: the present moment.
    """

    def __init__(
        self, database: Database, blobs: BlobStore, folder: Path, *, max_bytes: int, ttl_s: float, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._folder = folder
        self._max_bytes = max_bytes
        self._ttl = timedelta(seconds=ttl_s)
        self._clock = clock

    def status(self, team_id: TeamId, digest: str) -> UploadStatus | None:
        """How far the team's upload is, or None. Raises InvalidInput (`invalid_digest`)."""
        checked = check_digest(digest)
        with self._database.read() as session:
            row = session.get(UploadRow, (team_id, checked))
        if row is None:
            return None
        if row.is_complete:
            found = self._blobs.stat(checked)
            return UploadStatus(checked, found.size_bytes, found.size_bytes, True) if found else None
        return UploadStatus(checked, row.size_bytes, self._arrived(team_id, checked), False)

    def begin(self, team_id: TeamId, digest: str, size_bytes: int) -> UploadStatus:
        """Announces an upload, or finds the one to go on with; another size than before starts it anew.

        Raises:
            InvalidInput: `invalid_digest`, `upload_too_large`.
        """
        if size_bytes > self._max_bytes:
            raise InvalidInput("upload_too_large", size_bytes=size_bytes, limit=self._max_bytes)
        present = self.status(team_id, digest)
        checked = check_digest(digest)
        if present and present.is_complete:
            self._mark_complete(team_id, checked)  # its time to live begins again
            return present
        if present and present.size_bytes == size_bytes:
            return present
        with disk_errors():
            self._path(team_id, checked).parent.mkdir(parents=True, exist_ok=True)
            self._path(team_id, checked).unlink(missing_ok=True)
        with self._database.write() as session:
            now = self._clock()
            old = session.get(UploadRow, (team_id, checked))
            session.merge(
                UploadRow(
                    team_id=team_id, digest=checked, size_bytes=size_bytes, is_complete=False,
                    created_at=old.created_at if old else now, updated_at=now,
                )
            )  # fmt: skip
        return UploadStatus(checked, size_bytes, 0, False)

    def append(self, team_id: TeamId, digest: str, offset: int, piece: bytes) -> UploadStatus:
        """Adds a piece. Bytes that arrived before a failure stay and count.

        Raises:
            NotFound: `upload_not_found`.
            Conflict: `upload_offset_mismatch` when it does not start where the last one ended; `upload_busy`.
            InvalidInput: `upload_size_mismatch` when more comes than was announced.
            NotReady: `storage_full`.
        """
        status = self._begun(team_id, digest)
        if status.is_complete:
            return status
        with disk_errors(), _exclusive(self._path(team_id, status.digest)) as handle:
            arrived = os.fstat(handle).st_size
            if offset != arrived:
                raise Conflict("upload_offset_mismatch", offset=offset, expected=arrived)
            if arrived + len(piece) > status.size_bytes:
                raise InvalidInput("upload_size_mismatch", size_bytes=arrived + len(piece), expected=status.size_bytes)
            write_all(handle, piece)
        return UploadStatus(status.digest, status.size_bytes, arrived + len(piece), False)

    def finish(self, team_id: TeamId, digest: str) -> Digest:
        """Makes a whole upload a blob. Finishing twice is fine.

        Raises:
            NotFound: `upload_not_found`.
            InvalidInput: `upload_size_mismatch` while bytes are missing; `digest_mismatch`, which removes what arrived.
        """
        status = self._begun(team_id, digest)
        if not status.is_complete:
            path = self._path(team_id, status.digest)
            with disk_errors(), _exclusive(path) as handle:
                arrived = os.fstat(handle).st_size
                if arrived != status.size_bytes:
                    raise InvalidInput("upload_size_mismatch", size_bytes=arrived, expected=status.size_bytes)
                try:
                    self._blobs.put(path, digest=status.digest, can_move=True)
                except InvalidInput:
                    path.unlink(missing_ok=True)
                    raise
        self._mark_complete(team_id, status.digest)
        return status.digest

    def sweep(self) -> int:
        """Removes uploads that nobody touched for the time to live; returns how many."""
        limit, count = self._clock() - self._ttl, 0
        with self._database.read() as session:
            old = [(row.team_id, Digest(row.digest)) for row in session.scalars(select(UploadRow).where(UploadRow.updated_at < limit))]
        for team_id, digest in old:
            path = self._path(TeamId(team_id), digest)
            if path.exists() and path.stat().st_mtime > limit.timestamp():
                continue  # pieces still arrive
            with self._database.write() as session:
                if row := session.get(UploadRow, (team_id, digest)):
                    session.delete(row)
            path.unlink(missing_ok=True)
            count += 1
        return count

    def _begun(self, team_id: TeamId, digest: str) -> UploadStatus:
        status = self.status(team_id, digest)
        if status is None:
            raise NotFound("upload_not_found", digest=check_digest(digest))
        return status

    def _mark_complete(self, team_id: TeamId, digest: Digest) -> None:
        with self._database.write() as session:
            if row := session.get(UploadRow, (team_id, digest)):
                row.is_complete, row.updated_at = True, self._clock()

    def _arrived(self, team_id: TeamId, digest: Digest) -> int:
        try:
            with disk_errors():
                return self._path(team_id, digest).stat().st_size
        except FileNotFoundError:
            return 0

    def _path(self, team_id: TeamId, digest: Digest) -> Path:
        return self._folder / team_id / f"{digest}.part"


@contextmanager
def _exclusive(path: Path) -> Iterator[int]:
    """The file, open for appending by us alone. Raises Conflict (`upload_busy`)."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("upload_busy") from None
        yield handle
    finally:
        os.close(handle)
