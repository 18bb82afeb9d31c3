"""Reading and writing the rows behind endpoints and deployments, inside a caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from hanlin.control.values import DeploymentView, EndpointView
from hanlin.errors import NotFound
from hanlin.messages.said import Said
from hanlin.registry.values import ModelVersion
from hanlin.serving.declared import DeploymentState, Role
from hanlin.storage.database import bump, find_or_add
from hanlin.storage.tables import DeploymentRow, EndpointRow, ModelRow, ModelVersionRow
from hanlin.tasks.label_change import label_change
from hanlin.types import Isolation, JsonObject, LongText, ModelRef, TeamId, shorten, utc_now


def version_row(session: Session, team: TeamId, model: str, number: int) -> ModelVersionRow:
    """The stored version. Raises NotFound (`not_found`)."""
    found = session.scalar(
        select(ModelVersionRow).join(ModelRow, ModelRow.id == ModelVersionRow.model_id)
        .where(ModelRow.team_id == team, ModelRow.name == model, ModelVersionRow.number == number)
    )  # fmt: skip
    if found is None:
        raise NotFound("not_found", kind="version", name=shorten(f"{model}:{number}"))
    return found


def hold_version(session: Session, version: ModelVersion) -> None:
    """Nobody deletes the version before this transaction ends. Raises NotFound when somebody has, since it was looked up."""
    query = select(ModelVersionRow.created_at).where(ModelVersionRow.id == version.id, ModelVersionRow.team_id == version.team_id)
    if session.scalar(query.with_for_update(read=True)) != version.created_at:  # SQLite gives the id of a deleted row again
        raise NotFound("not_found", kind="version", name=shorten(str(version)))


def select_task(session: Session, version_id: int) -> str:
    """The task that a stored version is for."""
    query = select(ModelRow.task).join(ModelVersionRow, ModelVersionRow.model_id == ModelRow.id)
    return session.scalars(query.where(ModelVersionRow.id == version_id)).one()


def endpoint_row(session: Session, team: TeamId, name: str, *, is_internal: bool) -> EndpointRow:
    """The endpoint's row, made when it is new. It is locked: whoever declares the same at once waits, and finds it declared."""
    new = EndpointRow(team_id=team, name=name, is_internal=is_internal, deployment_id=None, created_at=utc_now())
    return find_or_add(session, select(EndpointRow).where(EndpointRow.team_id == team, EndpointRow.name == name), new)


def find_endpoint(session: Session, team: TeamId, name: str, *, is_locked: bool = False) -> EndpointRow:
    """A public endpoint that is declared. Raises NotFound (`endpoint_not_found`)."""
    query = select(EndpointRow).where(EndpointRow.team_id == team, EndpointRow.name == name, ~EndpointRow.is_internal)
    row = session.scalar(query.with_for_update() if is_locked else query)
    if row is None or row.deployment_id is None:
        raise NotFound("endpoint_not_found")
    return row


def scale_of(session: Session, team: TeamId, name: str) -> tuple[int, int]:
    """How many replicas an endpoint has, at least and at most as stored; one where there is none yet."""
    query = select(DeploymentRow.replicas, DeploymentRow.max_replicas).join(EndpointRow, EndpointRow.deployment_id == DeploymentRow.id)
    found = session.execute(query.where(EndpointRow.team_id == team, EndpointRow.name == name)).first()
    return (found[0], found[1]) if found else (1, 0)


def residence_of(session: Session, team: TeamId, name: str) -> tuple[Isolation, float] | None:
    """Where an endpoint's models live and after which time they sleep; None where there is none yet."""
    query = select(DeploymentRow.isolation, DeploymentRow.idle_s).join(EndpointRow, EndpointRow.deployment_id == DeploymentRow.id)
    found = session.execute(query.where(EndpointRow.team_id == team, EndpointRow.name == name)).first()
    return (cast("Isolation", found[0]), found[1]) if found else None


def draft_of(session: Session, team: TeamId, name: str) -> str:
    """The version that guesses for what an endpoint shall serve; empty where none does."""
    query = select(DeploymentRow.draft).join(EndpointRow, EndpointRow.deployment_id == DeploymentRow.id)
    return session.scalar(query.where(EndpointRow.team_id == team, EndpointRow.name == name)) or ""


