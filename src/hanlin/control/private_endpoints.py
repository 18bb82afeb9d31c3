"""What a job has of its own while it runs: a private endpoint for a candidate it certifies, and keys. Nobody is to see them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import select

from hanlin.control.bases import base_of
from hanlin.control.deployment_rows import select_views, withdraw
from hanlin.control.deployments import declare
from hanlin.control.platform import Platform
from hanlin.errors import DeadlineExceeded, EngineFailed
from hanlin.messages.said import Said
from hanlin.registry.values import ModelVersion
from hanlin.storage.tables import EndpointRow
from hanlin.types import Principal, utc_now

_ENDPOINT = ".certify-"
_CERTIFY, _BATCH = "certify-", "batch-"
KEYS = (_CERTIFY, _BATCH)  # how the names of such keys begin
_KEY_LIFE = timedelta(hours=1)
_POLL_S = 0.1
_ROUTE_S = 0.2  # a gateway that must look for new routes does so every 50 ms


@contextmanager
def serving(
    platform: Platform, principal: Principal, version: ModelVersion, variant: str, *, owner: str, check: Callable[[], None]
) -> Iterator[str]:
    """The name of an endpoint that answers with `variant` inside the block, and is gone after it.

    Args:
        owner: the job; its end takes the endpoint away even when the job was killed.
        check: called while waiting; raises to give up.

    Raises:
        EngineFailed: with the code of what kept it from serving; `private_endpoint_failed` when that is not known.
        DeadlineExceeded: `private_endpoint_slow`.
    """
    name = f"{_ENDPOINT}{owner}"
    with platform.database.write() as session:
        found = declare(
            session, principal, model=str(version), version=version, endpoint=name, variant=variant, is_internal=True,
            isolation="shared" if base_of(version.manifest.to_json(), variant, version.task) else "own",
        )  # fmt: skip
    try:
        _wait(platform, principal, found.id, check)
        yield name
    finally:
        _remove(platform, name)


@contextmanager
def key(platform: Platform, principal: Principal, *, owner: str) -> Iterator[str]:
    """The secret of a key that is good inside the block only; private endpoints ask for an admin's."""
    made, secret = platform.accounts.create_key(
        principal.team_id, f"{_CERTIFY}{owner}", ["admin"], expires_at=utc_now() + _KEY_LIFE, actor=principal.key_id
    )
    try:
        yield secret
    finally:
        platform.accounts.revoke_key(principal.team_id, made.id, actor=principal.key_id)


@contextmanager
def batch_key(platform: Platform, principal: Principal, *, owner: str, expires_at: datetime) -> Iterator[str]:
    """The secret of a key whose calls wait for all others, good inside the block only. One that a killed attempt has left is ended."""
    forget(platform, principal, owner=owner)
    made, secret = platform.accounts.create_key(
        principal.team_id, f"{_BATCH}{owner}", ["predict"], expires_at=expires_at, actor=principal.key_id, is_batch=True
    )
    try:
        yield secret
    finally:
        platform.accounts.revoke_key(principal.team_id, made.id, actor=principal.key_id)


def forget(platform: Platform, principal: Principal, *, owner: str) -> None:
    """Takes away what a job that was killed has left: its private endpoint and its key."""
    _remove(platform, f"{_ENDPOINT}{owner}")
    for found in platform.accounts.list_keys(principal.team_id):
        if found.name in {f"{start}{owner}" for start in KEYS} and found.revoked_at is None:
            platform.accounts.revoke_key(principal.team_id, found.id, actor=principal.key_id)


def _remove(platform: Platform, name: str) -> None:
    with platform.database.read() as session:
        if session.scalar(select(EndpointRow.id).where(EndpointRow.name == name, EndpointRow.deployment_id.is_not(None))) is None:
            return
    with platform.database.write() as session:
        for row in session.scalars(select(EndpointRow).where(EndpointRow.name == name, EndpointRow.is_internal)):
            withdraw(session, row)


def _wait(platform: Platform, principal: Principal, deployment_id: str, check: Callable[[], None]) -> None:
    deadline_s = time.monotonic() + platform.settings.worker_start_timeout_s + 30.0
    while time.monotonic() < deadline_s:
        check()
        with platform.database.read() as session:
            view = select_views(session, principal.team_id, deployment_id=deployment_id)[0]
        if view.state == "ready":
            time.sleep(_ROUTE_S)
            return
        if view.state in {"failed", "stopped"}:
            if view.reason is not None:
                plain = {name: value.text("en") if isinstance(value, Said) else value for name, value in view.reason.params.items()}
                raise EngineFailed.of(view.reason.code, plain)
            raise EngineFailed("private_endpoint_failed", variant=view.variant)
        time.sleep(_POLL_S)
    raise DeadlineExceeded("private_endpoint_slow", variant=view.variant)
