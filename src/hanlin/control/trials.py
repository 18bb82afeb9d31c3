"""Trying another version beside the one that serves: begun by `deploy` with a canary or a shadow, ended here, or by the reconciler's judge.

An endpoint has one trial at a time. What serves is not touched by it until it is promoted.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from hanlin.control.deployment_rows import add_deployment, find_endpoint, label_warnings, select_task, select_views, stop_rows, wanted_rows
from hanlin.control.platform import Platform
from hanlin.control.values import DeploymentView
from hanlin.errors import Conflict, InvalidInput
from hanlin.serving.declared import Role
from hanlin.storage.audit import append_audit
from hanlin.storage.database import bump
from hanlin.storage.tables import DeploymentRow, EndpointRow
from hanlin.types import MAX_CANARY, MAX_SHADOW, Principal


def check_trial(canary: int | None, shadow: int | None) -> tuple[Role, int]:
    """Role and weight of a wish. Raises InvalidInput (`trial_of_two_kinds`, `trial_weight`)."""
    if canary is not None and shadow is not None:
        raise InvalidInput("trial_of_two_kinds")
    wishes: tuple[tuple[Role, int | None, int], ...] = (("canary", canary, MAX_CANARY), ("shadow", shadow, MAX_SHADOW))
    for role, weight, limit in wishes:
        if weight is not None:
            if not 1 <= weight <= limit:
                raise InvalidInput("trial_weight", role=role, limit=limit)
            return role, weight
    return "live", 0


def begin(
    session: Session, row: EndpointRow, new_id: str, *, role: Role, weight: int, model: str, version_id: int, variant: str, draft: str = ""
) -> str:  # fmt: skip
    """Declares a trial of `row`; one of the same version goes on under the new weight. Its deployment's id.

    Raises Conflict (`nothing_to_try_beside`, `trial_is_what_serves`, `trial_of_another_task`)."""
    wanted = wanted_rows(session, row.id)
    serving = next((other for other in wanted if other.role == "live" and other.state in ("ready", "asleep")), None)
    if serving is None:
        raise Conflict("nothing_to_try_beside", name=row.name)
    if (serving.version_id, serving.variant, serving.draft) == (version_id, variant, draft):
        raise Conflict("trial_is_what_serves", name=row.name)
    serves, tried = (select_task(session, number) for number in (serving.version_id, version_id))
    if tried != serves:
        raise Conflict("trial_of_another_task", name=row.name, serving=serves, task=tried)
    for running in wanted:
        is_same = (running.role, running.version_id, running.variant, running.draft) == (role, version_id, variant, draft)
        if is_same and running.state in ("starting", "ready"):
            running.weight = weight
            return running.id
    stop_rows(other for other in wanted if other.role != "live")
    added = add_deployment(
        session, row, new_id, model=model, version_id=version_id, variant=variant, replicas=1, role=role, weight=weight, draft=draft
    )  # fmt: skip
    return added.id


def promote(platform: Platform, principal: Principal, name: str) -> DeploymentView:
    """The version on trial serves from now on, with the replicas of the one it replaces, and sleeps as that one did. No call fails.

    Raises:
        NotFound: `endpoint_not_found`.
        Conflict: `no_trial`, `trial_not_ready`.
    """
    principal.require("write")
    with platform.database.write() as session:
        row = find_endpoint(session, principal.team_id, name, is_locked=True)
        trial = _trial(session, row)
        if trial.state != "ready":
            raise Conflict("trial_not_ready", name=name, state=trial.state)
        warnings = label_warnings(session, row, trial.version_id)
        former = [other for other in wanted_rows(session, row.id) if other.id != trial.id]
        if former:
            trial.replicas = max(other.replicas for other in former)  # 0: it may sleep
            trial.max_replicas = max(other.max_replicas for other in former)
            trial.isolation, trial.idle_s = former[-1].isolation, former[-1].idle_s  # where it is loaded next
        trial.role, trial.weight, row.deployment_id = "live", 0, trial.id
        stop_rows(former)
        return replace(_told(session, principal, "endpoint.promote", row, trial), warnings=warnings)


def abort(platform: Platform, principal: Principal, name: str) -> DeploymentView:
    """Ends the trial; all calls go to what served all along. Raises NotFound, Conflict (`no_trial`)."""
    principal.require("write")
    with platform.database.write() as session:
        row = find_endpoint(session, principal.team_id, name, is_locked=True)
        trial = _trial(session, row)
        stop_rows([trial])
        return _told(session, principal, "endpoint.abort", row, trial)


def _trial(session: Session, row: EndpointRow) -> DeploymentRow:
    found = next((other for other in wanted_rows(session, row.id) if other.role != "live"), None)
    if found is None:
        raise Conflict("no_trial", name=row.name)
    return found


def _told(session: Session, principal: Principal, action: str, row: EndpointRow, trial: DeploymentRow) -> DeploymentView:
    append_audit(session, team_id=principal.team_id, actor=principal.key_id, action=action, subject=f"{row.name} {trial.id}")
    bump(session)
    session.flush()
    return select_views(session, principal.team_id, deployment_id=trial.id)[0]
