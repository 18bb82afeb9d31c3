"""What is swept away once an hour, beside the runner: idle uploads, old files, what cancelled jobs made, lost bytes, old folders."""

from __future__ import annotations

import logging
import shutil
import threading
from datetime import timedelta

from hanlin.control import files, jobs, stored_responses
from hanlin.control.platform import Platform
from hanlin.errors import HanlinError, NotFound
from hanlin.jobs import Job
from hanlin.registry.collect import collect_garbage
from hanlin.types import utc_now

_EVERY_S = 3600.0
_FIRST_S = 60.0  # a start has other things to do
_FAILED_KEPT = timedelta(days=7)  # with the last good checkpoint
log = logging.getLogger(__name__)


def start(platform: Platform) -> threading.Event:
    """Sweeps on a thread of its own until the returned event is set."""
    is_over = threading.Event()

    def run() -> None:
        wait_s = _FIRST_S
        while not is_over.wait(wait_s):
            wait_s = _EVERY_S
            try:
                sweep(platform)
            except (HanlinError, OSError) as error:  # a full or busy disk: the next hour is as good
                log.warning("the sweep was left for later", extra={"details": str(error)})

    threading.Thread(target=run, name="housekeeping", daemon=True).start()
    return is_over


def sweep(platform: Platform) -> None:
    """One round."""
    platform.uploads.sweep()
    files.sweep(platform)
    stored_responses.sweep(platform)
    jobs.forget_cancelled(platform)  # where a kill came between a cancelled job's end and its tidying
    collect_garbage(platform.database, platform.blobs, cache=platform.artifact_cache)
    folders = platform.settings.home / "jobs"
    for folder in folders.iterdir() if folders.is_dir() else ():
        if _is_over(platform, folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _is_over(platform: Platform, job_id: str) -> bool:
    try:
        job: Job = platform.jobs.get_any(job_id)
    except NotFound:
        return True
    if job.state == "failed" and job.ended_at is not None:
        return utc_now() - job.ended_at > _FAILED_KEPT
    return job.has_ended
