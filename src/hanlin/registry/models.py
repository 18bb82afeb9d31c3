"""Records of models: versions, aliases, notes, and what still uses a version."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.registry import rows
from hanlin.registry.users import in_use, users_of_version
from hanlin.registry.values import Alias, Model, ModelVersion
from hanlin.storage.audit import append_audit
from hanlin.storage.database import Database, find_or_add
from hanlin.storage.manifest import Manifest
from hanlin.storage.tables import AliasRow, CertificateRow, DeploymentRow, ModelRow, ModelVersionRow, VariantRow
from hanlin.types import JobId, JsonObject, ModelRef, TeamId, check_name, shorten, utc_now

MAX_NOTES = 20_000  # characters


class ModelRecords:
    """Named models and their immutable versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        team_id: TeamId,
        name: str,
        task: str,
        *,
        manifest: Manifest,
        lineage: JsonObject,
        metrics: JsonObject,
        labels: tuple[str, ...],
        is_base: bool,
        notes: str,
        fingerprint: str,
        job_id: JobId | None,
    ) -> ModelVersion:
        """See `Registry.create_version`."""
        check_name(name, kind="model")
        if not fingerprint and isinstance(request := lineage.get("request"), str):
            fingerprint = request
        with self._database.write() as session:
            model = _open(session, team_id, name, task)
            if job_id is not None:
                twin = select(ModelVersionRow).where(ModelVersionRow.model_id == model.id, ModelVersionRow.job_id == job_id)
                if (row := session.scalar(twin)) is not None:
                    return rows.model_version(model, row)
            model.last_number += 1
            if notes and not model.notes:
                model.notes = _checked(notes)
            row = ModelVersionRow(
                team_id=team_id, model_id=model.id, number=model.last_number, state="candidate", is_base=is_base, digest=manifest.digest,
                manifest=manifest.to_json(), labels=list(labels), lineage=lineage, metrics=metrics, fingerprint=fingerprint,
                job_id=job_id, created_at=utc_now(), published_at=None,
            )  # fmt: skip
            session.add(row)
            session.flush()
            return rows.model_version(model, row)

    def resolve(self, team_id: TeamId, reference: ModelRef) -> ModelVersion:
        """See `Registry.resolve`."""
        with self._database.read() as session:
            model = rows.find_model(session, team_id, reference.name)
            query = select(ModelVersionRow).where(ModelVersionRow.model_id == model.id)
            if reference.alias is not None:
                pointer = select(AliasRow.version_id).where(AliasRow.model_id == model.id, AliasRow.name == reference.alias)
                query = query.where(ModelVersionRow.id == pointer.scalar_subquery())
            elif reference.version is not None:
                query = query.where(ModelVersionRow.number == reference.version)
            else:
                query = query.where(ModelVersionRow.state == "published").order_by(ModelVersionRow.number.desc()).limit(1)
            row = session.scalar(query)
            if row is not None:
                return rows.model_version(model, row)
        if reference.alias is None and reference.version is None:
            raise NotFound("no_published_version", name=reference.name)
        if reference.alias is not None:
            raise NotFound("alias_missing", name=reference.name, alias=reference.alias)
        raise NotFound("not_found", kind="version", name=shorten(str(reference)))

    def get(self, team_id: TeamId, name: str) -> Model:
        """See `Registry.get_model`."""
        with self._database.read() as session:
            return _value(session, rows.find_model(session, team_id, name))

    def list(self, team_id: TeamId) -> list[Model]:
        """See `Registry.list_models`."""
        with self._database.read() as session:
            found = session.scalars(select(ModelRow).where(ModelRow.team_id == team_id).order_by(ModelRow.name)).all()
            return [_value(session, row) for row in found]

    def find(self, team_id: TeamId, name: str, fingerprint: str) -> ModelVersion | None:
        """See `Registry.find_by_request`."""
        with self._database.read() as session:
            query = select(ModelVersionRow, ModelRow).join(ModelRow, ModelVersionRow.model_id == ModelRow.id)
            query = query.where(ModelVersionRow.team_id == team_id, ModelVersionRow.fingerprint == fingerprint, ModelRow.name == name)
            found = session.execute(query.order_by(ModelVersionRow.id.desc()).limit(1)).first()
            return rows.model_version(found[1], found[0]) if found and fingerprint else None

    def set_alias(self, team_id: TeamId, name: str, alias: str, number: int, *, actor: str) -> Alias:
        """See `Registry.set_alias`."""
        check_name(alias, kind="alias")
        with self._database.write() as session:
            model = rows.find_model(session, team_id, name, is_locked=True)
            sought = select(ModelVersionRow).where(ModelVersionRow.model_id == model.id, ModelVersionRow.number == number)
            version = session.scalar(sought.with_for_update())  # nobody deletes it meanwhile
            if version is None:
                raise NotFound("not_found", kind="version", name=f"{name}:{number}")
            if version.state != "published":
                raise Conflict("version_not_published", version=f"{name}:{number}")
            row = session.scalar(select(AliasRow).where(AliasRow.model_id == model.id, AliasRow.name == alias))
            if row is None:
                row = AliasRow(team_id=team_id, model_id=model.id, name=alias)
                session.add(row)
            row.version_id, row.updated_at = version.id, utc_now()
            append_audit(session, team_id=team_id, actor=actor, action="alias.set", subject=f"{name}@{alias} -> {number}")
            return Alias(alias, number, row.updated_at)

    def delete_alias(self, team_id: TeamId, name: str, alias: str, *, actor: str) -> None:
        """See `Registry.delete_alias`."""
        with self._database.write() as session:
            model = rows.find_model(session, team_id, name, is_locked=True)
            row = session.scalar(select(AliasRow).where(AliasRow.model_id == model.id, AliasRow.name == alias))
            if row is None:
                raise NotFound("not_found", kind="alias", name=shorten(alias))
            session.delete(row)
            append_audit(session, team_id=team_id, actor=actor, action="alias.delete", subject=f"{name}@{alias}")

    def set_notes(self, team_id: TeamId, name: str, notes: str) -> None:
        """See `Registry.set_notes`."""
        with self._database.write() as session:
            rows.find_model(session, team_id, name, is_locked=True).notes = _checked(notes)

    def delete(self, version: ModelVersion, *, actor: str, is_unpublished_only: bool) -> None:
        """See `Registry.delete_version`."""
        with self._database.write() as session:
            row = rows.find_version(session, version, is_locked=True)
            if is_unpublished_only and row.state == "published":
                raise Conflict("already_published", version=str(version))
            if users := users_of_version(session, version):
                raise in_use(str(version), users)
            _remove(session, version, row)
            append_audit(session, team_id=version.team_id, actor=actor, action="version.delete", subject=str(version))

    def delete_model(self, team_id: TeamId, name: str, *, actor: str) -> None:
        """See `Registry.delete_model`."""
        with self._database.write() as session:
            model = rows.find_model(session, team_id, name, is_locked=True)
            query = select(ModelVersionRow).where(ModelVersionRow.model_id == model.id).order_by(ModelVersionRow.number)
            found = session.scalars(query.with_for_update()).all()
            if users := [user for row in found for user in users_of_version(session, rows.model_version(model, row))]:
                raise in_use(name, users)
            for row in found:
                _remove(session, rows.model_version(model, row), row)
            session.flush()
            session.delete(model)
            append_audit(session, team_id=team_id, actor=actor, action="model.delete", subject=name)


