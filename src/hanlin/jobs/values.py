"""Jobs as frozen values, and their states.

queued ──claim──▶ running ──▶ succeeded | failed | cancelled
   ▲                │
   └── lease lost ──┘   (again and again, up to MAX_ATTEMPTS)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hanlin.types import JobId, JsonObject, KeyId, TeamId

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Lane = Literal["heavy", "light"]
ENDED: frozenset[JobState] = frozenset({"succeeded", "failed", "cancelled"})
MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far the job is: `step` of `total` (0: unknown), with the newest value of every metric."""

    step: int
    total: int
    metrics: JsonObject


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was read."""

    id: JobId
    team_id: TeamId
    key_id: KeyId | None
    kind: str
    lane: Lane
    config: JsonObject
    state: JobState
    attempt: int
    progress: JobProgress
    message: str
    result: JsonObject | None
    error: JsonObject | None
    fingerprint: str
    runner_id: str | None
    lease_expires_at: datetime | None
    is_cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def has_ended(self) -> bool:
        """Whether it will never change again."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of a job's story.

    `data` is `{"step", "total", "metrics"}` for `progress`, `{"message"}` for `message`, `{"state"}` for `end`.
    """

    number: int
    kind: Literal["progress", "message", "end"]
    data: JsonObject
    created_at: datetime
