"""Names the concrete classes behind the platform's doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanlin.settings import Settings

if TYPE_CHECKING:
    from hanlin.control.platform import Platform

ANY_NUMBER = 10_000  # the runner counts deaths without progress instead: see `runner.count_death`


def open_platform(settings: Settings) -> Platform:
    """The platform over this home's database and blob store. Migrates nothing; close it when done."""
    from hanlin.accounts import Accounts
    from hanlin.control.platform import Platform
    from hanlin.jobs import JobQueue
    from hanlin.registry import Registry
    from hanlin.storage.blobs import open_blobs
    from hanlin.storage.database import Database
    from hanlin.storage.uploads import Uploads

    database = Database(settings.database)
    blobs = open_blobs(settings.blobs)
    uploads = Uploads(database, blobs, settings.home / "uploads", max_bytes=settings.max_upload_bytes, ttl_s=settings.upload_ttl_s)
    return Platform(settings=settings, database=database, blobs=blobs, registry=Registry(database, blobs),
                    jobs=JobQueue(database, max_attempts=ANY_NUMBER), accounts=Accounts(database), uploads=uploads)  # fmt: skip
