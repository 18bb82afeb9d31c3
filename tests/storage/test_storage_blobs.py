"""One suite for every blob store, and what only the file store promises."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hanlin.errors import DataCorrupt, InvalidInput, NotFound
from hanlin.storage.blobs import STORES, BlobStore, open_blobs
from hanlin.storage.stores.file import FileStore
from hanlin.storage.stores.memory import MemoryStore
from hanlin.storage.stores.s3 import ObjectStore
from hanlin.types import Digest

DATA = bytes(range(256)) * 5000
DIGEST = Digest(hashlib.sha256(DATA).hexdigest())


def object_store(folder: Path) -> BlobStore:
    return ObjectStore(MemoryFileSystem(), f"/{folder.name}/blobs", pause=lambda _: None)


@pytest.fixture(params=["file", "memory", "object"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    makers: dict[str, Callable[[], BlobStore]] = {
        "file": lambda: FileStore(tmp_path / "blobs"),
        "memory": MemoryStore,
        "object": lambda: object_store(tmp_path),
    }
    return makers[request.param]()


def test_bytes_come_back(blobs: BlobStore, tmp_path: Path) -> None:
    assert blobs.put(DATA) == DIGEST
    with blobs.open(DIGEST) as stream:
        assert stream.read() == DATA
    blobs.get(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    stat = blobs.stat(DIGEST)
    assert stat is not None
    assert stat.size_bytes == len(DATA)
    assert [found.digest for found in blobs.list()] == [DIGEST]


def test_a_file_is_copied_or_moved(blobs: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    assert blobs.put(source) == DIGEST
    assert source.read_bytes() == DATA
    assert blobs.put(source, digest=DIGEST, can_move=True) == DIGEST
    assert not source.exists()
    with blobs.open(DIGEST) as stream:
        assert stream.read() == DATA


def test_the_empty_blob(blobs: BlobStore, tmp_path: Path) -> None:
    digest = blobs.put(b"")
    blobs.get(digest, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b""


def test_another_digest_than_declared_stores_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    other = Digest("0" * 64)
    with pytest.raises(InvalidInput) as caught:
        blobs.put(DATA, digest=other)
    assert caught.value.code == "digest_mismatch"
    assert list(blobs.list()) == []
    assert blobs.stat(other) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 63,
        "a" * 65,
        "A" * 64,
        "g" * 64,
        "../" + "a" * 61,
        "sha256-" + "a" * 57,
        "a" * 63 + "\n",
        "a" * 63 + "/",
        "٠" * 64,
        "\0" * 64,
    ],
)
def test_only_digests_name_blobs(blobs: BlobStore, tmp_path: Path, text: str) -> None:
    for call in (
        lambda: blobs.put(DATA, digest=Digest(text)),
        lambda: blobs.open(Digest(text)),
        lambda: blobs.get(Digest(text), tmp_path / "out"),
        lambda: blobs.stat(Digest(text)),
        lambda: blobs.delete(Digest(text)),
    ):
        with pytest.raises(InvalidInput) as caught:
            call()
        assert caught.value.code == "invalid_digest"
    assert list(blobs.list()) == []


def test_a_missing_blob(blobs: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        blobs.open(DIGEST)
    with pytest.raises(NotFound):
        blobs.get(DIGEST, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    blobs.delete(DIGEST)


def test_delete(blobs: BlobStore) -> None:
    blobs.put(DATA)
    blobs.delete(DIGEST)
    assert blobs.stat(DIGEST) is None
    assert list(blobs.list()) == []


def stored_file(root: Path) -> Path:
    return root / "blobs" / DIGEST[:2] / DIGEST


@pytest.mark.parametrize("damage", ["flip", "cut", "grow"])
def test_damaged_bytes_are_never_handed_out(tmp_path: Path, damage: str) -> None:
    blobs = FileStore(tmp_path / "blobs")
    blobs.put(DATA)
    path = stored_file(tmp_path)
    path.chmod(0o644)
    changed = {"flip": DATA[:1000] + bytes([DATA[1000] ^ 1]) + DATA[1001:], "cut": DATA[:-1], "grow": DATA + b"x"}[damage]
    path.write_bytes(changed)
    for is_shared in (False, True):
        with pytest.raises(DataCorrupt) as caught:
            blobs.get(DIGEST, tmp_path / "out", is_shared=is_shared)
        assert caught.value.code == "artifact_corrupt"
        assert not (tmp_path / "out").exists()
    with blobs.open(DIGEST) as stream, pytest.raises(DataCorrupt):
        while stream.read(100_000):
            pass
    # Putting the right bytes again heals the store.
    blobs.put(DATA)
    assert path.read_bytes() == DATA


def test_a_shared_file_is_a_link_and_survives_deletion(tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "blobs")
    blobs.put(DATA)
    blobs.get(DIGEST, tmp_path / "link", is_shared=True)
    assert (tmp_path / "link").stat().st_ino == stored_file(tmp_path).stat().st_ino
    blobs.delete(DIGEST)
    assert (tmp_path / "link").read_bytes() == DATA


def test_many_writers_of_one_blob(tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "blobs")
    barrier = threading.Barrier(8)
    failures: list[BaseException] = []

    def write() -> None:
        barrier.wait()
        try:
            assert blobs.put(DATA) == DIGEST
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [DIGEST]


def test_stores_by_url(tmp_path: Path) -> None:
    assert {"file", "memory", "s3"} <= set(STORES.names())
    for url in (str(tmp_path / "a"), f"file://{tmp_path / 'a'}"):
        assert open_blobs(url).put(DATA) == DIGEST
    assert open_blobs("memory://one") is open_blobs("memory://one")
    assert (tmp_path / "a" / DIGEST[:2] / DIGEST).stat().st_mode & 0o777 == 0o444
    for url in ("ftp://host/x", "file://host/x", "s3://"):
        with pytest.raises(InvalidInput):
            open_blobs(url)


def test_a_blob_put_again_is_young_again(tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "blobs")
    blobs.put(DATA)
    os.utime(stored_file(tmp_path), (0, 0))
    blobs.put(DATA)
    stat = blobs.stat(DIGEST)
    assert stat is not None
    assert stat.touched_at.year > 2000
