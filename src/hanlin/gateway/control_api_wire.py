"""The wire forms of the control API: what is sent and what is answered, described for OpenAPI.

Each answer is made from a frozen value of `control/` by its `of`; nothing else of the value leaves the process.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from hanlin.accounts import Key
from hanlin.control.values import DatasetView
from hanlin.jobs import Job
from hanlin.registry.values import DatasetVersion
from hanlin.tasks.base import Task

Json = dict[str, JsonValue]


class Sent(BaseModel):
    """What a client sends: unknown fields and loose types are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class JobRequest(Sent):
    """A job to queue."""

    kind: str = Field(max_length=40, description="ingest, check, train, evaluate, import, compress or certify")
    config: Json = Field(description="what the job must be told; depends on the kind")
    idempotency_key: str | None = Field(None, max_length=200, description="the same key with the same request answers the first job")


class ProgressAnswer(Answer):
    """How far a job is."""

    step: int
    total: int = Field(description="0 when not known")
    metrics: Json


class JobAnswer(Answer):
    """A job."""

    id: str
    kind: str
    state: str = Field(description="queued, running, succeeded, failed or cancelled")
    attempt: int
    config: Json
    progress: ProgressAnswer
    message: str = Field(description="the latest line for people, in the caller's language")
    said: Json | None = Field(None, description="the same as `code` and `params`, which stay the same in every language")
    result: Json | None = None
    error: Json | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def of(cls, job: Job, *, message: str) -> Self:
        """From the queue's value, its latest line put into words."""
        progress = ProgressAnswer(step=job.progress.step, total=job.progress.total, metrics=job.progress.metrics)
        return cls(
            id=job.id, kind=job.kind, state=job.state, attempt=job.attempt, config=job.config, progress=progress, message=message,
            said=job.said.to_json() if job.said else None,
            result=job.result, error=job.error, created_at=job.created_at, started_at=job.started_at, ended_at=job.ended_at,
        )  # fmt: skip


class JobsAnswer(Answer):
    """Jobs, newest first."""

    jobs: list[JobAnswer]


class DatasetVersionAnswer(Answer):
    """An immutable snapshot."""

    number: int
    digest: str
    rows: int
    created_at: datetime
    report: Json

    @classmethod
    def of(cls, item: DatasetVersion) -> Self:
        """From the registry's value."""
        rows = item.report.get("rows_kept")
        return cls(
            number=item.number,
            digest=item.digest,
            rows=rows if isinstance(rows, int) else 0,
            created_at=item.created_at,
            report=item.report,
        )


class DatasetAnswer(Answer):
    """A dataset."""

    name: str
    task: str
    versions: list[DatasetVersionAnswer] = Field(description="newest first")

    @classmethod
    def of(cls, view: DatasetView) -> Self:
        """From control's value."""
        return cls(name=view.name, task=view.task, versions=[DatasetVersionAnswer.of(item) for item in view.versions])


class DatasetCheckAnswer(Answer):
    """What looking through a dataset version found."""

    name: str
    number: int
    found: Json = Field(description="near-twins, leaks, doubted labels, lengths and languages; docs/honest-data.md names each field")


class DatasetsAnswer(Answer):
    """Datasets by name."""

    datasets: list[DatasetAnswer]


class TaskAnswer(Answer):
    """A task this server knows."""

    name: str
    main_metric: str
    columns: list[str]
    example: Json

    @classmethod
    def of(cls, task: Task) -> Self:
        """From the task."""
        return cls(
            name=task.name, main_metric=task.main_metric, columns=[column.name for column in task.examples.columns], example=task.example
        )


class TasksAnswer(Answer):
    """Tasks by name."""

    tasks: list[TaskAnswer]


def _as_utc(moment: datetime) -> datetime:
    """The moment in UTC, as the database keeps it; within a day of the calendar's ends there may be none."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the moment lies outside of the years 1 to 9999 in UTC") from None


class KeyRequest(Sent):
    """A key to make."""

    name: str = Field(max_length=80)
    scopes: list[Annotated[str, Field(max_length=40)]] = Field(min_length=1, max_length=8, description="predict, read, write, admin")
    expires_at: (
        Annotated[AwareDatetime, Field(strict=False, description="a moment with its time zone; none means never"), AfterValidator(_as_utc)]
        | None
    ) = None


class KeyAnswer(Answer):
    """A key, without its secret."""

    id: str
    name: str
    prefix: str = Field(description="the first characters of the secret, to tell keys apart")
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @classmethod
    def of(cls, key: Key) -> Self:
        """From the account's value."""
        return cls.model_validate(key)


class NewKeyAnswer(KeyAnswer):
    """A new key with its secret, shown this once."""

    secret: str

    @classmethod
    def of_new(cls, key: Key, secret: str) -> Self:
        """From the account's value."""
        return cls(**KeyAnswer.of(key).model_dump(), secret=secret)


class KeysAnswer(Answer):
    """The team's keys."""

    keys: list[KeyAnswer]
