"""An API key as others may see it: never the secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hanlin.types import KeyId, Scope, TeamId


@dataclass(frozen=True, slots=True)
class Key:
    """An API credential. `prefix` is its first eight characters, to tell keys apart; `is_batch`: of a batch job, see `Principal`."""

    id: KeyId
    team_id: TeamId
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    is_batch: bool = False

    def is_usable(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
