"""The object store under a faulty network: tries again within bounds, checks digests, then says 503."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hanlin.errors import DataCorrupt, NotReady
from hanlin.storage.stores.s3 import ObjectStore
from hanlin.types import Digest

DATA = b"weights" * 1000
DIGEST = Digest(hashlib.sha256(DATA).hexdigest())


class FaultyFiles(MemoryFileSystem):
    """Fails the first `failures` calls of the network."""

    cachable = False
    store: dict[str, object] = {}  # noqa: RUF012 - fsspec's own class attribute, apart from its global one

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.calls = 0

    def _maybe_fail(self) -> None:
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise OSError(5, "SlowDown")

    def pipe_file(self, path: str, value: bytes, **options: object) -> None:
        self._maybe_fail()
        super().pipe_file(path, value)

    def open(self, path: str, mode: str = "rb", **options: object) -> BinaryIO:
        self._maybe_fail()
        return super().open(path, mode, **options)  # type: ignore[no-any-return]


def test_a_few_failures_are_waited_out(tmp_path: Path) -> None:
    pauses: list[float] = []
    blobs = ObjectStore(FaultyFiles(3), "/few", pause=pauses.append)
    blobs.put(DATA)
    assert len(pauses) == 3
    assert pauses == sorted(pauses)
    blobs.get(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA


def test_a_dead_service_is_a_503_after_bounded_tries() -> None:
    files = FaultyFiles(1000)
    pauses: list[float] = []
    with pytest.raises(NotReady) as caught:
        ObjectStore(files, "/dead", pause=pauses.append).put(DATA)
    assert caught.value.code == "storage_unavailable"
    assert files.calls == 5
    assert sum(pauses) < 10


def test_wrong_bytes_are_refused(tmp_path: Path) -> None:
    files = FaultyFiles(0)
    blobs = ObjectStore(files, "/wrong", pause=lambda _: None)
    blobs.put(DATA)
    files.pipe_file(f"/wrong/{DIGEST[:2]}/{DIGEST}", DATA[:-1] + b"!")
    with pytest.raises(DataCorrupt):
        blobs.get(DIGEST, tmp_path / "out")
    assert not (tmp_path / "out").exists()
