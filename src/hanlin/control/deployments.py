"""Endpoints and the deployments behind them: declared here, made true by the reconciler.

A new deployment of an endpoint starts beside the old one, which serves on until the new one is ready. Knows no
process and no socket.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from hanlin.control.bases import base_of
from hanlin.control.deploy_notes import name_warnings
from hanlin.control.deployment_rows import (
    add_deployment,
    draft_of,
    endpoint_row,
    endpoint_view,
    find_endpoint,
    hold_version,
    label_warnings,
    live_twin,
    newest_ids,
    residence_of,
    scale_of,
    select_views,
    supersede_starting,
    withdraw,
)
from hanlin.control.drafts import find_draft
from hanlin.control.platform import Platform
from hanlin.control.trials import begin, check_trial
from hanlin.control.values import DeploymentView, EndpointView, Undeployed
from hanlin.engines import check_apart, variant_names
from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.registry.values import ModelVersion
from hanlin.serving.declared import Role
from hanlin.storage.audit import append_audit
from hanlin.storage.database import bump
from hanlin.storage.tables import DeploymentRow, EndpointRow
from hanlin.types import MAX_REPLICAS, Isolation, LongText, ModelRef, Principal, check_name, shorten, utc_now


def deploy(
    platform: Platform, principal: Principal, *, model: str, endpoint: str, variant: str | None = None, replicas: int | None = None,
    max_replicas: int | None = None, isolation: Isolation | None = None, idle_s: float | None = None,
    long_text: LongText | None = None, canary: int | None = None, shadow: int | None = None, draft: str | None = None,
) -> DeploymentView:  # fmt: skip
    """Declares that `endpoint` shall be answered by a published version. The same wish again changes nothing.

    Args:
        model: `name`, `name@alias` or `name:version`.
        endpoint: the public name; made when it is new.
        variant: None takes the chosen one, else the last certified one.
        replicas: loaded copies, 0 to 16; at least so many where `max_replicas` is more. 0 is one that sleeps while it is not used, and
            loads on the next call. None leaves the endpoint as it is scaled.
        max_replicas: at most so many, as load asks for; None: no more than `replicas`.
        isolation: whether a copy has a worker process of its own or shares one; None leaves it, a new endpoint takes the home's default,
            one of an adapter shares its base with the others that stand on it.
        idle_s: with `replicas` 0: it sleeps after this time without a call; 0: only when others need the memory. None leaves it.
        long_text: what the endpoint does with texts that are too long; None leaves it as it is, a new endpoint refuses them.
        canary: only try the version: let it answer that many percent of the calls, 1 to 99.
        shadow: only try the version: send it copies of that many percent of the calls, 1 to 100, and drop its answers.
        draft: a smaller decoder of the same vocabulary that guesses what comes next, named as `model`; empty: none. None leaves it.

    Raises:
        NotFound: no such model, version or alias.
        Conflict: `not_published`, `variant_not_certified`, `no_certified_variant`, `base_has_no_head`; for a trial `nothing_to_try_beside`,
            `trial_is_what_serves`, `trial_of_another_task`.
        InvalidInput: `trial_of_two_kinds`, `trial_weight`, `replicas_out_of_range`; `engine_apart`; as `find_draft`.
    """
    principal.require("write")
    check_name(endpoint, kind="endpoint")
    role, weight = check_trial(canary, shadow)
    low, high = _check_replicas(1 if replicas is None else replicas, max_replicas)
    reference = ModelRef.parse(model)
    version = platform.registry.resolve(principal.team_id, reference)
    if version.state != "published":
        raise Conflict("not_published", model=version.model, version=version.number, state=version.state)
    variant = _certified_variant(platform, version, variant)
    check_apart(variant, platform.settings.pythons)
    if draft is None:
        with platform.database.read() as session:
            draft = draft_of(session, principal.team_id, endpoint)
    guesses = find_draft(platform, draft, version, variant) if draft else None
    with platform.database.write() as session:
        if long_text is not None:
            endpoint_row(session, principal.team_id, endpoint, is_internal=False).long_text = long_text
            bump(session)
        if replicas is None and max_replicas is None:
            low, high = scale_of(session, principal.team_id, endpoint)
        usual: Isolation = "shared" if base_of(version.manifest.to_json(), variant, version.task) else platform.settings.isolation
        home = residence_of(session, principal.team_id, endpoint) or (usual, 0.0)
        declared = declare(
            session, principal, model=model, version=version, endpoint=endpoint, variant=variant, replicas=low, max_replicas=high,
            role=role, weight=weight, draft=guesses,
            isolation=isolation or home[0], idle_s=home[1] if idle_s is None else idle_s,
        )  # fmt: skip
    notes = name_warnings(platform, principal, reference, version, variant)
    return replace(declared, warnings=(*declared.warnings, *notes))


def declare(
    session: Session,
    principal: Principal,
    *,
    model: str,
    version: ModelVersion,
    endpoint: str,
    variant: str,
    replicas: int = 1,
    max_replicas: int = 0,
    role: Role = "live",
    weight: int = 0,
    is_internal: bool = False,
    isolation: Isolation = "own",
    idle_s: float = 0.0,
    draft: ModelVersion | None = None,
) -> DeploymentView:
    """Writes the wish, without asking whether the version may be public (the certify job uses it for private endpoints)."""
    for held in (version, draft) if draft else (version,):
        hold_version(session, held)
    name = str(draft or "")
    row = endpoint_row(session, principal.team_id, endpoint, is_internal=is_internal)
    warnings = label_warnings(session, row, version.id)
    new_id = f"dep-{uuid4().hex[:12]}"
    if role != "live":
        found_id = begin(session, row, new_id, role=role, weight=weight, model=model, version_id=version.id, variant=variant, draft=name)
    else:
        twin = live_twin(session, row.id, version_id=version.id, variant=variant, replicas=replicas, max_replicas=max_replicas,
                         isolation=isolation, idle_s=idle_s, draft=name)  # fmt: skip
        if twin is not None and twin.id == row.deployment_id:
            return replace(select_views(session, principal.team_id, deployment_id=twin.id)[0], warnings=warnings)
        supersede_starting(session, row.id)
        if twin is not None and twin.is_wanted:  # it serves still, beside a later wish that is given up by this one
            found_id = row.deployment_id = twin.id
        else:
            found_id = add_deployment(
                session, row, new_id, model=model, version_id=version.id, variant=variant, replicas=replicas, max_replicas=max_replicas,
                isolation=isolation, idle_s=idle_s, draft=name,
            ).id  # fmt: skip
    kind = (f" {role} {weight}" if role != "live" else "") + (f" draft {name}" if name else "")
    append_audit(
        session,
        team_id=principal.team_id,
        actor=principal.key_id,
        action="endpoint.deploy",
        subject=f"{endpoint} {version.model}:{version.number} {variant}{kind}",
    )
    bump(session)
    session.flush()
    return replace(select_views(session, principal.team_id, deployment_id=found_id)[0], warnings=warnings)


def list_deployments(platform: Platform, principal: Principal) -> list[DeploymentView]:
    """The team's deployments, newest first, ended ones included."""
    principal.require("read")
    with platform.database.read() as session:
        return select_views(session, principal.team_id)