def add_deployment(
    session: Session, endpoint: EndpointRow, deployment_id: str, *, model: str, version_id: int, variant: str, replicas: int,
    max_replicas: int = 0, role: Role = "live", weight: int = 0, isolation: Isolation = "own", idle_s: float = 0.0,
    draft: str = "",
) -> DeploymentRow:  # fmt: skip
    """A new wish for `endpoint`, which from now on points at it, unless it is a trial."""
    now = utc_now()
    row = DeploymentRow(
        id=deployment_id, team_id=endpoint.team_id, endpoint_id=endpoint.id, version_id=version_id, model=model, variant=variant,
        replicas=replicas, max_replicas=max_replicas, role=role, weight=weight, stats=None, isolation=isolation,
        idle_s=idle_s, draft=draft,
        is_wanted=True, state="starting", reason="", ready_at=None, created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    if role == "live":
        endpoint.deployment_id = row.id
    return row


def live_twin(
    session: Session, endpoint_id: int, *, version_id: int, variant: str, replicas: int, max_replicas: int,
    isolation: Isolation, idle_s: float, draft: str,
) -> DeploymentRow | None:  # fmt: skip
    """The wanted deployment of the endpoint that is this very wish and has not failed."""
    is_same = (
        DeploymentRow.version_id == version_id, DeploymentRow.variant == variant, DeploymentRow.role == "live",
        DeploymentRow.replicas == replicas, DeploymentRow.max_replicas == max_replicas,
        DeploymentRow.isolation == isolation, DeploymentRow.idle_s == idle_s, DeploymentRow.draft == draft,
    )  # fmt: skip
    query = select(DeploymentRow).where(DeploymentRow.endpoint_id == endpoint_id, DeploymentRow.is_wanted, *is_same)
    query = query.where(DeploymentRow.state.in_(["starting", "ready", "asleep"]))
    return session.scalar(query.order_by(DeploymentRow.created_at.desc()).limit(1))


def supersede_starting(session: Session, endpoint_id: int) -> None:
    """Wishes that never came to serve are dropped when a newer one is made, and so is a trial: it was compared with what served.

    One that did serve goes on until its heir is ready."""
    stop_rows(row for row in wanted_rows(session, endpoint_id) if row.ready_at is None or row.state == "failed" or row.role != "live")


def wanted_rows(session: Session, endpoint_id: int) -> list[DeploymentRow]:
    """All that shall be up for an endpoint."""
    return list(session.scalars(select(DeploymentRow).where(DeploymentRow.endpoint_id == endpoint_id, DeploymentRow.is_wanted)))


def release_of(session: Session, version_id: int) -> tuple[ModelRef, list[str]]:
    """A model version by name and number, and its labels."""
    query = select(ModelRow.name, ModelVersionRow.number, ModelVersionRow.labels).join(ModelRow, ModelVersionRow.model_id == ModelRow.id)
    name, number, labels = session.execute(query.where(ModelVersionRow.id == version_id)).one()
    return ModelRef(name, number), labels


def label_warnings(session: Session, endpoint: EndpointRow, version_id: int) -> tuple[Said, ...]:
    """How the labels of a version differ from those of the version that the endpoint serves now, or shall serve once it is ready."""
    wanted = [row for row in wanted_rows(session, endpoint.id) if row.role == "live"]
    live = [row for row in wanted if row.state in ("ready", "asleep")] or [row for row in wanted if row.id == endpoint.deployment_id]
    if not live:
        return ()
    (former, before), (_, now) = (release_of(session, each) for each in (live[-1].version_id, version_id))
    found = label_change(str(former), before, now)
    return (found,) if found else ()


def stop_rows(rows: Iterable[DeploymentRow]) -> None:
    """These are no longer wanted; one that failed keeps saying so."""
    for row in rows:
        row.is_wanted = False
        row.state = "failed" if row.state == "failed" else "stopped"
        row.updated_at = utc_now()


def withdraw(session: Session, row: EndpointRow) -> None:
    """Nothing of this endpoint is wanted any more; whoever takes its name again begins anew."""
    row.deployment_id, row.long_text, row.cache_ttl_s = None, "refuse", 0
    stop_rows(wanted_rows(session, row.id))
    bump(session)


def newest_ids(session: Session, endpoint_id: int) -> tuple[str, ...]:
    """The endpoint's newest deployments, ended ones included: all that a route may still name."""
    query = select(DeploymentRow.id).where(DeploymentRow.endpoint_id == endpoint_id)
    return tuple(session.scalars(query.order_by(DeploymentRow.created_at.desc()).limit(100)))


def select_views(
    session: Session, team: TeamId, *, deployment_id: str | None = None, endpoint_id: int | None = None
) -> list[DeploymentView]:
    """Deployments of the team's public endpoints, newest first; of private ones only when asked for by id."""
    query = (
        select(DeploymentRow, EndpointRow, ModelVersionRow, ModelRow)
        .join(EndpointRow, EndpointRow.id == DeploymentRow.endpoint_id)
        .join(ModelVersionRow, ModelVersionRow.id == DeploymentRow.version_id)
        .join(ModelRow, ModelRow.id == ModelVersionRow.model_id)
        .where(DeploymentRow.team_id == team)
        .order_by(DeploymentRow.created_at.desc(), DeploymentRow.id)
        .limit(500)
    )
    if deployment_id is not None:
        query = query.where(DeploymentRow.id == deployment_id)
    elif endpoint_id is not None:
        query = query.where(DeploymentRow.endpoint_id == endpoint_id)
    else:
        query = query.where(~EndpointRow.is_internal)
    return [_view(*row) for row in session.execute(query)]


def endpoint_view(session: Session, row: EndpointRow) -> EndpointView | None:
    """What the endpoint shall serve and what serves; None when nothing is declared."""
    views = select_views(session, TeamId(row.team_id), endpoint_id=row.id)
    wanted = next((view for view in views if view.id == row.deployment_id), None)
    if wanted is None:
        return None
    serving = next((view for view in views if view.state in {"ready", "asleep"} and view.role == "live"), None)
    shown = serving or wanted
    labels = version_row(session, TeamId(row.team_id), shown.model, shown.version).labels
    long_text = cast("LongText", row.long_text)
    newest = next((view for view in views if view.role != "live"), None)
    trial = newest if newest and newest.state != "stopped" and newest.created_at >= wanted.created_at else None
    return EndpointView(row.name, wanted, serving, tuple(labels), row.created_at, long_text, row.cache_ttl_s, trial)


def _view(deployment: DeploymentRow, endpoint: EndpointRow, version: ModelVersionRow, model: ModelRow) -> DeploymentView:
    return DeploymentView(
        id=deployment.id, endpoint=endpoint.name, model=model.name, version=version.number, task=model.task, variant=deployment.variant,
        replicas=deployment.replicas, state=cast("DeploymentState", deployment.state), reason=Said.load(deployment.reason),
        created_at=deployment.created_at, max_replicas=deployment.max_replicas or max(1, deployment.replicas),
        role=cast("Role", deployment.role), weight=deployment.weight, stats=cast("JsonObject | None", deployment.stats),
        isolation=cast("Isolation", deployment.isolation), idle_s=deployment.idle_s, draft=deployment.draft,
    )  # fmt: skip
