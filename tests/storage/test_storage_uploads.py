"""Resumable uploads: cut anywhere, gone on with, finished once; nothing half is ever a blob."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanlin.errors import Conflict, InvalidInput, NotFound, NotReady
from hanlin.storage.database import Database
from hanlin.storage.stores.file import FileStore
from hanlin.storage.tables import TeamRow
from hanlin.storage.uploads import Uploads, UploadStatus
from hanlin.types import TeamId, utc_now

TEAM, OTHER = TeamId("default"), TeamId("other")
DATA = bytes(range(256)) * 40
DIGEST = hashlib.sha256(DATA).hexdigest()


def make(database: Database, folder: Path, hours: float = 0.0, max_bytes: int = 1_000_000) -> Uploads:
    return Uploads(
        database,
        FileStore(folder / "blobs"),
        folder / "uploads",
        max_bytes=max_bytes,
        ttl_s=3600.0,
        clock=lambda: utc_now() + timedelta(hours=hours),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=0, max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_any_pieces_make_the_whole(database: Database, tmp_path: Path, data: bytes, cuts: list[int]) -> None:
    digest = hashlib.sha256(data).hexdigest()
    uploads = make(database, tmp_path)
    uploads.begin(TEAM, digest, len(data))
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in itertools.pairwise(edges):
        uploads = make(database, tmp_path)  # another process goes on
        status = uploads.status(TEAM, digest)
        assert status is not None
        if status.is_complete:
            break
        assert status.offset == start
        uploads.append(TEAM, digest, start, data[start:end])
    assert uploads.finish(TEAM, digest) == digest == uploads.finish(TEAM, digest)
    assert FileStore(tmp_path / "blobs").open(digest).read() == data


def test_an_upload_may_be_larger_than_2_gib(database: Database, tmp_path: Path) -> None:
    uploads = make(database, tmp_path, max_bytes=2**40)
    uploads.begin(TEAM, DIGEST, 3 * 2**31)
    status = uploads.status(TEAM, DIGEST)
    assert status is not None
    assert (status.offset, status.is_complete) == (0, False)


def test_an_unfinished_upload_is_no_blob(database: Database, tmp_path: Path) -> None:
    uploads = make(database, tmp_path)
    uploads.begin(TEAM, DIGEST, len(DATA))
    uploads.append(TEAM, DIGEST, 0, DATA[:-1])
    assert list(FileStore(tmp_path / "blobs").list()) == []
    assert uploads.status(TEAM, DIGEST) == UploadStatus(DIGEST, len(DATA), len(DATA) - 1, False)
    with pytest.raises(NotFound):
        uploads.finish(TEAM, "f" * 64)
    with pytest.raises(InvalidInput) as caught:
        uploads.finish(TEAM, DIGEST)
    assert caught.value.code == "upload_size_mismatch"
    uploads.append(TEAM, DIGEST, len(DATA) - 1, DATA[-1:])
    uploads.finish(TEAM, DIGEST)


def test_wrong_places_and_sizes(database: Database, tmp_path: Path) -> None:
    uploads = make(database, tmp_path)
    with pytest.raises(NotFound):
        uploads.append(TEAM, DIGEST, 0, b"x")
    with pytest.raises(InvalidInput) as large:
        uploads.begin(TEAM, DIGEST, 1_000_001)
    assert large.value.code == "upload_too_large"
    uploads.begin(TEAM, DIGEST, 100)
    uploads.append(TEAM, DIGEST, 0, DATA[:50])
    for offset in (0, 49, 51):
        with pytest.raises(Conflict) as caught:
            uploads.append(TEAM, DIGEST, offset, b"x")
        assert caught.value.params["expected"] == 50
    with pytest.raises(InvalidInput):
        uploads.append(TEAM, DIGEST, 50, b"x" * 51)
    assert uploads.begin(TEAM, DIGEST, 100).offset == 50  # found again
    assert uploads.begin(TEAM, DIGEST, len(DATA)).offset == 0  # another size: anew


def test_wrong_content_is_removed(database: Database, tmp_path: Path) -> None:
    uploads = make(database, tmp_path)
    uploads.begin(TEAM, DIGEST, len(DATA))
    uploads.append(TEAM, DIGEST, 0, b"\0" * len(DATA))
    with pytest.raises(InvalidInput) as caught:
        uploads.finish(TEAM, DIGEST)
    assert caught.value.code == "digest_mismatch"
    assert [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()] == []
    status = uploads.status(TEAM, DIGEST)
    assert status is not None
    assert (status.offset, status.is_complete) == (0, False)


@pytest.mark.parametrize("digest", ["", "x", "A" * 64, "../../../etc/passwd", "a" * 65])
def test_bad_digests(database: Database, tmp_path: Path, digest: str) -> None:
    uploads = make(database, tmp_path)
    for call in (
        lambda: uploads.begin(TEAM, digest, 1),
        lambda: uploads.status(TEAM, digest),
        lambda: uploads.append(TEAM, digest, 0, b"x"),
        lambda: uploads.finish(TEAM, digest),
    ):
        with pytest.raises(InvalidInput):
            call()
    assert not (tmp_path / "uploads").exists()


def test_teams_see_nothing_of_each_other(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        session.add(TeamRow(team_id=OTHER, name="other", is_active=True, created_at=utc_now()))
    uploads = make(database, tmp_path)
    uploads.begin(TEAM, DIGEST, len(DATA))
    uploads.append(TEAM, DIGEST, 0, DATA)
    uploads.finish(TEAM, DIGEST)
    assert uploads.status(OTHER, DIGEST) is None
    assert uploads.begin(OTHER, DIGEST, len(DATA)).offset == 0
    assert uploads.status(OTHER, DIGEST) == UploadStatus(DIGEST, len(DATA), 0, False)


def test_two_connections_do_not_mix(database: Database, tmp_path: Path) -> None:
    uploads = make(database, tmp_path)
    uploads.begin(TEAM, DIGEST, len(DATA))
    barrier = threading.Barrier(4)

    def send() -> None:
        barrier.wait()
        for start in range(0, len(DATA), 64):
            try:
                uploads.append(TEAM, DIGEST, start, DATA[start : start + 64])
            except Conflict:
                continue

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = uploads.status(TEAM, DIGEST)
    assert status is not None
    if status.offset < len(DATA):
        uploads.append(TEAM, DIGEST, status.offset, DATA[status.offset :])
    uploads.finish(TEAM, DIGEST)  # the digest proves the order


def test_idle_uploads_are_swept(database: Database, tmp_path: Path) -> None:
    uploads = make(database, tmp_path)
    uploads.begin(TEAM, DIGEST, len(DATA))
    uploads.append(TEAM, DIGEST, 0, DATA[:10])
    assert make(database, tmp_path, hours=0.5).sweep() == 0
    assert make(database, tmp_path, hours=2).sweep() == 1
    assert uploads.status(TEAM, DIGEST) is None
    assert [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()] == []


def test_a_full_disk_keeps_what_arrived(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = make(database, tmp_path)
    uploads.begin(TEAM, DIGEST, len(DATA))
    write, room = os.write, 1000

    def short(handle: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(handle, bytes(data)[:room])
        room -= written
        return written

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(NotReady) as caught:
        uploads.append(TEAM, DIGEST, 0, DATA)
    assert caught.value.code == "storage_full"
    room = len(DATA)
    status = uploads.status(TEAM, DIGEST)
    assert status is not None
    assert status.offset == 1000
    uploads.append(TEAM, DIGEST, 1000, DATA[1000:])
    uploads.finish(TEAM, DIGEST)