def get_deployment(platform: Platform, principal: Principal, deployment_id: str) -> DeploymentView:
    """One deployment. Raises NotFound (`deployment_not_found`)."""
    principal.require("read")
    with platform.database.read() as session:
        found = select_views(session, principal.team_id, deployment_id=deployment_id)
    if not found:
        raise NotFound("deployment_not_found", name=shorten(deployment_id))
    return found[0]


def list_endpoints(platform: Platform, principal: Principal) -> list[EndpointView]:
    """The team's public endpoints by name."""
    principal.require("read")
    with platform.database.read() as session:
        rows = session.scalars(
            select(EndpointRow).where(EndpointRow.team_id == principal.team_id, ~EndpointRow.is_internal).order_by(EndpointRow.name)
        ).all()
        return [view for row in rows if (view := endpoint_view(session, row)) is not None]


def get_endpoint(platform: Platform, principal: Principal, name: str) -> EndpointView:
    """One endpoint. Raises NotFound (`endpoint_not_found`)."""
    principal.require("read")
    with platform.database.read() as session:
        view = endpoint_view(session, find_endpoint(session, principal.team_id, name))
    if view is None:
        raise NotFound("endpoint_not_found")
    return view


def update_endpoint(
    platform: Platform, principal: Principal, name: str, *, long_text: LongText | None = None, cache_ttl_s: int | None = None
) -> EndpointView:
    """Changes how an endpoint answers, without starting anything anew. None leaves a thing as it is. Raises NotFound.

    Args:
        cache_ttl_s: seconds for which an answer is kept for calls that come again, 0 to 7 days; 0 keeps none.
    """
    principal.require("write")
    with platform.database.write() as session:
        row = find_endpoint(session, principal.team_id, name, is_locked=True)
        row.long_text = long_text or row.long_text
        row.cache_ttl_s = row.cache_ttl_s if cache_ttl_s is None else cache_ttl_s
        subject = f"{name} long_text={row.long_text} cache_ttl_s={row.cache_ttl_s}"
        append_audit(session, team_id=principal.team_id, actor=principal.key_id, action="endpoint.update", subject=subject)
        bump(session)
        session.flush()
        view = endpoint_view(session, row)
    if view is None:
        raise NotFound("endpoint_not_found")
    return view


