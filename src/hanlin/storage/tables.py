"""Every table, as SQLAlchemy classes. Rows never leave the rooms above as rows: those make frozen values of them.

Each table carries `team_id` from the first migration on. Changing a class needs a new file in `migrations/versions`;
a test compares the two.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

import hanlin.storage.kept_tables  # noqa: F401 - the base shall know all tables
from hanlin.storage.table_base import Table
from hanlin.types import JsonObject, JsonValue


class TeamRow(Table):
    """A tenant."""

    __tablename__ = "teams"
    team_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class KeyRow(Table):
    """An API credential: only its SHA-256 and its first characters."""

    __tablename__ = "keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"), index=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    prefix: Mapped[str]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class DatasetRow(Table):
    """A named table of examples."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("team_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    name: Mapped[str]
    task: Mapped[str]
    last_number: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class DatasetVersionRow(Table):
    """An immutable snapshot of a dataset."""

    __tablename__ = "dataset_versions"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"), index=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    number: Mapped[int]
    digest: Mapped[str]
    manifest: Mapped[JsonValue]
    report: Mapped[JsonObject]
    created_at: Mapped[datetime]


class ModelRow(Table):
    """A model's name, with its notes."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("team_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    name: Mapped[str]
    task: Mapped[str]
    notes: Mapped[str] = mapped_column(Text, default="")
    last_number: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class ModelVersionRow(Table):
    """An immutable release of a model; only its state moves: candidate, certified, published."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model_id", "number"), UniqueConstraint("model_id", "job_id"), Index(None, "team_id", "fingerprint"))
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    number: Mapped[int]
    state: Mapped[str]
    is_base: Mapped[bool]
    digest: Mapped[str]
    manifest: Mapped[JsonValue]
    labels: Mapped[list[str]]
    lineage: Mapped[JsonObject]
    metrics: Mapped[JsonObject]
    fingerprint: Mapped[str]
    job_id: Mapped[str | None]
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]


class AliasRow(Table):
    """A movable pointer to a version."""

    __tablename__ = "aliases"
    __table_args__ = (UniqueConstraint("model_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    name: Mapped[str]
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"), index=True)
    updated_at: Mapped[datetime]


class VariantRow(Table):
    """One runnable form of a version; without a manifest it needs no files beside the version's own."""

    __tablename__ = "variants"
    __table_args__ = (UniqueConstraint("version_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    name: Mapped[str]
    manifest: Mapped[JsonValue | None] = mapped_column(JSON(none_as_null=True))
    evidence: Mapped[JsonObject]
    is_chosen: Mapped[bool]
    created_at: Mapped[datetime]


class CertificateRow(Table):
    """The record that a variant answers like the trained model; `digest` names the exact bytes it is about."""

    __tablename__ = "certificates"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"), index=True)
    variant: Mapped[str]
    digest: Mapped[str]
    report: Mapped[JsonObject]
    is_passed: Mapped[bool]
    created_at: Mapped[datetime]


class JobRow(Table):
    """Queued work, its lease, and its last progress."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("team_id", "idempotency_key"),
        Index(None, "state", "lane", "created_at"),
        Index(None, "team_id", "created_at"),
        Index(None, "team_id", "started_at"),
        Index(None, "team_id", "fingerprint"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    key_id: Mapped[str | None]
    kind: Mapped[str]
    lane: Mapped[str]
    config: Mapped[JsonObject]
    idempotency_key: Mapped[str | None]
    request_digest: Mapped[str]
    fingerprint: Mapped[str]  # always empty: nobody asks by it, and a migration is not worth it
    state: Mapped[str]
    attempt: Mapped[int]
    step: Mapped[int]
    total: Mapped[int]
    metrics: Mapped[JsonObject]
    message: Mapped[str] = mapped_column(Text)
    result: Mapped[JsonObject | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[JsonObject | None] = mapped_column(JSON(none_as_null=True))
    runner_id: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    is_cancel_requested: Mapped[bool]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class JobEventRow(Table):
    """One line of a job's story; numbers count from 1 within the job."""

    __tablename__ = "job_events"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    kind: Mapped[str]
    data: Mapped[JsonObject]
    created_at: Mapped[datetime]


class EndpointRow(Table):
    """A public name, how it answers, and `deployment_id`, the deployment that answers (or shall answer) for it."""

    __tablename__ = "endpoints"
    __table_args__ = (UniqueConstraint("team_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    name: Mapped[str]
    is_internal: Mapped[bool] = mapped_column(default=False)
    deployment_id: Mapped[str | None]
    long_text: Mapped[str] = mapped_column(default="refuse", server_default="refuse")  # refuse, truncate, window
    cache_ttl_s: Mapped[int] = mapped_column(default=0, server_default="0")  # 0: no answer is kept
    created_at: Mapped[datetime]


class DeploymentRow(Table):
    """Declared desired state behind an endpoint, and how far the reconciler came with it."""

    __tablename__ = "deployments"
    __table_args__ = (Index(None, "team_id", "created_at"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoints.id"), index=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"), index=True)
    model: Mapped[str]  # the reference as it was asked for, such as sentiment-zh@production
    variant: Mapped[str]
    replicas: Mapped[int]  # at least; 0: one, which sleeps while it is not used
    max_replicas: Mapped[int] = mapped_column(default=0, server_default="0")  # at most; 0: as `replicas`
    role: Mapped[str] = mapped_column(default="live", server_default="live")  # live, canary, shadow
    weight: Mapped[int] = mapped_column(default=0, server_default="0")  # percent of the calls that a trial gets
    stats: Mapped[JsonValue | None] = mapped_column(JSON(none_as_null=True))  # of a trial: what it and the live one did meanwhile
    isolation: Mapped[str] = mapped_column(default="own", server_default="own")  # own, shared
    idle_s: Mapped[float] = mapped_column(default=0.0, server_default="0")
    draft: Mapped[str] = mapped_column(default="", server_default="")  # the version that guesses for it, such as small:2
    is_wanted: Mapped[bool]
    state: Mapped[str]  # starting, ready, asleep, failed, draining, stopped
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    ready_at: Mapped[datetime | None]  # when it was first ready; a rollback goes to the last that ever was
    undid_id: Mapped[str | None]  # the deployment that was rolled back by this one


class AuditRow(Table):
    """Who did what to which thing; only ever appended."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "team_id", "created_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    created_at: Mapped[datetime]


class CounterRow(Table):
    """A number that only grows. Row `changes` of team `*` tells other processes that keys or deployments changed."""

    __tablename__ = "counters"
    team_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]
