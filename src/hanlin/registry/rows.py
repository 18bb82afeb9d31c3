"""From rows to values, and finding rows by name within a team. Internal to the registry."""

from __future__ import annotations

from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from hanlin.errors import NotFound
from hanlin.registry.values import Alias, Certificate, DatasetVersion, ModelVersion, Variant, VersionState
from hanlin.storage.manifest import Manifest
from hanlin.storage.tables import AliasRow, CertificateRow, DatasetRow, DatasetVersionRow, ModelRow, ModelVersionRow, VariantRow
from hanlin.types import Digest, JobId, JsonObject, TeamId, shorten

CHECK = "check"  # under which the findings of a check are stored in the report of a dataset version


def find_dataset(session: Session, team_id: str, name: str, *, is_locked: bool = False) -> DatasetRow:
    """The dataset's row; locked against other writers on request. Raises NotFound (`not_found`)."""
    query = select(DatasetRow).where(DatasetRow.team_id == team_id, DatasetRow.name == name)
    row = session.scalar(query.with_for_update() if is_locked else query)
    if row is None:
        raise NotFound("not_found", kind="dataset", name=shorten(name))
    return row


def find_model(session: Session, team_id: str, name: str, *, is_locked: bool = False) -> ModelRow:
    """The model's row; locked against other writers on request. Raises NotFound (`not_found`)."""
    query = select(ModelRow).where(ModelRow.team_id == team_id, ModelRow.name == name)
    row = session.scalar(query.with_for_update() if is_locked else query)
    if row is None:
        raise NotFound("not_found", kind="model", name=shorten(name))
    return row


def find_version(session: Session, version: ModelVersion, *, is_locked: bool = False) -> ModelVersionRow:
    """The row behind a value. Raises NotFound when it was deleted meanwhile."""
    query = select(ModelVersionRow).where(ModelVersionRow.id == version.id, ModelVersionRow.team_id == version.team_id)
    row = session.scalar(query.with_for_update() if is_locked else query)
    if row is None or row.created_at != version.created_at:  # SQLite gives the id of a deleted row again
        raise NotFound("not_found", kind="version", name=shorten(str(version)))
    return row


def dataset_version(dataset: DatasetRow, row: DatasetVersionRow) -> DatasetVersion:
    """The value of a row."""
    return DatasetVersion(
        team_id=TeamId(row.team_id), name=dataset.name, task=dataset.task, number=row.number, digest=Digest(row.digest),
        manifest=Manifest.from_json(row.manifest), report={name: value for name, value in row.report.items() if name != CHECK},
        created_at=row.created_at, check=cast("JsonObject | None", row.report.get(CHECK)),
    )  # fmt: skip


def model_version(model: ModelRow, row: ModelVersionRow) -> ModelVersion:
    """The value of a row."""
    return ModelVersion(
        id=row.id, team_id=TeamId(row.team_id), model=model.name, task=model.task, number=row.number,
        state=cast("VersionState", row.state), is_base=row.is_base, digest=Digest(row.digest), manifest=Manifest.from_json(row.manifest),
        labels=tuple(row.labels), lineage=row.lineage, metrics=row.metrics, fingerprint=row.fingerprint,
        job_id=JobId(row.job_id) if row.job_id else None, created_at=row.created_at, published_at=row.published_at,
    )  # fmt: skip


def variant(row: VariantRow) -> Variant:
    """The value of a row."""
    manifest = None if row.manifest is None else Manifest.from_json(row.manifest)
    return Variant(row.name, manifest, row.evidence, row.is_chosen, row.created_at)


def certificate(row: CertificateRow) -> Certificate:
    """The value of a row."""
    return Certificate(row.variant, Digest(row.digest), row.report, row.is_passed, row.created_at)


def aliases(session: Session, model: ModelRow) -> tuple[Alias, ...]:
    """All aliases of a model, by name."""
    query = select(AliasRow, ModelVersionRow.number).join(ModelVersionRow, AliasRow.version_id == ModelVersionRow.id)
    found = session.execute(query.where(AliasRow.model_id == model.id).order_by(AliasRow.name))
    return tuple(Alias(row.name, number, row.updated_at) for row, number in found)
