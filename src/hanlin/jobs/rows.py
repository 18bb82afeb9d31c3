"""Rows of jobs: to values, their events, and their end. Internal to the queue; all run in the caller's transaction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hanlin.errors import Cancelled, HanlinError, Internal, NotFound
from hanlin.jobs.values import Job, JobEvent, JobProgress, JobState, Lane
from hanlin.messages.said import Said
from hanlin.storage.tables import JobEventRow, JobRow
from hanlin.types import JobId, JsonObject, JsonValue, KeyId, TeamId, shorten


def find(session: Session, job_id: str, *, team_id: str | None = None, is_locked: bool = False) -> JobRow:
    """The job's row; within one team when one is named. Raises NotFound (`not_found`)."""
    query = select(JobRow).where(JobRow.id == job_id)
    if team_id is not None:
        query = query.where(JobRow.team_id == team_id)
    row = session.scalar(query.with_for_update() if is_locked else query)
    if row is None:
        raise NotFound("not_found", kind="job", name=shorten(job_id))
    return row


def value(row: JobRow) -> Job:
    """The value of a row."""
    return Job(
        id=JobId(row.id), team_id=TeamId(row.team_id), key_id=KeyId(row.key_id) if row.key_id else None, kind=row.kind,
        lane=cast("Lane", row.lane), config=row.config, state=cast("JobState", row.state), attempt=row.attempt,
        progress=JobProgress(row.step, row.total, row.metrics), said=Said.load(row.message), result=row.result, error=row.error,
        runner_id=row.runner_id, lease_expires_at=row.lease_expires_at,
        is_cancel_requested=row.is_cancel_requested, created_at=row.created_at, started_at=row.started_at, ended_at=row.ended_at,
    )  # fmt: skip


def event(row: JobEventRow) -> JobEvent:
    """The value of a row."""
    return JobEvent(row.number, row.kind, row.data, row.created_at)  # type: ignore[arg-type]  # only `append` writes kinds


def append(session: Session, job: JobRow, kind: str, data: JsonObject, now: datetime) -> None:
    """Adds the job's next event. The caller holds the job's row, so numbers have no gaps and no twins."""
    session.flush()
    last = session.scalar(select(func.max(JobEventRow.number)).where(JobEventRow.job_id == job.id)) or 0
    session.add(JobEventRow(job_id=job.id, number=last + 1, team_id=job.team_id, kind=kind, data=data, created_at=now))


def end(session: Session, job: JobRow, state: JobState, now: datetime) -> None:
    """Puts a job into its last state and says so in its events."""
    job.state, job.ended_at = state, now
    job.runner_id = job.lease_expires_at = None
    append(session, job, "end", {"state": state}, now)


def end_cancelled(session: Session, job: JobRow, now: datetime) -> None:
    """Ends a job that somebody gave up."""
    job.error = wire(Cancelled("job_cancelled"))
    end(session, job, "cancelled", now)


def put_back(session: Session, job: JobRow, max_attempts: int, now: datetime) -> None:
    """After its process died: queued again, unless it was given up or has died too often."""
    if job.is_cancel_requested:
        end_cancelled(session, job, now)
    elif job.attempt >= max_attempts:
        job.error = wire(Internal("job_attempts_exhausted", attempts=job.attempt))
        end(session, job, "failed", now)
    else:
        job.state, job.runner_id, job.lease_expires_at = "queued", None, None


def wire(error: HanlinError) -> JsonObject:
    """An error as a job keeps it, with its words in both languages."""
    found: JsonObject = {**error.to_wire("en"), "message_zh": error.text("zh")}
    if advice := error.advice("zh"):
        found["next_zh"] = advice
    return found


def finite(metrics: Mapping[str, float]) -> JsonObject:
    """Metrics as JSON: what is not a finite number becomes null."""
    return {name: _number(metric) for name, metric in metrics.items()}


def _number(metric: float) -> JsonValue:
    return metric if math.isfinite(metric) else None
