"""The wire forms of the control API: what is sent and what is answered, described for OpenAPI.

Each answer is made from a frozen value of `control/` by its `of`; nothing else of the value leaves the process.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from hanlin.accounts import Key
from hanlin.control.values import DatasetView, DeploymentView, EndpointView, ModelView, VersionView
from hanlin.jobs import Job
from hanlin.registry.values import Certificate, DatasetVersion, ModelVersion, Variant
from hanlin.storage.manifest import Manifest
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

    kind: str = Field(max_length=40, description="ingest, train, evaluate, import, compress or certify")
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
    message: str = Field(description="the latest line for people")
    result: Json | None = None
    error: Json | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        """From the queue's value."""
        progress = ProgressAnswer(step=job.progress.step, total=job.progress.total, metrics=job.progress.metrics)
        return cls(
            id=job.id, kind=job.kind, state=job.state, attempt=job.attempt, config=job.config, progress=progress, message=job.message,
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


class DatasetsAnswer(Answer):
    """Datasets by name."""

    datasets: list[DatasetAnswer]


class VariantAnswer(Answer):
    """One runnable form with its measured evidence."""

    variant: str
    is_chosen: bool
    size_bytes: int | None = Field(description="of its own files; None when it runs from the version's")
    evidence: Json

    @classmethod
    def of(cls, item: Variant) -> Self:
        """From the registry's value."""
        return cls(
            variant=item.variant,
            is_chosen=item.is_chosen,
            size_bytes=item.manifest.size_bytes if item.manifest else None,
            evidence=item.evidence,
        )


class CertificateAnswer(Answer):
    """The record that a variant answers like the trained model."""

    variant: str
    is_passed: bool
    report: Json
    created_at: datetime

    @classmethod
    def of(cls, item: Certificate) -> Self:
        """From the registry's value."""
        return cls(variant=item.variant, is_passed=item.is_passed, report=item.report, created_at=item.created_at)


class VersionAnswer(Answer):
    """An immutable release of a model."""

    number: int
    state: Literal["candidate", "certified", "published"]
    is_base: bool
    labels: list[str]
    metrics: Json
    lineage: Json
    digest: str
    created_at: datetime
    published_at: datetime | None = None
    job_id: str | None = None

    @classmethod
    def of(cls, item: ModelVersion) -> Self:
        """From the registry's value."""
        return cls.model_validate(item)


class FullVersionAnswer(VersionAnswer):
    """A version with everything that hangs on it."""

    variants: list[VariantAnswer]
    certificates: list[CertificateAnswer]
    pictures: list[str]

    @classmethod
    def of_view(cls, view: VersionView) -> Self:
        """From control's value."""
        return cls(**VersionAnswer.of(view.version).model_dump(), variants=[VariantAnswer.of(item) for item in view.variants],
                   certificates=[CertificateAnswer.of(item) for item in view.certificates], pictures=list(view.pictures))  # fmt: skip


class ModelAnswer(Answer):
    """A model."""

    name: str
    task: str
    notes: str
    aliases: dict[str, int]
    versions: list[FullVersionAnswer] = Field(description="newest first")

    @classmethod
    def of(cls, view: ModelView) -> Self:
        """From control's value."""
        aliases = {item.name: item.number for item in view.aliases}
        return cls(
            name=view.name,
            task=view.task,
            notes=view.notes,
            aliases=aliases,
            versions=[FullVersionAnswer.of_view(item) for item in view.versions],
        )


class ModelsAnswer(Answer):
    """Models by name."""

    models: list[ModelAnswer]


class AliasRequest(Sent):
    """Where an alias shall point."""

    version: int = Field(ge=1, lt=2**31)


class NotesRequest(Sent):
    """Notes for the model card."""

    notes: str = Field(max_length=20_000)


class FileAnswer(Answer):
    """One file of a version."""

    path: str
    sha256: str
    size_bytes: int


class FilesAnswer(Answer):
    """The files of a version; each can be fetched by its digest."""

    digest: str
    files: list[FileAnswer]

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """From storage's value."""
        files = [FileAnswer(path=file.path, sha256=file.sha256, size_bytes=file.size_bytes) for file in manifest.files]
        return cls(digest=manifest.digest, files=files)


class DeployRequest(Sent):
    """What an endpoint shall serve."""

    model: str = Field(max_length=140, description="NAME, NAME@ALIAS or NAME:VERSION")
    endpoint: str = Field(max_length=80)
    variant: str | None = Field(None, max_length=64, description="None takes the chosen one")
    replicas: int = Field(1, ge=1, le=16)


class DeploymentAnswer(Answer):
    """A declared deployment and how far it has come."""

    id: str
    endpoint: str
    model: str
    version: int
    task: str
    variant: str
    replicas: int
    state: Literal["starting", "ready", "failed", "draining", "stopped"]
    reason: str
    url: str = Field(description="path of the endpoint on this server")
    created_at: datetime

    @classmethod
    def of(cls, view: DeploymentView) -> Self:
        """From control's value."""
        return cls(id=view.id, endpoint=view.endpoint, model=view.model, version=view.version, task=view.task, variant=view.variant,
                   replicas=view.replicas, state=view.state, reason=view.reason, url=view.url, created_at=view.created_at)  # fmt: skip


class DeploymentsAnswer(Answer):
    """Deployments, newest first."""

    deployments: list[DeploymentAnswer]


class EndpointAnswer(DeploymentAnswer):
    """An endpoint: the deployment it shall serve, flat, and the one that answers right now."""

    name: str
    labels: list[str]
    serving: DeploymentAnswer | None = Field(description="None before anything is ready")

    @classmethod
    def of_view(cls, view: EndpointView) -> Self:
        """From control's value."""
        serving = DeploymentAnswer.of(view.serving) if view.serving else None
        return cls(**DeploymentAnswer.of(view.wanted).model_dump(), name=view.name, labels=list(view.labels), serving=serving)


class EndpointsAnswer(Answer):
    """Endpoints by name."""

    endpoints: list[EndpointAnswer]


class TaskAnswer(Answer):
    """A task this server knows."""

    name: str
    main_metric: str
    columns: list[str]
    example: Json

    @classmethod
    def of(cls, task: Task) -> Self:
        """From the task."""
        return cls(name=task.name, main_metric=task.main_metric, columns=[column.name for column in task.columns], example=task.example)


class TasksAnswer(Answer):
    """Tasks by name."""

    tasks: list[TaskAnswer]


class KeyRequest(Sent):
    """A key to make."""

    name: str = Field(max_length=80)
    scopes: list[Annotated[str, Field(max_length=40)]] = Field(min_length=1, max_length=8, description="predict, read, write, admin")
    expires_at: Annotated[datetime, Field(strict=False)] | None = None


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