def undeploy(platform: Platform, principal: Principal, name: str) -> Undeployed:
    """Takes an endpoint away; calls in flight end normally. Its last state is answered. Raises NotFound."""
    principal.require("write")
    with platform.database.write() as session:
        row = find_endpoint(session, principal.team_id, name, is_locked=True)
        view = endpoint_view(session, row)
        if view is None:
            raise NotFound("endpoint_not_found")
        withdraw(session, row)
        append_audit(session, team_id=principal.team_id, actor=principal.key_id, action="endpoint.undeploy", subject=name)
        return Undeployed(view, newest_ids(session, row.id))


def scale(platform: Platform, principal: Principal, name: str, *, min_replicas: int, max_replicas: int | None = None) -> DeploymentView:
    """Changes how many replicas an endpoint has, at least and at most; those that are loaded stay. Raises NotFound, InvalidInput."""
    principal.require("write")
    low, high = _check_replicas(min_replicas, max_replicas)
    with platform.database.write() as session:
        row = find_endpoint(session, principal.team_id, name, is_locked=True)
        current = session.get(DeploymentRow, row.deployment_id)
        if current is None:
            raise NotFound("endpoint_not_found")
        current.replicas, current.max_replicas, current.updated_at = low, high, utc_now()
        subject = f"{name} {low} to {high or low}"
        append_audit(session, team_id=principal.team_id, actor=principal.key_id, action="endpoint.scale", subject=subject)
        bump(session)
        session.flush()
        return select_views(session, principal.team_id, deployment_id=current.id)[0]


def _check_replicas(low: int, high: int | None) -> tuple[int, int]:
    """The stored form of a range. Raises InvalidInput (`replicas_out_of_range`)."""
    awake = max(1, low)
    if low < 0 or not awake <= (high or awake) <= MAX_REPLICAS:
        raise InvalidInput("replicas_out_of_range", limit=MAX_REPLICAS)
    return low, (high if high is not None and high > awake else 0)


def _certified_variant(platform: Platform, version: ModelVersion, variant: str | None) -> str:
    """The variant to serve: only certified ones may."""
    made = platform.registry.list_variants(version)  # the chosen one first
    certified = [item.variant for item in made if platform.registry.is_certified(version, item.variant)]
    if version.is_base:
        raise Conflict("base_has_no_head", version=str(version))
    if not certified:
        raise Conflict("no_certified_variant", model=version.model, version=version.number)
    if variant is not None and variant not in {*variant_names(), *(item.variant for item in made)}:
        raise InvalidInput("unknown_variant", variant=shorten(variant), choices=", ".join(variant_names()))
    if variant is not None and variant not in certified:
        raise Conflict(
            "variant_not_certified", model=version.model, version=version.number, variant=shorten(variant), choices=", ".join(certified)
        )
    return variant or certified[0]
