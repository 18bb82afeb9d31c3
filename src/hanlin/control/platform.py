"""What the functions of `control/` work on: one home's database, artifacts, registry, jobs, accounts and uploads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hanlin.accounts import Accounts
from hanlin.jobs import JobQueue
from hanlin.registry import Registry
from hanlin.settings import Settings
from hanlin.storage.blobs import BlobStore
from hanlin.storage.database import Database
from hanlin.storage.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Platform:
    """The parts of one home. Threads may share it."""

    settings: Settings
    database: Database
    blobs: BlobStore
    registry: Registry
    jobs: JobQueue
    accounts: Accounts
    uploads: Uploads

    @property
    def artifact_cache(self) -> Path:
        """Where versions are unpacked by digest, for jobs and workers."""
        return self.settings.home / "cache" / "artifacts"

    def job_log(self, job_id: str) -> Path:
        """Where a job's own output is kept."""
        return self.settings.home / "logs" / "jobs" / f"{job_id}.log"

    def job_folder(self, job_id: str) -> Path:
        """Where a job keeps its checkpoints and half-done work between attempts."""
        return self.settings.home / "jobs" / job_id

    def close(self) -> None:
        """Gives back the database connections."""
        self.database.close()
