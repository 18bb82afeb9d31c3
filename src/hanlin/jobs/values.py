"""Jobs as frozen values, and their states.

queued ──claim──▶ running ──▶ succeeded | failed | cancelled
   ▲                │
   └── lease lost ──┘   (again and again, up to MAX_ATTEMPTS)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hanlin.messages.said import Said
from hanlin.types import JobId, JsonObject, KeyId, TeamId

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Lane = Literal["heavy", "light", "data", "batch"]
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
    said: Said | None  # the latest line for people
    result: JsonObject | None
    error: JsonObject | None  # words in both languages, see `error_in`
    runner_id: str | None
    lease_expires_at: datetime | None
    is_cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    def message_in(self, language: str) -> str:
        """The latest line for people, in `language` (`en` or `zh`); empty before the first."""
        return self.said.text(language) if self.said else ""

    @property
    def has_ended(self) -> bool:
        """Whether it will never change again."""
        return self.state in ENDED

    def error_in(self, language: str) -> JsonObject | None:
        """What ended it, as errors go over the wire, its words in `language` (`en` or `zh`); None when all went well."""
        if self.error is None:
            return None
        said = {name: value for name, value in self.error.items() if not name.endswith("_zh")}
        if language.startswith("zh"):
            said |= {name: self.error[f"{name}_zh"] for name in said if f"{name}_zh" in self.error}
        return said


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of a job's story.

    `data` is `{"step", "total", "metrics"}` for `progress`, `{"code", "params"}` for `message`, `{"state"}` for `end`.
    """

    number: int
    kind: Literal["progress", "message", "end"]
    data: JsonObject
    created_at: datetime

    def data_in(self, language: str) -> JsonObject:
        """`data` as it goes over the wire: a message besides in words, in `language` (`en` or `zh`)."""
        said = Said.from_json(self.data) if self.kind == "message" else None
        return {**self.data, "message": said.text(language)} if said else self.data
