"""Garbage collection: removes blobs that no record names. What a crash left behind goes this way, and deleted versions' files.

A blob younger than the grace time is never touched: it may belong to a record that is about to be made (putting a blob
that exists already makes it young again).
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from hanlin.storage.blobs import BlobStore
from hanlin.storage.database import Database
from hanlin.storage.durable import remove_stale
from hanlin.storage.kept_tables import FileRow, UploadRow
from hanlin.storage.manifest import Manifest
from hanlin.storage.tables import DatasetVersionRow, JobRow, ModelVersionRow, VariantRow
from hanlin.types import utc_now

GRACE_S = 86_400.0
_DIGESTS = re.compile(r"\b[0-9a-f]{64}\b")


def collect_garbage(database: Database, blobs: BlobStore, *, cache: Path | None = None, grace_s: float = GRACE_S) -> int:
    """Removes orphaned blobs and returns how many; safe while others publish, deploy and download.

    Args:
        database: what the records need.
        blobs: where to look.
        cache: the folder of laid-out artifacts; half-made ones in it are removed too.
        grace_s: what is younger stays.
    """
    limit = utc_now() - timedelta(seconds=grace_s)
    blobs.tidy(limit)
    if cache is not None:
        remove_stale(cache, before_s=limit.timestamp())
    old = [found.digest for found in blobs.list() if found.touched_at < limit]
    live = live_digests(database)  # after the listing: what was recorded meanwhile is spared
    count = 0
    for digest in old:
        found = blobs.stat(digest)
        if digest not in live and found is not None and found.touched_at < limit:
            blobs.delete(digest)
            count += 1
    return count


def live_digests(database: Database) -> set[str]:
    """Every blob that a dataset, a model, an upload, a file or a job that has not ended still needs, of all teams."""
    live: set[str] = set()
    with database.read() as session:
        for column in (DatasetVersionRow.manifest, ModelVersionRow.manifest, VariantRow.manifest):
            for value in session.scalars(select(column)):
                if value is not None:
                    live.update(file.sha256 for file in Manifest.from_json(value).files)
        live.update(session.scalars(select(UploadRow.digest).where(UploadRow.is_complete)))
        live.update(session.scalars(select(FileRow.digest)))
        for config in session.scalars(select(JobRow.config).where(JobRow.state.in_(["queued", "running"]))):
            live.update(_DIGESTS.findall(json.dumps(config)))
    return live
