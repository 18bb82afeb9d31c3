"""Records of datasets. Knows nothing of their rows: the manifest and the report come from outside."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.registry import rows
from hanlin.registry.users import in_use, named_by, users_of_dataset
from hanlin.registry.values import Dataset, DatasetVersion, ModelVersion
from hanlin.storage.audit import append_audit
from hanlin.storage.database import Database, find_or_add
from hanlin.storage.manifest import Manifest
from hanlin.storage.tables import DatasetRow, DatasetVersionRow
from hanlin.types import JsonObject, TeamId, check_name, is_name, shorten, utc_now

MAX_NAMED = 5  # model versions in a refusal


class DatasetRecords:
    """Named datasets and their immutable versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_version(self, team_id: TeamId, name: str, task: str, manifest: Manifest, report: JsonObject) -> DatasetVersion:
        """See `Registry.create_dataset_version`."""
        check_name(name, kind="dataset")
        with self._database.write() as session:
            dataset = _open(session, team_id, name, task)
            same = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset.id, DatasetVersionRow.digest == manifest.digest)
            row = session.scalar(same)
            if row is None:
                dataset.last_number += 1
                row = DatasetVersionRow(
                    team_id=team_id, dataset_id=dataset.id, number=dataset.last_number, digest=manifest.digest,
                    manifest=manifest.to_json(), report=report, created_at=utc_now(),
                )  # fmt: skip
                session.add(row)
            return rows.dataset_version(dataset, row)

    def resolve(self, team_id: TeamId, reference: str) -> DatasetVersion:
        """See `Registry.resolve_dataset`."""
        name, mark, number = reference.partition(":")
        if not is_name(name) or (mark and not (number.isascii() and number.isdigit() and len(number) < 10)):
            raise InvalidInput("invalid_dataset_reference", reference=shorten(reference))
        with self._database.read() as session:
            dataset = rows.find_dataset(session, team_id, name)
            query = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset.id)
            query = (
                query.where(DatasetVersionRow.number == int(number)) if mark else query.order_by(DatasetVersionRow.number.desc()).limit(1)
            )
            row = session.scalar(query)
            if row is None:
                raise NotFound("not_found", kind="dataset version", name=shorten(reference))
            return rows.dataset_version(dataset, row)

    def get(self, team_id: TeamId, name: str) -> Dataset:
        """See `Registry.get_dataset`."""
        with self._database.read() as session:
            return _value(session, rows.find_dataset(session, team_id, name))

    def list(self, team_id: TeamId) -> list[Dataset]:
        """See `Registry.list_datasets`."""
        with self._database.read() as session:
            found = session.scalars(select(DatasetRow).where(DatasetRow.team_id == team_id).order_by(DatasetRow.name)).all()
            return [_value(session, row) for row in found]

    def keep_check(self, version: DatasetVersion, found: JsonObject) -> None:
        """See `Registry.keep_check`."""
        with self._database.write() as session:
            dataset = rows.find_dataset(session, version.team_id, version.name)
            query = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset.id, DatasetVersionRow.number == version.number)
            row = session.scalar(query.where(DatasetVersionRow.digest == version.digest))
            if row is None:
                raise NotFound("not_found", kind="dataset version", name=str(version))
            row.report = {**row.report, rows.CHECK: found}

    def made_of(self, team_id: TeamId, versions: Iterable[DatasetVersion]) -> dict[str, tuple[ModelVersion, ...]]:
        """See `Registry.made_of`."""
        digests = {str(version): version.digest for version in versions}
        with self._database.read() as session:
            named = sorted(named_by(session, team_id, digests), key=lambda version: version.created_at)
        made = [version for version in named if version.is_made_of_rows]
        return {name: tuple(version for version in made if version.lineage["dataset"] == name) for name in digests}

    def delete(self, team_id: TeamId, name: str, number: int | None, *, is_forced: bool, actor: str) -> None:
        """See `Registry.delete_dataset`."""
        reference = name if number is None else f"{name}:{number}"
        with self._database.write() as session:
            dataset = rows.find_dataset(session, team_id, name, is_locked=True)
            query = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset.id)
            found = session.scalars(query if number is None else query.where(DatasetVersionRow.number == number)).all()
            if number is not None and not found:
                raise NotFound("not_found", kind="dataset version", name=reference)
            named = named_by(session, team_id, {f"{name}:{row.number}": row.digest for row in found})
            if users := users_of_dataset(session, team_id, name, [row.number for row in found], named):
                raise in_use(reference, users)
            made = [version for version in named if version.is_made_of_rows]
            if made and not is_forced:
                models = ", ".join(map(str, made[:MAX_NAMED])) + (", …" if len(made) > MAX_NAMED else "")
                raise Conflict("dataset_in_lineage", dataset=reference, models=models)
            for row in found:
                session.delete(row)
            session.flush()
            if number is None:
                session.delete(dataset)
            append_audit(session, team_id=team_id, actor=actor, action="dataset.delete", subject=reference)


def _open(session: Session, team_id: str, name: str, task: str) -> DatasetRow:
    new = DatasetRow(team_id=team_id, name=name, task=task, last_number=0, created_at=utc_now())
    dataset = find_or_add(session, select(DatasetRow).where(DatasetRow.team_id == team_id, DatasetRow.name == name), new)
    if dataset.task != task:
        raise Conflict("task_mismatch", kind="dataset", name=name, task=dataset.task, other=shorten(task))
    return dataset


def _value(session: Session, row: DatasetRow) -> Dataset:
    query = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == row.id).order_by(DatasetVersionRow.number.desc())
    versions = tuple(rows.dataset_version(row, found) for found in session.scalars(query))
    return Dataset(TeamId(row.team_id), row.name, row.task, row.created_at, versions)
