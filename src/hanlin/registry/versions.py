"""A version's life: variants and certificates are appended to it; `candidate → certified → published`."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hanlin.errors import Conflict, NotFound
from hanlin.registry import rows
from hanlin.registry.values import Certificate, ModelVersion, Variant, certified_digest
from hanlin.storage.audit import append_audit
from hanlin.storage.database import Database, bump
from hanlin.storage.manifest import Manifest
from hanlin.storage.tables import CertificateRow, ModelRow, ModelVersionRow, VariantRow
from hanlin.types import JsonObject, shorten, utc_now


class VersionRecords:
    """Variants, certificates and the state of versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_variant(self, version: ModelVersion, name: str, manifest: Manifest | None, evidence: JsonObject, *, is_chosen: bool) -> Variant:
        """See `Registry.add_variant`."""
        with self._database.write() as session:
            rows.find_version(session, version, is_locked=True)
            if is_chosen:
                session.execute(update(VariantRow).where(VariantRow.version_id == version.id).values(is_chosen=False))
            row = _variant(session, version, name)
            if row is None:
                row = VariantRow(team_id=version.team_id, version_id=version.id, name=name)
                session.add(row)
            row.manifest = None if manifest is None else manifest.to_json()
            row.evidence, row.is_chosen, row.created_at = evidence, is_chosen, utc_now()
            return rows.variant(row)

    def choose(self, version: ModelVersion, name: str) -> Variant:
        """See `Registry.choose_variant`."""
        with self._database.write() as session:
            rows.find_version(session, version, is_locked=True)
            row = _variant(session, version, name)
            if row is None:
                raise NotFound("not_found", kind="variant", name=shorten(name))
            session.execute(update(VariantRow).where(VariantRow.version_id == version.id).values(is_chosen=False))
            row.is_chosen = True
            return rows.variant(row)

    def variants(self, version: ModelVersion) -> list[Variant]:
        """See `Registry.list_variants`."""
        with self._database.read() as session:
            query = select(VariantRow).where(VariantRow.version_id == version.id).order_by(VariantRow.is_chosen.desc(), VariantRow.name)
            return [rows.variant(row) for row in session.scalars(query)]

    def add_certificate(self, version: ModelVersion, name: str, report: JsonObject, *, is_passed: bool) -> ModelVersion:
        """See `Registry.add_certificate`."""
        with self._database.write() as session:
            row = rows.find_version(session, version, is_locked=True)
            digest = _digest(session, version, name)
            session.add(
                CertificateRow(
                    team_id=version.team_id, version_id=version.id, variant=name, digest=digest, report=report, is_passed=is_passed,
                    created_at=utc_now(),
                )
            )  # fmt: skip
            session.flush()
            if row.state != "published":
                row.state = "certified" if _is_certified(session, version) else "candidate"
            return _value(session, row)

    def certificates(self, version: ModelVersion) -> list[Certificate]:
        """See `Registry.list_certificates`."""
        with self._database.read() as session:
            query = select(CertificateRow).where(CertificateRow.version_id == version.id).order_by(CertificateRow.id.desc())
            return [rows.certificate(row) for row in session.scalars(query)]

    def is_certified(self, version: ModelVersion, name: str) -> bool:
        """See `Registry.is_certified`."""
        with self._database.read() as session:
            return _has_passed(session, version, name)

    def publish(self, version: ModelVersion, *, actor: str) -> ModelVersion:
        """See `Registry.publish`."""
        with self._database.write() as session:
            row = rows.find_version(session, version, is_locked=True)
            if row.state == "published":
                raise Conflict("already_published", version=str(version))
            if not (row.is_base or _is_certified(session, version)):
                raise Conflict("not_certified", version=str(version))
            row.state, row.published_at = "published", utc_now()
            append_audit(session, team_id=version.team_id, actor=actor, action="version.publish", subject=str(version))
            bump(session)
            return _value(session, row)


def _variant(session: Session, version: ModelVersion, name: str) -> VariantRow | None:
    return session.scalar(select(VariantRow).where(VariantRow.version_id == version.id, VariantRow.name == name))


def _digest(session: Session, version: ModelVersion, name: str) -> str:
    row = _variant(session, version, name)
    if row is None:
        raise NotFound("not_found", kind="variant", name=shorten(name))
    return certified_digest(version, None if row.manifest is None else Manifest.from_json(row.manifest))


def _has_passed(session: Session, version: ModelVersion, name: str) -> bool:
    """Whether the newest certificate about exactly these bytes was passed: a later failure takes an earlier pass back."""
    query = select(CertificateRow.is_passed).where(
        CertificateRow.version_id == version.id, CertificateRow.variant == name, CertificateRow.digest == _digest(session, version, name)
    )
    return bool(session.scalar(query.order_by(CertificateRow.id.desc()).limit(1)))


def _is_certified(session: Session, version: ModelVersion) -> bool:
    """Whether the chosen variant has passed; where none is chosen, any that has."""
    names = session.execute(select(VariantRow.name, VariantRow.is_chosen).where(VariantRow.version_id == version.id)).all()
    chosen = [name for name, is_chosen in names if is_chosen] or [name for name, _ in names]
    return any(_has_passed(session, version, name) for name in chosen)


def _value(session: Session, row: ModelVersionRow) -> ModelVersion:
    model = session.get_one(ModelRow, row.model_id)
    return rows.model_version(model, row)
