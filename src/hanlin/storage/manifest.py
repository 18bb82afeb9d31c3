"""Manifests: what files an artifact has, by digest; packing a folder into blobs and back. Knows nothing of models."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import cast

from hanlin.errors import DataCorrupt, InvalidInput
from hanlin.storage.blobs import BlobStore, check_digest, digest_bytes, digest_file
from hanlin.storage.durable import sync_folder, temporary_beside
from hanlin.storage.failures import disk_errors
from hanlin.types import Digest, JsonObject, JsonValue, shorten

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+ -]{0,120}")
MAX_FILES = 10_000


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of an artifact; `path` is relative, with forward slashes."""

    path: str
    sha256: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of an artifact, sorted by path. Raises InvalidInput when a path or digest is unsafe or doubled."""

    files: tuple[ManifestFile, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(sorted(self.files, key=lambda file: file.path)))
        if len(self.files) > MAX_FILES:
            raise InvalidInput("artifact_too_many_files", limit=MAX_FILES)
        seen: set[str] = set()
        for file in self.files:
            check_path(file.path)
            check_digest(file.sha256)
            if file.path.casefold() in seen:  # twins that differ in case only would overwrite each other on some disks
                raise InvalidInput("invalid_artifact_path", path=shorten(file.path))
            seen.add(file.path.casefold())

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical JSON: equal for equal files, whatever made them."""
        return digest_bytes(json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode())

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)

    def find(self, path: str) -> ManifestFile | None:
        """The file called `path`, or None."""
        return next((file for file in self.files if file.path == path), None)

    def within(self, folder: str) -> Manifest:
        """Only the files below `folder`, their paths unchanged."""
        return Manifest(tuple(file for file in self.files if file.path.startswith(f"{folder}/")))

    def below(self, folder: str) -> Manifest:
        """The same files, all of them below `folder`."""
        return Manifest(tuple(replace(file, path=f"{folder}/{file.path}") for file in self.files))

    def merge(self, other: Manifest) -> Manifest:
        """All files of both; where both have a path, `other` wins."""
        return Manifest(tuple({file.path: file for file in (*self.files, *other.files)}.values()))

    def to_json(self) -> list[JsonValue]:
        """`[{"path", "sha256", "size_bytes"}, …]`, sorted by path."""
        return [{"path": file.path, "sha256": file.sha256, "size_bytes": file.size_bytes} for file in self.files]

    @classmethod
    def from_json(cls, value: JsonValue) -> Manifest:
        """Raises InvalidInput (`invalid_manifest`) when `value` has another shape than `to_json` gives."""
        try:
            rows = [cast("JsonObject", row) for row in cast("list[JsonValue]", value)]
            files = tuple(ManifestFile(_text(row["path"]), Digest(_text(row["sha256"])), _count(row["size_bytes"])) for row in rows)
        except (KeyError, TypeError) as error:
            raise InvalidInput("invalid_manifest") from error
        return cls(files)


def check_path(path: str) -> str:
    """A path that stays inside its artifact on every system. Raises InvalidInput (`invalid_artifact_path`)."""
    parts = path.split("/")
    if len(path) > 400 or not all(_PART.fullmatch(part) and not part.endswith((".", " ")) for part in parts):
        raise InvalidInput("invalid_artifact_path", path=shorten(path))
    return path


def pack_folder(folder: Path, blobs: BlobStore, *, only: Iterable[str] | None = None) -> Manifest:
    """Stores the files below `folder` and returns their manifest.

    Args:
        folder: where the files are; links are refused, hidden files are left out.
        blobs: where they go.
        only: relative paths to take; None takes all.

    Raises:
        InvalidInput: `invalid_artifact_path` for an unsafe name or a link.
    """
    with disk_errors():
        paths = sorted(only) if only is not None else sorted(_walk(folder))
    for path in paths:
        if (folder / check_path(path)).is_symlink() or not (folder / path).is_file():
            raise InvalidInput("invalid_artifact_path", path=shorten(path))
    files = [ManifestFile(path, blobs.put(folder / path), (folder / path).stat().st_size) for path in paths]
    return Manifest(tuple(files))


def materialize(manifest: Manifest, blobs: BlobStore, target: Path) -> Path:
    """Makes `target` the folder that `manifest` describes, whole and verified, and returns it.

    A folder that is there is checked by digest and used again; a damaged one is made anew from the store.
    Its files may be read-only hard links into the store: never write to them.

    Raises:
        DataCorrupt: `artifact_corrupt` when the store's bytes are damaged; then `target` does not exist.
        NotFound: `blob_not_found`.
    """
    with disk_errors():
        if target.is_dir():
            if is_intact(manifest, target):
                return target
            discard(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(target)
        try:
            _fill(manifest, blobs, temporary)
            _place(manifest, temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def is_intact(manifest: Manifest, folder: Path) -> bool:
    """Whether `folder` has exactly the manifest's files with the right bytes (about 1 s a gigabyte and a half)."""
    try:
        if sorted(_walk(folder)) != [file.path for file in manifest.files]:
            return False
        return all(digest_file(folder / file.path) == file.sha256 for file in manifest.files)
    except (OSError, InvalidInput):
        return False


def discard(folder: Path) -> None:
    """Takes a folder away in one step (rename), then deletes it."""
    away = temporary_beside(folder)
    try:
        folder.rename(away)
    except FileNotFoundError:
        return
    shutil.rmtree(away, ignore_errors=True)


def _fill(manifest: Manifest, blobs: BlobStore, folder: Path) -> None:
    folder.mkdir()
    for file in manifest.files:
        path = folder / PurePosixPath(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        blobs.get(file.sha256, path, is_shared=True)
        if path.stat().st_size != file.size_bytes:
            raise DataCorrupt("artifact_corrupt", digest=file.sha256)
    sync_folder(folder)


def _place(manifest: Manifest, temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError:
        # Another process was faster: its folder is as good as ours, if it is whole.
        if not is_intact(manifest, target):
            raise
    sync_folder(target.parent)


def _walk(folder: Path) -> list[str]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if (Path(root) / name).is_symlink():
                raise InvalidInput("invalid_artifact_path", path=shorten(name))
        found += [(Path(root) / name).relative_to(folder).as_posix() for name in names if not name.startswith(".")]
    return found


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: JsonValue) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value
