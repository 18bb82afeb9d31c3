"""The job queue in the database. Every method is one short transaction; any number of processes may use it at once.

A running job belongs to the runner that claimed it, for as long as it renews its lease. Whoever lost the lease can no
longer report, finish or fail it (`lease_lost`): the claim's attempt number is the fence.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from hanlin.errors import Cancelled, Conflict, HanlinError, InvalidInput
from hanlin.jobs import rows
from hanlin.jobs.values import ENDED, MAX_ATTEMPTS, Job, JobEvent, JobState, Lane
from hanlin.messages.said import Said
from hanlin.storage.database import Database, find_or_add
from hanlin.storage.tables import JobEventRow, JobRow
from hanlin.types import JobId, JsonObject, KeyId, TeamId, utc_now

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class JobQueue:
    """Submits, claims, renews and ends jobs.

    Args:
        database: where they are kept.
        clock: the present moment; tests pass their own.
        max_attempts: how often a job whose process dies is begun.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now, max_attempts: int = MAX_ATTEMPTS) -> None:
        self._database = database
        self._clock = clock
        self._max_attempts = max_attempts

    def submit(
        self,
        team_id: TeamId,
        kind: str,
        config: JsonObject,
        *,
        lane: Lane = "heavy",
        idempotency_key: str | None = None,
        key_id: KeyId | None = None,
        check: Callable[[Session], None] | None = None,
    ) -> Job:
        """Queues a job. The same idempotency key with the same request gives the job that is there.

        Args:
            team_id: whose.
            kind: what to do.
            config: with what.
            lane: jobs of one lane wait for one another.
            idempotency_key: the caller's name for this request, unique within the team.
            key_id: the API key that asked.
            check: looks whether a new one may stay, in the transaction that queues it; raising refuses it.

        Raises:
            InvalidInput: `invalid_idempotency_key`.
            Conflict: `idempotency_conflict` when the key was used for another request.
        """
        if idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise InvalidInput("invalid_idempotency_key")
        digest = _request_digest(kind, config)
        row = JobRow(
            id=_new_id(), team_id=team_id, key_id=key_id, kind=kind, lane=lane, config=config, idempotency_key=idempotency_key,
            request_digest=digest, fingerprint="", state="queued", attempt=0, step=0, total=0, metrics={}, message="", result=None,
            error=None, runner_id=None, lease_expires_at=None, is_cancel_requested=False, created_at=self._clock(), started_at=None,
            ended_at=None,
        )  # fmt: skip
        if idempotency_key is None:
            with self._database.write() as session:
                session.add(row)
                if check is not None:
                    session.flush()
                    check(session)
            return rows.value(row)
        return self._submit_once(row, idempotency_key, check)

    def claim(self, runner_id: str, lanes: Sequence[Lane], lease_s: float) -> Job | None:
        """The next job, now held by this runner for `lease_s` seconds; None when there is none.

        Jobs whose lease ran out are put back first. Teams take turns: the one whose last job began longest ago is served.
        """
        if not lanes or not self._is_work(lanes):
            return None
        with self._database.write() as session:
            now = self._clock()
            self._put_back_expired(session, now)
            other = aliased(JobRow)
            turn = select(func.max(other.started_at)).where(other.team_id == JobRow.team_id).correlate(JobRow).scalar_subquery()
            query = select(JobRow).where(JobRow.state == "queued", JobRow.lane.in_(lanes))
            query = query.order_by(turn.asc().nulls_first(), JobRow.created_at, JobRow.id).limit(1).with_for_update(skip_locked=True)
            row = session.scalar(query)
            if row is None:
                return None
            row.state, row.runner_id, row.attempt, row.started_at = "running", runner_id, row.attempt + 1, now
            row.lease_expires_at = now + timedelta(seconds=lease_s)
            return rows.value(row)

    def renew(self, job: Job, lease_s: float) -> Job:
        """Holds the job for another `lease_s` seconds; look at `is_cancel_requested` of the answer.

        Raises:
            Conflict: `lease_lost`.
        """
        with self._database.write() as session:
            row = self._held(session, job)
            row.lease_expires_at = self._clock() + timedelta(seconds=lease_s)
            return rows.value(row)

    def report(self, job: Job, *, step: int, total: int, metrics: Mapping[str, float], messages: Sequence[Said] = ()) -> None:
        """Stores progress at once; loops use `ProgressWriter`, which writes at most once a second. Raises Conflict (`lease_lost`)."""
        with self._database.write() as session:
            row, now = self._held(session, job), self._clock()
            row.step, row.total = step, total
            if metrics:
                row.metrics = {**row.metrics, **rows.finite(metrics)}
            rows.append(session, row, "progress", {"step": step, "total": total, "metrics": rows.finite(metrics)}, now)
            self._say(session, row, messages, now)

    def message(self, job: Job, *messages: Said) -> None:
        """Stores messages for people. Raises Conflict (`lease_lost`)."""
        with self._database.write() as session:
            self._say(session, self._held(session, job), messages, self._clock())

    def finish(self, job: Job, result: JsonObject) -> Job:
        """Ends a job well. Raises Conflict (`lease_lost`), also when it has ended already."""
        with self._database.write() as session:
            row = self._held(session, job)
            row.result = result
            rows.end(session, row, "succeeded", self._clock())
            return rows.value(row)

    def keep_result(self, job: Job, result: JsonObject) -> None:
        """What there is already of a job that will not end well: it stays beside the error. Raises Conflict (`lease_lost`)."""
        with self._database.write() as session:
            self._held(session, job).result = result

    def fail(self, job: Job, error: HanlinError) -> Job:
        """Ends a job badly, its error kept in both languages; one of the family Cancelled ends it as cancelled.

        Raises:
            Conflict: `lease_lost`.
        """
        with self._database.write() as session:
            row = self._held(session, job)
            row.error = rows.wire(error)
            rows.end(session, row, "cancelled" if isinstance(error, Cancelled) else "failed", self._clock())
            return rows.value(row)

    def release(self, job: Job) -> Job:
        """Gives up the lease because the job's process died: queued again, cancelled if that was asked, or failed for good.

        Does nothing when the lease is lost or the job has ended.
        """
        with self._database.write() as session:
            row = rows.find(session, job.id, is_locked=True)
            if _is_held(row, job):
                rows.put_back(session, row, self._max_attempts, self._clock())
            return rows.value(row)

    def cancel(self, team_id: TeamId, job_id: str) -> Job:
        """A queued job ends at once; a running one is marked, and its runner ends it; an ended one stays as it is."""
        with self._database.write() as session:
            row = rows.find(session, job_id, team_id=team_id, is_locked=True)
            if row.state == "queued":
                row.is_cancel_requested = True
                rows.end_cancelled(session, row, self._clock())
            elif row.state == "running":
                row.is_cancel_requested = True
            return rows.value(row)

    def end_cancelled(self, job: Job) -> Job:
        """Ends a job whose process its runner has stopped. Does nothing when the lease is lost or the job has ended."""
        with self._database.write() as session:
            row = rows.find(session, job.id, is_locked=True)
            if _is_held(row, job):
                rows.end_cancelled(session, row, self._clock())
            return rows.value(row)

    def get(self, team_id: TeamId, job_id: str) -> Job:
        """A team's job. Raises NotFound (`not_found`), also for another team's."""
        with self._database.read() as session:
            return rows.value(rows.find(session, job_id, team_id=team_id))

    def get_any(self, job_id: str) -> Job:
        """Any team's job: for runners and job processes only. Raises NotFound."""
        with self._database.read() as session:
            return rows.value(rows.find(session, job_id))

    def is_cancel_requested(self, job_id: str) -> bool:
        """Whether somebody gave the job up."""
        with self._database.read() as session:
            return rows.find(session, job_id).is_cancel_requested

    def events(self, team_id: TeamId, job_id: str, *, after: int = 0, limit: int = 1000) -> list[JobEvent]:
        """A job's events with numbers above `after`, in order. Raises NotFound."""
        with self._database.read() as session:
            rows.find(session, job_id, team_id=team_id)
            query = select(JobEventRow).where(JobEventRow.job_id == job_id, JobEventRow.number > after)
            return [rows.event(row) for row in session.scalars(query.order_by(JobEventRow.number).limit(limit))]

    def page(self, team_id: TeamId, kind: str, *, after: Job | None, limit: int) -> list[Job]:
        """A team's jobs of one kind, newest first, behind job `after`."""
        query = select(JobRow).where(JobRow.team_id == team_id, JobRow.kind == kind)
        if after is not None:
            is_twin = (JobRow.created_at == after.created_at) & (JobRow.id < after.id)
            query = query.where((JobRow.created_at < after.created_at) | is_twin)
        with self._database.read() as session:
            found = session.scalars(query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit))
            return [rows.value(row) for row in found]

    def list(self, team_id: TeamId, *, state: JobState | None = None, limit: int = 100) -> list[Job]:
        """A team's jobs: those that run, then the others, the newest of each first."""
        with self._database.read() as session:
            query = select(JobRow).where(JobRow.team_id == team_id)
            if state is not None:
                query = query.where(JobRow.state == state)
            is_running = (JobRow.state == "running").desc()
            query = query.order_by(is_running, JobRow.created_at.desc(), JobRow.id.desc()).limit(limit)
            return [rows.value(row) for row in session.scalars(query)]

    def _submit_once(self, row: JobRow, key: str, check: Callable[[Session], None] | None) -> Job:
        same = select(JobRow).where(JobRow.team_id == row.team_id, JobRow.idempotency_key == key)
        digest = row.request_digest
        with self._database.write() as session:
            found = find_or_add(session, same, row)
            if found is row and check is not None:
                check(session)
        if found.request_digest != digest:
            raise Conflict("idempotency_conflict")
        return rows.value(found)

    def _held(self, session: Session, job: Job) -> JobRow:
        row = rows.find(session, job.id, is_locked=True)
        if not _is_held(row, job):
            raise Conflict("lease_lost", job=job.id)
        return row

    def _is_work(self, lanes: Sequence[Lane]) -> bool:
        """Whether there may be something to claim: idle runners ask often, and shall not take the write lock for it."""
        is_queued = (JobRow.state == "queued") & JobRow.lane.in_(lanes)
        is_expired = (JobRow.state == "running") & (JobRow.lease_expires_at < self._clock())
        with self._database.read() as session:
            return session.scalar(select(JobRow.id).where(is_queued | is_expired).limit(1)) is not None

    def _put_back_expired(self, session: Session, now: datetime) -> None:
        query = select(JobRow).where(JobRow.state == "running", JobRow.lease_expires_at < now).with_for_update(skip_locked=True)
        for row in session.scalars(query).all():
            rows.put_back(session, row, self._max_attempts, now)
        session.flush()

    def _say(self, session: Session, row: JobRow, messages: Sequence[Said], now: datetime) -> None:
        for said in messages:
            row.message = said.dump()
            rows.append(session, row, "message", said.to_json(), now)


def _is_held(row: JobRow, job: Job) -> bool:
    return row.state not in ENDED and row.state == "running" and row.attempt == job.attempt and row.runner_id == job.runner_id


def _new_id() -> JobId:
    return JobId("job_" + "".join(secrets.choice(_ALPHABET) for _ in range(20)))


def _request_digest(kind: str, config: JsonObject) -> str:
    return hashlib.sha256(json.dumps([kind, config], sort_keys=True, ensure_ascii=True).encode()).hexdigest()
