"""What the registry hands out: frozen values, complete, never rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from hanlin.storage.manifest import Manifest
from hanlin.types import Digest, JobId, JsonObject, TeamId

VersionState = Literal["candidate", "certified", "published"]


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """An immutable snapshot of a dataset; `digest` is that of its manifest."""

    team_id: TeamId
    name: str
    task: str
    number: int
    digest: Digest
    manifest: Manifest
    report: JsonObject
    created_at: datetime
    check: JsonObject | None = None  # what looking through it found, where anybody has

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset with all its versions, newest first."""

    team_id: TeamId
    name: str
    task: str
    created_at: datetime
    versions: tuple[DatasetVersion, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """One runnable form of a version. `manifest` None: it runs from the version's own files."""

    variant: str
    manifest: Manifest | None
    evidence: JsonObject
    is_chosen: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """The record that a variant answers like the trained model; `digest` names the bytes it was made with."""

    variant: str
    digest: Digest
    report: JsonObject
    is_passed: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """An immutable release of a model.

    `lineage` has, where they apply: `dataset`, `dataset_digest`, `parent`, `config`, `seed`, `code_version`,
    `vectors_digest`, `raw_text_digest`.
    `fingerprint` names the request that made it, for reuse; empty when unknown.
    """

    id: int
    team_id: TeamId
    model: str
    task: str
    number: int
    state: VersionState
    is_base: bool
    digest: Digest
    manifest: Manifest
    labels: tuple[str, ...]
    lineage: JsonObject
    metrics: JsonObject
    fingerprint: str
    job_id: JobId | None
    created_at: datetime
    published_at: datetime | None

    def __str__(self) -> str:
        return f"{self.model}:{self.number}"

    @property
    def is_made_of_rows(self) -> bool:
        """Whether the dataset that its lineage names taught it. An imported version was only measured and certified on it."""
        return self.lineage.get("dataset") is not None and self.lineage.get("source") != "import"

    def is_of_rows(self, digest: str) -> bool:
        """Whether the dataset that its lineage names may have had these rows: a name can be given anew, an old lineage has no digest."""
        return self.lineage.get("dataset_digest") in {None, digest}


@dataclass(frozen=True, slots=True)
class Alias:
    """A movable pointer to a version."""

    name: str
    number: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Model:
    """A model: its notes, aliases, and versions, newest first."""

    team_id: TeamId
    name: str
    task: str
    notes: str
    created_at: datetime
    aliases: tuple[Alias, ...]
    versions: tuple[ModelVersion, ...] = field(repr=False)


def certified_digest(version: ModelVersion, manifest: Manifest | None) -> Digest:
    """The digest of the bytes a certificate is about: the variant's own files below `variants/`, or else the version's."""
    own = manifest.within("variants") if manifest is not None else None
    return own.digest if own is not None and own.files else version.digest
