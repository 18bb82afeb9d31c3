"""Uploaded and stored bytes as a team sees them: what it sent itself, and the files of its own versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from hanlin.control import files
from hanlin.control.platform import Platform
from hanlin.errors import NotFound
from hanlin.storage.blobs import BlobStat, check_digest
from hanlin.storage.manifest import Manifest
from hanlin.storage.uploads import UploadStatus
from hanlin.types import Digest, Principal, TeamId


def upload_status(platform: Platform, principal: Principal, digest: str) -> UploadStatus | None:
    """How far the team's upload is, or None. Raises InvalidInput (`invalid_digest`)."""
    principal.require("read")
    return platform.uploads.status(principal.team_id, digest)


def begin_upload(platform: Platform, principal: Principal, digest: str, size_bytes: int) -> UploadStatus:
    """Announces an upload, or finds the one to go on with. Raises InvalidInput (`invalid_digest`, `upload_too_large`)."""
    principal.require("write")
    return platform.uploads.begin(principal.team_id, digest, size_bytes)


def append_upload(platform: Platform, principal: Principal, digest: str, offset: int, piece: bytes) -> UploadStatus:
    """Adds a piece. Raises Conflict (`upload_offset_mismatch`, `upload_busy`), InvalidInput, NotReady (`storage_full`)."""
    principal.require("write")
    return platform.uploads.append(principal.team_id, digest, offset, piece)


def finish_upload(platform: Platform, principal: Principal, digest: str) -> Digest:
    """Makes a whole upload a blob. Raises InvalidInput (`digest_mismatch`): then nothing stays."""
    principal.require("write")
    return platform.uploads.finish(principal.team_id, digest)


def find_blob(platform: Platform, principal: Principal, digest: str) -> BlobStat:
    """A stored blob that is the team's own. Raises NotFound (`blob_not_found`), also for another team's."""
    principal.require("read")
    checked = check_digest(digest)
    status = platform.uploads.status(principal.team_id, checked)
    is_ours = (
        (status is not None and status.is_complete)
        or files.is_kept(platform, principal.team_id, checked)
        or any(file.sha256 == checked for manifest in _manifests(platform, principal.team_id) for file in manifest.files)
    )
    found = platform.blobs.stat(checked) if is_ours else None
    if found is None:
        raise NotFound("blob_not_found", digest=checked)
    return found


def open_blob(platform: Platform, principal: Principal, digest: str) -> BinaryIO:
    """A verifying reader of a blob that is the team's own. Raises NotFound."""
    return platform.blobs.open(find_blob(platform, principal, digest).digest)


def require_upload(platform: Platform, principal: Principal, digest: str) -> Digest:
    """The digest, when the team has put these bytes here. Raises NotFound (`blob_not_found`)."""
    return find_blob(platform, principal, digest).digest


def _manifests(platform: Platform, team: TeamId) -> Iterator[Manifest]:
    for dataset in platform.registry.list_datasets(team):
        yield from (version.manifest for version in dataset.versions)
    for model in platform.registry.list_models(team):
        for found in model.versions:
            yield found.manifest
            yield from (item.manifest for item in platform.registry.list_variants(found) if item.manifest is not None)
