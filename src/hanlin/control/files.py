"""Files that a team keeps for a while: inputs of batches and fine-tunings that came through `/v1/files`, and what batch jobs made.

Bytes are blobs.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal, cast

from sqlalchemy import Select, func, or_, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from hanlin.control.platform import Platform
from hanlin.errors import InvalidInput, NotFound
from hanlin.storage.database import find_or_add
from hanlin.storage.kept_tables import FileRow
from hanlin.types import Digest, JsonObject, Principal, TeamId, shorten, utc_now

Purpose = Literal["batch", "batch_output", "batch_errors", "fine-tune", "user_data"]
MAX_LISTED = 10_000
ARRIVING = ".form-"
_MAX_NAME = 255
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as its team sees it."""

    id: str
    name: str
    purpose: Purpose
    digest: Digest
    size_bytes: int
    job_id: str | None
    created_at: datetime
    expires_at: datetime

    def to_json(self) -> JsonObject:
        """As a job's result names it: what the SDK needs to fetch it, and the id under which `/v1/files` has it."""
        return {"id": self.id, "path": self.name, "sha256": self.digest, "size_bytes": self.size_bytes}


def keep(
    platform: Platform, team_id: TeamId, path: Path, *, name: str, purpose: Purpose, job_id: str | None = None, ttl_s: float | None = None
) -> StoredFile:  # fmt: skip
    """Stores a copy of `path`. A job has one file of a purpose: the last one stands."""
    size_bytes = path.stat().st_size
    digest = platform.blobs.put(path)
    now = utc_now()
    row = FileRow(
        id="file-" + "".join(secrets.choice(_ALPHABET) for _ in range(24)), team_id=team_id, name=name[:_MAX_NAME], purpose=purpose,
        digest=digest, size_bytes=size_bytes, job_id=job_id, created_at=now,
        expires_at=now + timedelta(seconds=min(ttl_s or float("inf"), platform.settings.file_ttl_s)),
    )  # fmt: skip
    with platform.database.write() as session:
        if job_id is None:
            session.add(row)
        else:
            row = find_or_add(session, select(FileRow).where(FileRow.job_id == job_id, FileRow.purpose == purpose), row)
            row.name, row.digest, row.size_bytes = name[:_MAX_NAME], digest, size_bytes
        session.flush()
        return _value(row)


def add(
    platform: Platform, principal: Principal, path: Path, *, name: str, purpose: Purpose = "batch", ttl_s: float | None = None
) -> StoredFile:  # fmt: skip
    """Stores the input of a batch or of a fine-tuning, or a set of documents.

    Raises:
        InvalidInput: `too_many_files`, `batch_file_too_large`, `empty_file`.
    """
    principal.require("write")
    size_bytes, limit = path.stat().st_size, platform.settings.max_batch_file_bytes
    if not size_bytes:
        raise InvalidInput("empty_file")
    if size_bytes > limit:
        raise InvalidInput("batch_file_too_large", size_bytes=size_bytes, limit=limit)
    check_room(platform, principal)
    return keep(platform, principal.team_id, path, name=name, purpose=purpose, ttl_s=ttl_s)


def check_room(platform: Platform, principal: Principal) -> None:
    """Raises InvalidInput (`too_many_files`) when the team keeps as many files as it may."""
    with platform.database.read() as session:
        count = session.scalar(select(func.count()).select_from(FileRow).where(FileRow.team_id == principal.team_id)) or 0
    if count >= platform.settings.max_files:
        raise InvalidInput("too_many_files", limit=platform.settings.max_files)


def list_files(
    platform: Platform, principal: Principal, *, purpose: str | None = None, after: str | None = None, limit: int = MAX_LISTED,
    is_oldest_first: bool = False,
) -> list[StoredFile]:  # fmt: skip
    """The team's files, newest first, behind file `after`. Raises NotFound when there is no such file."""
    principal.require("read")
    sign = FileRow.created_at.asc() if is_oldest_first else FileRow.created_at.desc()
    tie = FileRow.id.asc() if is_oldest_first else FileRow.id.desc()
    with platform.database.read() as session:
        query = _alive(principal.team_id)
        if purpose is not None:
            purposes = ("batch_output", "batch_errors") if purpose == "batch_output" else (purpose,)
            query = query.where(FileRow.purpose.in_(purposes))
        if after is not None:
            last = _find(session, principal.team_id, after)
            is_behind = FileRow.created_at > last.created_at if is_oldest_first else FileRow.created_at < last.created_at
            is_twin = FileRow.id > last.id if is_oldest_first else FileRow.id < last.id
            query = query.where(or_(is_behind, (FileRow.created_at == last.created_at) & is_twin))
        return [_value(row) for row in session.scalars(query.order_by(sign, tie).limit(max(1, min(limit, MAX_LISTED))))]


def get_file(platform: Platform, principal: Principal, file_id: str) -> StoredFile:
    """One file. Raises NotFound."""
    principal.require("read")
    with platform.database.read() as session:
        return _value(_find(session, principal.team_id, file_id))


def open_file(platform: Platform, principal: Principal, file_id: str) -> BinaryIO:
    """A verifying reader. Raises NotFound."""
    return platform.blobs.open(get_file(platform, principal, file_id).digest)


def delete_file(platform: Platform, principal: Principal, file_id: str) -> None:
    """Forgets a file; its bytes go with the next sweeps. A batch that runs keeps what it reads. Raises NotFound."""
    principal.require("write")
    with platform.database.write() as session:
        session.delete(_find(session, principal.team_id, file_id))


def is_kept(platform: Platform, team_id: TeamId, digest: str) -> bool:
    """Whether one of the team's files has these bytes."""
    with platform.database.read() as session:
        return session.scalar(select(FileRow.id).where(FileRow.team_id == team_id, FileRow.digest == digest).limit(1)) is not None


def sweep(platform: Platform) -> None:
    """Forgets files of all teams whose time is over, and what is left of forms whose gateway died while it took them."""
    with platform.database.write() as session:
        session.execute(delete_rows(FileRow).where(FileRow.expires_at < utc_now()))
    oldest_s = utc_now().timestamp() - platform.settings.upload_ttl_s
    for path in arrivals(platform).glob(f"{ARRIVING}*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest_s:
                path.unlink()


def arrivals(platform: Platform) -> Path:
    """The folder where files lie while they come in, under names that begin with `ARRIVING`."""
    return platform.settings.home / "uploads"


def _alive(team_id: str) -> Select[FileRow]:
    return select(FileRow).where(FileRow.team_id == team_id, FileRow.expires_at >= utc_now())


def _find(session: Session, team_id: str, file_id: str) -> FileRow:
    row = session.scalar(_alive(team_id).where(FileRow.id == file_id[:100]))
    if row is None:
        raise NotFound("not_found", kind="file", name=shorten(file_id))
    return row


def _value(row: FileRow) -> StoredFile:
    return StoredFile(
        id=row.id, name=row.name, purpose=cast("Purpose", row.purpose), digest=Digest(row.digest), size_bytes=row.size_bytes,
        job_id=row.job_id, created_at=row.created_at, expires_at=row.expires_at,
    )  # fmt: skip
