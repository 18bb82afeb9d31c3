"""The process of one job attempt: finds the pipeline of its kind, runs it, and writes how it ended."""

from __future__ import annotations

import signal
import sys
import traceback
from types import FrameType

from hanlin.app.wiring import open_platform
from hanlin.control.platform import Platform
from hanlin.errors import Cancelled, HanlinError, Internal
from hanlin.jobs import Job, ProgressWriter
from hanlin.observe.memory import is_out_of_memory, lift_limit, limit_memory
from hanlin.settings import Settings
from hanlin.types import JsonObject


class _AskedToStop(BaseException):
    """SIGTERM: the server shuts down or the job was cancelled. Passes through every `except Exception`."""


def run_job(settings: Settings, job_id: str) -> int:
    """Runs the claimed job to its end; 0 when its end was written, 1 when the runner must settle it."""
    limit_memory(settings.job_memory_bytes)
    signal.signal(signal.SIGTERM, _stop)
    platform = open_platform(settings)
    job = platform.jobs.get_any(job_id)
    print(f"--- attempt {job.attempt} of {job.kind} job {job.id}", flush=True)
    try:
        result = _run_pipeline(platform, job)
    except (_AskedToStop, Cancelled):  # the runner clears up before it says that a job is cancelled
        return 1
    except Exception as error:
        reason = _reason(error)
        traceback.print_exc(file=sys.stdout)
        platform.jobs.fail(job, reason)
    else:
        platform.jobs.finish(job, result)
    finally:
        platform.close()
    return 0


def _run_pipeline(platform: Platform, job: Job) -> JsonObject:
    from hanlin.pipelines.base import PIPELINES, JobContext

    workdir = platform.job_folder(job.id)
    workdir.mkdir(parents=True, exist_ok=True)
    with ProgressWriter(platform.jobs, job) as progress:
        context = JobContext(platform=platform, job=job, progress=progress, workdir=workdir)
        return PIPELINES.get(job.kind).run(context, job.config)


def _reason(error: Exception) -> HanlinError:
    """What the job's owner is told."""
    if is_out_of_memory(error):
        lift_limit()  # the rest of our work is small
        return Internal("job_out_of_memory")
    return error if isinstance(error, HanlinError) else Internal("job_crashed", problem=type(error).__name__)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _AskedToStop
