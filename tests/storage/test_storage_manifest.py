"""Artifacts: packed, laid out again, verified; unsafe paths refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hanlin.errors import DataCorrupt, InvalidInput
from hanlin.storage.manifest import Manifest, ManifestFile, discard, is_intact, materialize, pack_folder
from hanlin.storage.stores.file import FileStore
from hanlin.types import Digest, JsonValue

FILES = {"config.json": b"{}", "model.safetensors": b"\0" * 3_000_000, "variants/openvino-int8/model.xml": b"<net/>", "empty": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "model"


def test_a_folder_comes_back(folder: Path, tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "blobs")
    (folder / ".hidden").write_bytes(b"x")
    manifest = pack_folder(folder, blobs)
    assert [file.path for file in manifest.files] == sorted(FILES)
    assert manifest.size_bytes == sum(map(len, FILES.values()))
    out = materialize(manifest, blobs, tmp_path / "cache" / "a")
    assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()} == FILES
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert pack_folder(out, blobs).digest == manifest.digest
    assert materialize(manifest, blobs, out) == out


def test_parts_and_unions(folder: Path, tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "blobs")
    whole = pack_folder(folder, blobs)
    variant = whole.within("variants")
    base = pack_folder(folder, blobs, only=["config.json", "model.safetensors", "empty"])
    assert base.merge(variant) == whole
    assert base.merge(variant).digest == whole.digest != base.digest
    assert whole.find("config.json") is not None
    assert whole.find("nothing") is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../b",
        "/etc/passwd",
        "a//b",
        "a/",
        "C:\\x",
        "a\\b",
        "a\nb",
        "a\0b",
        ".hidden",
        "a/.b",
        "-x",
        "x.",
        "x ",
        "ü",
        "x" * 200,
        "a/" * 250 + "a",
    ],
)
def test_unsafe_paths(path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Manifest((ManifestFile(path, Digest("a" * 64), 1),))
    assert caught.value.code == "invalid_artifact_path"


def test_twins_that_differ_in_case() -> None:
    with pytest.raises(InvalidInput):
        Manifest((ManifestFile("Model", Digest("a" * 64), 1), ManifestFile("model", Digest("a" * 64), 1)))


BAD_ROWS: list[JsonValue] = [
    {"path": "a"},
    {"path": "a", "sha256": "b", "size_bytes": 1},
    {"path": 1, "sha256": "a" * 64, "size_bytes": 1},
    {"path": "a", "sha256": "a" * 64, "size_bytes": -1},
]


@pytest.mark.parametrize("value", [None, {"files": []}, [1], *([row] for row in BAD_ROWS)])
def test_bad_json(value: JsonValue) -> None:
    with pytest.raises(InvalidInput):
        Manifest.from_json(value)


def test_links_are_refused(folder: Path, tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "blobs")
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput):
        pack_folder(folder, blobs)
    (folder / "link").unlink()
    (folder / "sub").symlink_to("/etc")
    with pytest.raises(InvalidInput):
        pack_folder(folder, blobs)
    assert list(blobs.list()) == []


def test_a_flipped_byte_is_never_laid_out(folder: Path, tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "blobs")
    manifest = pack_folder(folder, blobs)
    target = tmp_path / "cache" / "a"
    materialize(manifest, blobs, target)
    digest = manifest.files[0].sha256
    stored = tmp_path / "blobs" / digest[:2] / digest
    stored.chmod(0o644)
    stored.write_bytes(b"[]")  # the laid-out file is a link to it
    assert not is_intact(manifest, target)
    with pytest.raises(DataCorrupt):
        materialize(manifest, blobs, target)
    assert not target.exists()


def test_a_damaged_copy_is_made_anew_from_a_good_store(folder: Path, tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "blobs")
    manifest = pack_folder(folder, blobs)
    target = materialize(manifest, blobs, tmp_path / "cache" / "a")
    (target / "config.json").unlink()
    (target / "config.json").write_bytes(b"no")
    materialize(manifest, blobs, target)
    assert (target / "config.json").read_bytes() == b"{}"
    os.truncate(target / "empty", 0)
    (target / "extra").write_bytes(b"planted")
    materialize(manifest, blobs, target)
    assert not (target / "extra").exists()
    discard(target)
    assert list(target.parent.iterdir()) == []


def test_many_make_the_same_folder(folder: Path, tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "blobs")
    manifest = pack_folder(folder, blobs)
    target = tmp_path / "cache" / "a"
    failures: list[BaseException] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        barrier.wait()
        try:
            materialize(manifest, blobs, target)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert is_intact(manifest, target)
    assert list(target.parent.iterdir()) == [target]
