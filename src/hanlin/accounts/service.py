"""API keys: create, list, revoke, authenticate. Revocation reaches every process within a second.

Authentication is a dictionary look-up: the first use of a key reads the database, later ones only look once a second
whether the change counter has moved, and forget everything when it has.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from hanlin.accounts import secrets
from hanlin.accounts.values import Key
from hanlin.errors import Conflict, InvalidInput, NotFound, PermissionDenied, Unauthenticated
from hanlin.storage.audit import append_audit
from hanlin.storage.database import Database, bump
from hanlin.storage.tables import KeyRow, TeamRow
from hanlin.types import SCOPES, KeyId, Principal, Scope, TeamId, check_name, shorten, utc_now

DEFAULT_TEAM = TeamId("default")
OWNER_KEY_FILE = "owner.key"
_POLL_S = 1.0
_MAX_CACHED = 10_000
_BATCH = "batch"  # stands among the scopes of a batch job's key; no choice of anybody's


class Accounts:
    """Keys of all teams.

    Args:
        database: where they are kept.
        clock: the present moment.
        monotonic: seconds for the age of the cache; tests pass their own.
    """

    def __init__(
        self, database: Database, *, clock: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[Key, bool] | None] = {}
        self._counter = -1
        self._polled_at = -float("inf")

    def create_key(
        self, team_id: TeamId, name: str, scopes: Sequence[str], *, expires_at: datetime | None = None, actor: str = "system",
        is_batch: bool = False,
    ) -> tuple[Key, str]:  # fmt: skip
        """A new key and its secret, which exists only in this answer.

        Args:
            is_batch: for a batch job: its calls are answered in the gaps that all others leave. Nobody can ask for such a key.

        Raises:
            InvalidInput: `invalid_name`, `unknown_scope`, `key_expiry_past`.
        """
        check_name(name, kind="key")
        if expires_at is not None and expires_at <= self._clock():
            raise InvalidInput("key_expiry_past")
        secret = secrets.new_secret()
        checked = (*_check_scopes(scopes), *([_BATCH] if is_batch else []))
        return self._add(team_id, name, secret, scopes=checked, expires_at=expires_at, actor=actor), secret

    def list_keys(self, team_id: TeamId) -> list[Key]:
        """All keys of the team, revoked ones too, newest first."""
        with self._database.read() as session:
            query = select(KeyRow).where(KeyRow.team_id == team_id).order_by(KeyRow.created_at.desc(), KeyRow.id)
            return [_value(row) for row in session.scalars(query)]

    def revoke_key(self, team_id: TeamId, key_id: str, *, actor: str = "system") -> Key:
        """Ends a key for good; once revoked it stays as it is. Raises NotFound, or Conflict (`last_admin_key`)."""
        with self._database.write() as session:
            session.get(TeamRow, team_id, with_for_update=True)  # of two who revoke the last two admin keys one must see the other
            row = session.scalar(select(KeyRow).where(KeyRow.team_id == team_id, KeyRow.id == key_id).with_for_update())
            if row is None:
                raise NotFound("not_found", kind="key", name=shorten(key_id))
            if row.revoked_at is None:
                self._check_not_last(session, row)
                row.revoked_at = self._clock()
                append_audit(session, team_id=team_id, actor=actor, action="key.revoke", subject=row.id)
                bump(session)
            found = _value(row)
        self._look_again()
        return found

    def authenticate(self, header: str | None) -> Principal:
        """Who sends the `Authorization` header's value `Bearer hl_…`.

        Raises:
            Unauthenticated: `unauthenticated`, the same for a missing, malformed, unknown, expired or revoked key.
            PermissionDenied: `team_disabled`.
        """
        secret = secrets.from_header(header)
        digest = secrets.digest(secret) if secret else ""
        return self._admit(self._look_up(digest, lambda: KeyRow.digest == digest) if secret else None)

    def resume(self, key_id: str) -> Principal:
        """Who signed in with this key, as long as it stays good: for sessions that remember the key's id.

        Raises:
            Unauthenticated: `unauthenticated` once the key is expired or revoked, or when there is none.
            PermissionDenied: `team_disabled`.
        """
        return self._admit(self._look_up(key_id[:64], lambda: KeyRow.id == key_id[:64]))

    def ensure_owner_key(self, home: Path) -> str | None:
        """Makes the owner's key at the first start, in `<home>/owner.key` (0600), and returns its secret only then.

        The file is written before the row: after a crash in between, the next start makes the row from the file.
        """
        path = home / OWNER_KEY_FILE
        secret = secrets.read_file(path)
        if secret is None:
            secret = secrets.new_secret()
            secrets.write_file(path, secret)
        path.chmod(0o600)
        with self._database.read() as session:
            is_known = session.scalar(select(KeyRow.id).where(KeyRow.digest == secrets.digest(secret))) is not None
        if is_known:
            return None
        self._add(DEFAULT_TEAM, "owner", secret, scopes=("admin",), expires_at=None, actor="system")
        return secret

    def _add(self, team_id: TeamId, name: str, secret: str, *, scopes: tuple[str, ...], expires_at: datetime | None, actor: str) -> Key:
        row = KeyRow(
            id=secrets.new_id(), team_id=team_id, name=name, digest=secrets.digest(secret), prefix=secret[: secrets.PREFIX_LENGTH],
            scopes=list(scopes), created_at=self._clock(), expires_at=expires_at, revoked_at=None,
        )  # fmt: skip
        with self._database.write() as session:
            session.add(row)
            append_audit(session, team_id=team_id, actor=actor, action="key.create", subject=row.id)
            bump(session)
        return _value(row)

    def _admit(self, found: tuple[Key, bool] | None) -> Principal:
        if found is None or not found[0].is_usable(self._clock()):
            raise Unauthenticated("unauthenticated")
        key, is_team_active = found
        if not is_team_active:
            raise PermissionDenied("team_disabled")
        return Principal(key.team_id, key.id, frozenset(key.scopes), key.is_batch)

    def _look_up(self, name: str, condition: Callable[[], ColumnElement[bool]]) -> tuple[Key, bool] | None:
        """`condition` finds the key's row; it is asked for only when the database must be read (building it takes 15 µs)."""
        with self._lock:
            self._forget_if_changed()
            if name not in self._cache:
                if len(self._cache) >= _MAX_CACHED:  # a flood of made-up keys must not fill the memory
                    self._cache.clear()
                self._cache[name] = self._read(condition())
            return self._cache[name]

    def _look_again(self) -> None:
        """What this process changed itself it sees at once; others see it with their next look."""
        with self._lock:
            self._polled_at = -float("inf")

    def _forget_if_changed(self) -> None:
        now = self._monotonic()
        if now - self._polled_at < _POLL_S:
            return
        counter = self._database.change_counter()
        if counter != self._counter:
            self._cache.clear()
            self._counter = counter
        self._polled_at = now

    def _read(self, condition: ColumnElement[bool]) -> tuple[Key, bool] | None:
        with self._database.read() as session:
            query = select(KeyRow, TeamRow.is_active).join(TeamRow, KeyRow.team_id == TeamRow.team_id)
            found = session.execute(query.where(condition)).first()
            return (_value(found[0]), found[1]) if found else None

    def _check_not_last(self, session: Session, row: KeyRow) -> None:
        if "admin" not in row.scopes:
            return
        others = session.scalars(select(KeyRow).where(KeyRow.team_id == row.team_id, KeyRow.id != row.id))
        if not any("admin" in other.scopes and _value(other).is_usable(self._clock()) for other in others):
            raise Conflict("last_admin_key")


def _check_scopes(scopes: Sequence[str]) -> tuple[Scope, ...]:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise InvalidInput("unknown_scope", scope=shorten(unknown[0]) if unknown else "''", choices=", ".join(SCOPES))
    return tuple(scope for scope in SCOPES if scope in scopes)


def _value(row: KeyRow) -> Key:
    return Key(
        id=KeyId(row.id), team_id=TeamId(row.team_id), name=row.name, prefix=row.prefix,
        scopes=cast("tuple[Scope, ...]", tuple(scope for scope in row.scopes if scope != _BATCH)), created_at=row.created_at,
        expires_at=row.expires_at, revoked_at=row.revoked_at, is_batch=_BATCH in row.scopes,
    )  # fmt: skip
