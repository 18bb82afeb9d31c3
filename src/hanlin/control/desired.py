"""The deployments as the reconciler sees them: what shall be up, and where it writes what came of it.

When a deployment becomes ready, the older ones of its endpoint are no longer wanted; when it fails, they serve on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from sqlalchemy import select, update

from hanlin.control.bases import base_of
from hanlin.control.deployment_rows import withdraw
from hanlin.control.drafts import draft_variant
from hanlin.control.platform import Platform
from hanlin.messages.said import Said
from hanlin.serving.declared import DeploymentSpec, DeploymentState, Role
from hanlin.storage.audit import append_audit
from hanlin.storage.database import bump
from hanlin.storage.tables import DeploymentRow, EndpointRow, JobRow, ModelRow, ModelVersionRow
from hanlin.types import Isolation, JsonObject, LongText, ModelRef, TeamId, utc_now


class DeclaredDeployments:
    """The database's side of `serving.reconciler.DesiredState`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._changes = platform.database.watch()
        self._listed: tuple[DeploymentSpec, ...] | None = None

    def start_over(self) -> None:
        """After a start nothing runs yet: every wanted deployment is starting, and private endpoints of ended jobs go."""
        with self._platform.database.write() as session:
            session.execute(update(DeploymentRow).where(DeploymentRow.is_wanted).values(state="starting", reason=""))
            running = set(session.scalars(select(JobRow.id).where(JobRow.state.in_(["queued", "running"]))))
            for row in session.scalars(select(EndpointRow).where(EndpointRow.is_internal, EndpointRow.deployment_id.is_not(None))).all():
                if not any(job in row.name for job in running):
                    withdraw(session, row)

    def list_deployments(self) -> Sequence[DeploymentSpec]:
        """All that shall be up, the newest of an endpoint last; those that failed are marked.

        Asked five times a second, so the database is read again only after somebody has written to it.
        """
        if self._changes.has_news() or self._listed is None:
            self._listed = None  # a read that fails is tried again
            self._listed = self._read_wanted()
        return self._listed

    def set_state(self, deployment_id: str, state: DeploymentState, reason: Said | None, replicas: int) -> None:
        """Records how far a deployment came; `replicas` are ready."""
        with self._platform.database.write() as session:
            row = session.get(DeploymentRow, deployment_id)
            if row is None or not row.is_wanted:  # replaced or withdrawn meanwhile: its end is written already
                return
            now = utc_now()
            row.state, row.reason, row.updated_at = state, reason.dump() if reason else "", now
            if state == "ready" and replicas > 0:
                row.ready_at = row.ready_at or now
            if row.role == "live" and row.state == "ready" and replicas > 0:
                older = update(DeploymentRow).where(
                    DeploymentRow.endpoint_id == row.endpoint_id, DeploymentRow.is_wanted, DeploymentRow.created_at < row.created_at
                )
                session.execute(older.values(is_wanted=False, state="stopped", updated_at=now))
            bump(session)

    def set_stats(self, deployment_id: str, stats: JsonObject) -> None:
        """Records what a trial and the version it is compared with have done."""
        with self._platform.database.write() as session:
            if (row := session.get(DeploymentRow, deployment_id)) is not None and row.is_wanted:
                row.stats = stats

    def take_back(self, deployment_id: str, reason: Said, stats: JsonObject) -> None:
        """A trial has failed the judge: it is taken back, and the reason kept."""
        with self._platform.database.write() as session:
            row = session.get(DeploymentRow, deployment_id)
            if row is None or not row.is_wanted or row.role == "live":
                return
            row.is_wanted, row.state, row.reason, row.stats, row.updated_at = False, "failed", reason.dump(), stats, utc_now()
            subject = f"{row.id} {reason.code}"
            append_audit(session, team_id=row.team_id, actor="system", action="endpoint.take_back", subject=subject)
            bump(session)

    def materialize(self, spec: DeploymentSpec) -> Path:
        """The verified local folder of a deployment's version with the files of its variant, and those of the version that guesses for it.

        Raises DataCorrupt, NotFound, InvalidInput."""
        registry, team = self._platform.registry, TeamId(spec.team_id)
        version = registry.resolve(team, ModelRef.parse(spec.version))
        guesses = registry.resolve(team, ModelRef.parse(spec.draft)) if spec.draft else None
        draft = (guesses, draft_variant(self._platform, guesses, spec.variant)) if guesses else None
        return registry.materialize(version, self._platform.artifact_cache, variants=(spec.variant,), draft=draft)

    def _read_wanted(self) -> tuple[DeploymentSpec, ...]:
        with self._platform.database.read() as session:
            query = (
                select(DeploymentRow, EndpointRow, ModelRow.name, ModelRow.task, ModelVersionRow.number, ModelVersionRow.manifest)
                .join(EndpointRow, EndpointRow.id == DeploymentRow.endpoint_id)
                .join(ModelVersionRow, ModelVersionRow.id == DeploymentRow.version_id)
                .join(ModelRow, ModelRow.id == ModelVersionRow.model_id)
                .where(DeploymentRow.is_wanted)
                .order_by(DeploymentRow.created_at, DeploymentRow.id)
            )
            return tuple(
                DeploymentSpec(deployment_id=row.id, team_id=row.team_id, endpoint=endpoint.name, model=model, version=f"{model}:{number}",
                               variant=row.variant, replicas=max(1, row.replicas), has_failed=row.state == "failed",
                               isolation=cast("Isolation", row.isolation), min_replicas=row.replicas, idle_s=row.idle_s,
                               was_ready=row.ready_at is not None,
                               long_text=cast("LongText", endpoint.long_text), cache_ttl_s=endpoint.cache_ttl_s,
                               max_replicas=row.max_replicas, role=cast("Role", row.role), weight=row.weight,
                               base=base_of(manifest, row.variant, task) if row.isolation == "shared" else "", draft=row.draft)
                for row, endpoint, model, task, number, manifest in session.execute(query)
            )  # fmt: skip