def _remove(session: Session, version: ModelVersion, row: ModelVersionRow) -> None:
    """Takes the row away with all that hangs on it. What was deployed with its guesses can be gone back to without them."""
    guessed = (DeploymentRow.draft == str(version)) & (DeploymentRow.team_id == version.team_id)
    session.execute(update(DeploymentRow).where(guessed).values(draft=""))
    session.execute(delete(DeploymentRow).where(DeploymentRow.version_id == row.id))
    for table in (CertificateRow, VariantRow):
        session.execute(delete(table).where(table.version_id == row.id))
    session.delete(row)


def _open(session: Session, team_id: str, name: str, task: str) -> ModelRow:
    new = ModelRow(team_id=team_id, name=name, task=task, notes="", last_number=0, created_at=utc_now())
    model = find_or_add(session, select(ModelRow).where(ModelRow.team_id == team_id, ModelRow.name == name), new)
    if model.task != task:
        raise Conflict("task_mismatch", kind="model", name=name, task=model.task, other=shorten(task))
    return model


def _value(session: Session, row: ModelRow) -> Model:
    query = select(ModelVersionRow).where(ModelVersionRow.model_id == row.id).order_by(ModelVersionRow.number.desc())
    versions = tuple(rows.model_version(row, found) for found in session.scalars(query))
    return Model(TeamId(row.team_id), row.name, row.task, row.notes, row.created_at, rows.aliases(session, row), versions)


def _checked(notes: str) -> str:
    if len(notes) > MAX_NOTES:
        raise InvalidInput("notes_too_long", limit=MAX_NOTES)
    return notes
