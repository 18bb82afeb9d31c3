"""Batches of requests as OpenAI's clients know them: jobs of kind `batch` that have a url instead of an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from hanlin.control import files, jobs
from hanlin.control.platform import Platform
from hanlin.errors import InvalidInput, NotFound
from hanlin.jobs import Job
from hanlin.types import JsonObject, Principal, shorten

WINDOW_S = 86_400.0
_PAGE = 100


def create(platform: Platform, principal: Principal, *, file_id: str, url: str, metadata: Mapping[str, str]) -> Job:
    """Queues a batch. Raises NotFound (the file), InvalidInput (`wrong_purpose`), PermissionDenied."""
    file = files.get_file(platform, principal, file_id)
    if file.purpose != "batch":
        raise InvalidInput("wrong_purpose", name=shorten(file_id))
    config: JsonObject = {
        "url": url, "file": {"path": f"{file.id}.jsonl", "sha256": file.digest, "size_bytes": file.size_bytes}, "window_s": WINDOW_S,
        "metadata": dict(metadata),
    }  # fmt: skip
    return jobs.submit(platform, principal, kind="batch", config=config)


def get(platform: Platform, principal: Principal, batch: str) -> Job:
    """One batch. Raises NotFound."""
    try:
        job = jobs.get_job(platform, principal, f"job_{batch.removeprefix('batch_')}" if batch.startswith("batch_") else "")
    except NotFound:
        raise _missing(batch) from None
    if not _is_batch(job):
        raise _missing(batch)
    return job


def cancel(platform: Platform, principal: Principal, batch: str) -> Job:
    """Asks a batch to end; an ended one stays as it is. Raises NotFound."""
    principal.require("write")
    return jobs.cancel(platform, principal, get(platform, principal, batch).id)


def list_batches(platform: Platform, principal: Principal, *, after: str | None, limit: int) -> list[Job]:
    """The team's batches, newest first, behind batch `after`. Raises NotFound when there is no such batch."""
    principal.require("read")
    last = None if after is None else get(platform, principal, after)
    found: list[Job] = []
    while len(found) < limit:
        page = platform.jobs.page(principal.team_id, "batch", after=last, limit=_PAGE)
        found += [job for job in page if _is_batch(job)]
        if len(page) < _PAGE:
            break
        last = page[-1]
    return found[:limit]


def batch_id(job: Job) -> str:
    """The batch's name for its clients."""
    return "batch_" + job.id.removeprefix("job_")


def ends_at(job: Job) -> datetime:
    """When rows that are not done are given up."""
    window_s = job.config.get("window_s")
    return job.created_at + timedelta(seconds=window_s if isinstance(window_s, int | float) else WINDOW_S)


def file_id(job: Job) -> str:
    """The file that the batch reads."""
    file = job.config.get("file")
    return str(file["path"]).removesuffix(".jsonl") if isinstance(file, dict) else ""


def _is_batch(job: Job) -> bool:
    return job.kind == "batch" and job.config.get("url") is not None


def _missing(batch: str) -> NotFound:
    return NotFound("not_found", kind="batch", name=shorten(batch))
