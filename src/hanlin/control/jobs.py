"""Jobs as a team sees them: submitted, watched, cancelled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from hanlin.control.job_kinds import check_job
from hanlin.control.job_references import check_references
from hanlin.control.job_story import story
from hanlin.control.platform import Platform
from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.jobs import Job, JobEvent
from hanlin.jobs.values import JobState
from hanlin.messages.said import Said
from hanlin.storage.tables import JobRow, ModelRow, ModelVersionRow
from hanlin.types import JsonObject, ModelRef, Principal, TeamId, shorten

MAX_LISTED = 500
MAX_LOG_BYTES = 256 * 1024
MAX_EVENT_PAGES = 1000  # of a thousand events: at one a second, eleven days
STATES: tuple[JobState, ...] = ("queued", "running", "succeeded", "failed", "cancelled")


def submit(
    platform: Platform, principal: Principal, *, kind: str, config: JsonObject, idempotency_key: str | None = None,
    check: Callable[[Session], None] | None = None,
) -> Job:  # fmt: skip
    """Queues a job with its defaults filled in. The same idempotency key with the same request answers the first job.

    Args:
        check: see `JobQueue.submit`.

    Raises:
        InvalidInput: unknown kind, or a config that would fail (names the field).
        NotFound: a dataset or model that the job names.
        Conflict: the idempotency key was used with another request.
    """
    principal.require("write")
    checked = check_job(kind, config).completed(platform.settings)
    check_references(platform, principal, checked)
    return platform.jobs.submit(
        principal.team_id,
        kind,
        checked.model_dump(mode="json"),
        lane=checked.lane,
        idempotency_key=idempotency_key,
        key_id=principal.key_id,
        check=check,
    )


def list_jobs(platform: Platform, principal: Principal, *, state: str | None = None, limit: int = 50) -> list[Job]:
    """The team's jobs, running ones first, then the newest. Raises InvalidInput (`unknown_job_state`)."""
    principal.require("read")
    known = next((item for item in STATES if item == state), None)
    if known != state:
        raise InvalidInput("unknown_job_state", state=shorten(str(state)), choices=", ".join(STATES))
    return platform.jobs.list(principal.team_id, state=known, limit=max(1, min(limit, MAX_LISTED)))


def get_job(platform: Platform, principal: Principal, job_id: str) -> Job:
    """One job. Raises NotFound."""
    principal.require("read")
    return platform.jobs.get(principal.team_id, job_id)


def cancel(platform: Platform, principal: Principal, job_id: str) -> Job:
    """Asks a job to end: at once when queued, within 10 s when running; changes nothing when it has ended. Raises NotFound."""
    principal.require("write")
    return platform.jobs.cancel(principal.team_id, job_id)


def forget_cancelled(platform: Platform, job_id: str | None = None) -> None:
    """Removes the versions that cancelled jobs (or the one named) had made; what is published or in use by now stays."""
    made = (
        select(JobRow.team_id, ModelRow.name, ModelVersionRow.number)
        .join(ModelVersionRow, ModelVersionRow.job_id == JobRow.id)
        .join(ModelRow, ModelRow.id == ModelVersionRow.model_id)
        .where(JobRow.state == "cancelled", ModelVersionRow.state != "published")
    )
    with platform.database.read() as session:
        found = session.execute(made if job_id is None else made.where(JobRow.id == job_id)).all()
    for team, name, number in found:
        with contextlib.suppress(NotFound, Conflict):  # deleted meanwhile; published meanwhile or in use
            version = platform.registry.resolve(TeamId(team), ModelRef(name, version=number))
            platform.registry.delete_version(version, is_unpublished_only=True)


def events(platform: Platform, principal: Principal, job_id: str, *, after: int = 0) -> list[JobEvent]:
    """What the job told since event `after`, in order. Raises NotFound."""
    principal.require("read")
    return platform.jobs.events(principal.team_id, job_id, after=after)


def logs(platform: Platform, principal: Principal, job_id: str, *, language: str = "en") -> str:
    """The end of the job's story by its events, at most 262,144 characters, then of its own output, at most 256 KiB. Raises NotFound."""
    principal.require("read")
    job = platform.jobs.get(principal.team_id, job_id)
    told = "\n".join(story(job, _all_events(platform, principal, job_id), language))[-MAX_LOG_BYTES:]
    output = _output(platform, job)
    said = Said("job_output").text(language)
    heading = f"\n--- {said} ---" if told and output else ""
    return "\n".join(filter(None, (told + heading, output)))


def _all_events(platform: Platform, principal: Principal, job_id: str) -> Iterator[JobEvent]:
    """All that were kept, in order, a page at a time."""
    after = 0
    for _ in range(MAX_EVENT_PAGES):
        found = platform.jobs.events(principal.team_id, job_id, after=after)
        if not found:
            return
        yield from found
        after = found[-1].number


def _output(platform: Platform, job: Job) -> str:
    """The end of what its process wrote; empty where there is nothing."""
    path = platform.job_log(job.id)
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - MAX_LOG_BYTES))
        return stream.read(MAX_LOG_BYTES).decode("utf-8", errors="replace")
