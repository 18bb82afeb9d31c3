"""API keys of a team: made, listed, revoked. Only an admin may."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hanlin.accounts import Key
from hanlin.control import private_endpoints
from hanlin.control.platform import Platform
from hanlin.types import Principal


def create_key(
    platform: Platform, principal: Principal, *, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[Key, str]:
    """A new key and its secret, which is shown this once and stored nowhere.

    Raises:
        InvalidInput: `unknown_scope`, `key_expiry_past`, `invalid_name`.
    """
    principal.require("admin")
    return platform.accounts.create_key(principal.team_id, name, scopes, expires_at=expires_at, actor=principal.key_id)


def list_keys(platform: Platform, principal: Principal) -> list[Key]:
    """The team's keys, without their secrets. The ended keys of jobs are left out."""
    principal.require("admin")
    return [
        key
        for key in platform.accounts.list_keys(principal.team_id)
        if key.revoked_at is None or not key.name.startswith(private_endpoints.KEYS)
    ]


def revoke_key(platform: Platform, principal: Principal, key_id: str) -> Key:
    """Ends a key; every gateway refuses it within a second. Raises NotFound."""
    principal.require("admin")
    return platform.accounts.revoke_key(principal.team_id, key_id, actor=principal.key_id)
