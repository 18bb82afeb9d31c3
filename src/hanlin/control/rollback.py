"""Going back to what an endpoint served before. Asking again changes nothing: whoever asks second finds it done.

A plain rollback goes one step back from what was deployed. An endpoint that has just been rolled back stays where it is until somebody
deploys again, or names a version. So several people at once, or one whose answer was lost, cannot toggle between two versions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from hanlin.control.deployment_rows import add_deployment, find_endpoint, label_warnings, release_of, select_views, supersede_starting
from hanlin.control.platform import Platform
from hanlin.control.values import DeploymentView, RolledBack
from hanlin.errors import Conflict, NotFound
from hanlin.storage.audit import append_audit
from hanlin.storage.database import bump
from hanlin.storage.tables import DeploymentRow, EndpointRow
from hanlin.types import Isolation, ModelRef, Principal, shorten


def roll_back(platform: Platform, principal: Principal, name: str, *, to: str | None = None, expected: str | None = None) -> RolledBack:
    """Serves again what the endpoint served before.

    Args:
        to: `name:version`, any that the endpoint has served; None: what served before the last deployment, unless that was undone already.
        expected: the deployment that shall be undone; None: whatever is declared.

    Raises:
        NotFound: `endpoint_not_found`.
        Conflict: `nothing_to_roll_back_to`, `never_served_here`; `endpoint_moved_on`: somebody has deployed something else meanwhile.
        InvalidInput: `invalid_model_reference`.
    """
    principal.require("write")
    wanted = ModelRef.parse(to) if to is not None else None
    with platform.database.write() as session:
        row = find_endpoint(session, principal.team_id, name, is_locked=True)
        current = session.get(DeploymentRow, row.deployment_id)
        if current is None:
            raise NotFound("endpoint_not_found")
        if expected is not None and expected not in {current.id, current.undid_id}:
            raise Conflict("endpoint_moved_on", name=name, expected=shorten(expected), deployment=current.id)
        if current.state != "failed" and _is_done(session, current, wanted):
            warnings = label_warnings(session, row, current.version_id)
            return RolledBack(replace(_view(session, principal, current), warnings=warnings), is_changed=False)
        target = _target(session, row, current, wanted)
        warnings = label_warnings(session, row, target.version_id)
        view = replace(_view(session, principal, _go_to(session, row, current, target)), warnings=warnings)
        subject = f"{name} {view.model}:{view.version} {view.variant}"
        append_audit(session, team_id=principal.team_id, actor=principal.key_id, action="endpoint.rollback", subject=subject)
        bump(session)
        return RolledBack(view, is_changed=True)


def _is_done(session: Session, current: DeploymentRow, wanted: ModelRef | None) -> bool:
    return current.undid_id is not None if wanted is None else release_of(session, current.version_id)[0] == wanted


def _target(session: Session, row: EndpointRow, current: DeploymentRow, wanted: ModelRef | None) -> DeploymentRow:
    """The newest deployment before `current` that was ready and serves `wanted`.

    Args:
        wanted: None takes another version, variant or draft model than that of `current`, or of the one it undid, if it was not itself
            rolled back.
    """
    query = select(DeploymentRow).where(
        DeploymentRow.endpoint_id == row.id, DeploymentRow.created_at < current.created_at, DeploymentRow.ready_at.is_not(None),
        DeploymentRow.role == "live",
    )  # fmt: skip
    served = session.scalars(query.order_by(DeploymentRow.created_at.desc())).all()
    if wanted is not None:
        found = next((other for other in served if release_of(session, other.version_id)[0] == wanted), None)
        if found is None:
            raise Conflict("never_served_here", name=row.name, model=str(wanted))
        return found
    undone = session.get(DeploymentRow, current.undid_id) if current.undid_id else None  # `current` failed to load: it is tried anew
    start = undone or current
    taken_back = set(session.scalars(select(DeploymentRow.undid_id).where(DeploymentRow.endpoint_id == row.id)))
    before = (other for other in served if other.id not in taken_back)  # whoever deploys the heir anew does not want that again
    found = next((other for other in before if _served(other) != _served(start)), None)
    if found is None:
        raise Conflict("nothing_to_roll_back_to", name=row.name)
    return found


def _served(row: DeploymentRow) -> tuple[int, str, str]:
    """What of a deployment a rollback brings back."""
    return row.version_id, row.variant, row.draft


def _go_to(session: Session, row: EndpointRow, current: DeploymentRow, target: DeploymentRow) -> DeploymentRow:
    """A new deployment of what `target` served, scaled as the endpoint is."""
    supersede_starting(session, row.id)
    added = add_deployment(
        session, row, f"dep-{uuid4().hex[:12]}", model=target.model, version_id=target.version_id, variant=target.variant,
        draft=target.draft, replicas=current.replicas, max_replicas=current.max_replicas,
        isolation=cast("Isolation", current.isolation), idle_s=current.idle_s,
    )  # fmt: skip
    added.undid_id = current.undid_id if current.undid_id and current.state == "failed" else current.id
    session.flush()
    return added


def _view(session: Session, principal: Principal, row: DeploymentRow) -> DeploymentView:
    return select_views(session, principal.team_id, deployment_id=row.id)[0]
