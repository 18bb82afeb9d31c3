"""The wire forms of models, versions, deployments and endpoints; see `control_api_wire`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from pydantic import Field

from hanlin.control.values import DeploymentView, EndpointView, ModelView, MovedAlias, RolledBack, VersionView
from hanlin.gateway.control_api_wire import Answer, Json, Sent
from hanlin.messages.said import Said
from hanlin.registry.models import MAX_NOTES
from hanlin.registry.values import Certificate, ModelVersion, Variant, VersionState
from hanlin.serving.declared import DeploymentState, Role
from hanlin.storage.manifest import Manifest
from hanlin.types import MAX_CACHE_TTL_S, MAX_CANARY, MAX_IDLE_S, MAX_REPLICAS, MAX_SHADOW, Isolation, LongText


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


class WarningAnswer(Answer):
    """Something that was done and may surprise."""

    code: str
    params: Json
    message: str = Field(description="the same in the caller's language")

    @classmethod
    def of(cls, warnings: Iterable[Said], language: str) -> list[Self]:
        """From what was said, in `language`."""
        return [cls.model_validate(said.to_json() | {"message": said.text(language)}) for said in warnings]


class VersionAnswer(Answer):
    """An immutable release of a model."""

    number: int
    state: VersionState
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


class MovedAliasAnswer(VersionAnswer):
    """The version that an alias means from now on, and what its users should know."""

    warnings: list[WarningAnswer] = Field(description="such as labels that are not those of the version it meant before")

    @classmethod
    def of_moved(cls, moved: MovedAlias, language: str) -> Self:
        """From control's value, its warnings in `language`."""
        return cls(**VersionAnswer.of(moved.version).model_dump(), warnings=WarningAnswer.of(moved.warnings, language))


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

    notes: str = Field(max_length=MAX_NOTES)


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
    replicas: int | None = Field(None, ge=0, le=MAX_REPLICAS, description="0: one that sleeps while unused; None: as it is scaled")
    max_replicas: int | None = Field(None, ge=1, le=MAX_REPLICAS, description="as load asks for; None: no more than `replicas`")
    isolation: Isolation | None = Field(None, description="`own`: a worker process for each copy; `shared`: one for several small models")
    idle_s: float | None = Field(None, ge=0, le=MAX_IDLE_S, description="with 0 replicas: sleeps after so long; 0: for others' need")
    long_text: LongText | None = Field(None, description="what becomes of texts that are too long; None leaves it as it is")
    canary: int | None = Field(None, ge=1, le=MAX_CANARY, description="only try it: percent of the calls that it answers")
    shadow: int | None = Field(None, ge=1, le=MAX_SHADOW, description="only try it: percent of the calls that it gets copies of")
    draft: str | None = Field(None, max_length=140, description="a smaller decoder that guesses for it, as `model`; empty: none")


class EndpointRequest(Sent):
    """How an endpoint shall answer; what is left out stays as it is."""

    long_text: LongText | None = Field(None, description="what becomes of texts that are too long")
    cache_ttl_s: int | None = Field(None, ge=0, le=MAX_CACHE_TTL_S, description="seconds for which answers are kept; 0 keeps none")


class ScaleRequest(Sent):
    """How many replicas an endpoint shall have, as load asks for."""

    min_replicas: int = Field(ge=0, le=MAX_REPLICAS, description="0: it sleeps while it is not used")
    max_replicas: int | None = Field(None, ge=1, le=MAX_REPLICAS, description="None: as many as the minimum")


class RollbackRequest(Sent):
    """Where an endpoint shall go back to; nothing but `{}` takes back what was deployed last."""

    to: str | None = Field(None, max_length=140, description="NAME:VERSION, any that it has served; None: what it served before")
    expected: str | None = Field(None, max_length=64, description="the deployment to take back; refused when it is another one by now")


class DeploymentAnswer(Answer):
    """A declared deployment and how far it has come."""

    id: str
    endpoint: str
    model: str
    version: int
    task: str
    variant: str
    replicas: int = Field(description="loaded copies; 0: one, which sleeps while it is not used")
    max_replicas: int
    role: Role = Field(description="`live`: it serves; `canary` or `shadow`: it is tried beside what serves")
    weight: int = Field(description="percent of the calls that a canary answers, or a shadow gets copies of")
    stats: Json | None = Field(description="of a trial: what it and the version that serves did meanwhile")
    isolation: Isolation = Field(description="`own` or `shared` worker process")
    idle_s: float = Field(description="it sleeps after so long without a call; 0: when others need the memory")
    draft: str = Field(description="the version that guesses what it writes next; empty: none")
    state: DeploymentState
    reason: str = Field(description="why it does not serve, in the caller's language; empty when all is well")
    said: Json | None = Field(description="the same as `code` and `params`, which stay the same in every language")
    url: str = Field(description="path of the endpoint on this server")
    created_at: datetime

    @classmethod
    def of(cls, view: DeploymentView, language: str) -> Self:
        """From control's value, its reason in `language`."""
        said = view.reason.to_json() if view.reason else None
        return cls(id=view.id, endpoint=view.endpoint, model=view.model, version=view.version, task=view.task, variant=view.variant,
                   replicas=view.replicas, state=view.state, reason=view.reason_in(language), said=said, url=view.url,
                   created_at=view.created_at, max_replicas=view.max_replicas, role=view.role, weight=view.weight,
                   stats=view.stats, isolation=view.isolation, idle_s=view.idle_s, draft=view.draft)  # fmt: skip


class DeployedAnswer(DeploymentAnswer):
    """A deployment that was just declared, and what whoever declared it should know."""

    warnings: list[WarningAnswer] = Field(description="such as labels that are not those of the version served now")

    @classmethod
    def of_new(cls, view: DeploymentView, language: str) -> Self:
        """From control's value, its reason and warnings in `language`."""
        return cls(**DeploymentAnswer.of(view, language).model_dump(), warnings=WarningAnswer.of(view.warnings, language))


class RollbackAnswer(DeployedAnswer):
    """What the endpoint shall serve after a rollback."""

    is_changed: bool = Field(description="false: it had been rolled back already, and nothing was changed")

    @classmethod
    def of_done(cls, done: RolledBack, language: str) -> Self:
        """From control's value, its reason and warnings in `language`."""
        return cls(is_changed=done.is_changed, **DeployedAnswer.of_new(done.view, language).model_dump())


class DeploymentsAnswer(Answer):
    """Deployments, newest first."""

    deployments: list[DeploymentAnswer]


class EndpointAnswer(DeploymentAnswer):
    """An endpoint: the deployment it shall serve, flat, and the one that answers right now."""

    name: str
    labels: list[str]
    serving: DeploymentAnswer | None = Field(description="None before anything is ready")
    long_text: LongText = Field(description="what becomes of texts that are too long")
    cache_ttl_s: int = Field(description="seconds for which answers are kept for calls that come again; 0 keeps none")
    trial: DeploymentAnswer | None = Field(description="what is tried beside it, or was last and taken back")

    @classmethod
    def of_view(cls, view: EndpointView, language: str) -> Self:
        """From control's value, its reasons in `language`."""
        serving = DeploymentAnswer.of(view.serving, language) if view.serving else None
        trial = DeploymentAnswer.of(view.trial, language) if view.trial else None
        return cls(
            **DeploymentAnswer.of(view.wanted, language).model_dump(), name=view.name, labels=list(view.labels), serving=serving,
            long_text=view.long_text, cache_ttl_s=view.cache_ttl_s, trial=trial,
        )  # fmt: skip


class EndpointsAnswer(Answer):
    """Endpoints by name."""

    endpoints: list[EndpointAnswer]
