"""Full disks, read-only disks, short writes: at every single write, nothing half written and the store heals by itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from hanlin.errors import NotReady
from hanlin.messages import http_status
from hanlin.storage.database import Database
from hanlin.storage.durable import write_atomically
from hanlin.storage.manifest import materialize, pack_folder
from hanlin.storage.stores.file import FileStore
from hanlin.storage.tables import AuditRow
from hanlin.types import utc_now

DATA = b"0123456789" * 300_000  # three chunks


class Faults:
    """Lets the k-th call of the named `os` functions fail."""

    def __init__(self, patch: pytest.MonkeyPatch, number: int) -> None:
        self.at = -1
        self.count = 0
        for name in ("write", "fsync", "replace", "link", "open"):
            patch.setattr(os, name, self._wrap(getattr(os, name), number))

    def _wrap(self, call: Callable[..., object], number: int) -> Callable[..., object]:
        def wrapped(*arguments: object, **options: object) -> object:
            self.count += 1
            if self.count - 1 == self.at:
                raise OSError(number, os.strerror(number))
            return call(*arguments, **options)

        return wrapped

    def arm(self, at: int) -> None:
        self.at, self.count = at, 0


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "storage_full"),
        (errno.EDQUOT, "storage_full"),
        (errno.EROFS, "storage_unavailable"),
        (errno.EIO, "storage_unavailable"),
    ],
)
@pytest.mark.parametrize("way", ["bytes", "copy", "move"])
def test_put_fails_whole_at_every_step_and_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, way: str) -> None:
    faults = Faults(monkeypatch, number)
    kept = FileStore(tmp_path / "blobs").put(b"older")
    steps = 0
    while True:
        source = tmp_path / "source"
        source.write_bytes(DATA)
        blobs = FileStore(tmp_path / "blobs")
        faults.arm(steps)
        try:
            digest = blobs.put(DATA if way == "bytes" else source, can_move=way == "move")
        except NotReady as error:
            assert error.code == code
            faults.arm(-1)
            present = [found.digest for found in blobs.list()]
            files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
            assert len(files) == len(present), "a temporary file stayed"
            for found in present:
                blobs.open(found).read()  # whatever is visible is whole
            assert kept in present
            for found in present:
                if found != kept:
                    blobs.delete(found)
            steps += 1
            continue
        break
    assert steps >= 3
    assert blobs.open(digest).read() == DATA


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[: max(1, len(data) // 3)]))
    blobs = FileStore(tmp_path / "blobs")
    assert blobs.open(blobs.put(DATA)).read() == DATA


def test_materialize_fails_whole_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model" / "variants").mkdir(parents=True)
    (tmp_path / "model" / "config.json").write_bytes(b"{}")
    (tmp_path / "model" / "variants" / "model.onnx").write_bytes(DATA)
    blobs = FileStore(tmp_path / "blobs")
    manifest = pack_folder(tmp_path / "model", blobs)
    faults = Faults(monkeypatch, errno.ENOSPC)
    for step in range(100):
        faults.arm(step)
        try:
            materialize(manifest, blobs, tmp_path / "cache" / "m")
        except NotReady:
            faults.arm(-1)
            assert not (tmp_path / "cache" / "m").exists() or (tmp_path / "cache" / "m" / "variants" / "model.onnx").read_bytes() == DATA
            assert [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")] == []
        else:
            break
    faults.arm(-1)
    assert (tmp_path / "cache" / "m" / "variants" / "model.onnx").read_bytes() == DATA


def test_write_atomically_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"old")
    faults = Faults(monkeypatch, errno.ENOSPC)
    for step in range(3):  # open, write, fsync
        faults.arm(step)
        with pytest.raises(OSError, match="No space"):
            write_atomically(target, b"new")
        faults.arm(-1)
        assert target.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_database_says_so_reads_go_on_and_it_heals(database: Database) -> None:
    assert http_status("storage_full") == 507
    with database.write() as session:
        session.connection().exec_driver_sql("PRAGMA max_page_count = 1")  # answers with the present size: no page can be added
    written = 0
    with pytest.raises(NotReady) as caught:
        for _ in range(10_000):
            with database.write() as session:
                session.connection().exec_driver_sql("PRAGMA max_page_count = 1")
                session.add_all(
                    [AuditRow(team_id="default", actor="a", action="b", subject="x" * 200, created_at=utc_now()) for _ in range(10)]
                )
            written += 10
    assert caught.value.code == "storage_full"
    with database.read() as session:
        assert len(session.scalars(select(AuditRow.id)).all()) == written
    with database.write() as session:
        session.connection().exec_driver_sql("PRAGMA max_page_count = 1000000")
    with database.write() as session:
        session.add_all([AuditRow(team_id="default", actor="a", action="b", subject="x" * 200, created_at=utc_now()) for _ in range(1000)])
