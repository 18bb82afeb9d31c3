"""What shall run, as values: what a deployment asks for, and how far it has come. Knows no worker and no loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hanlin.types import Isolation, LongText

Role = Literal["live", "canary", "shadow"]
DeploymentState = Literal["starting", "ready", "asleep", "failed", "draining", "stopped"]


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """What shall run.

    Args:
        deployment_id: of the row that declares it.
        version: shown to callers, such as `sentiment-zh:3`.
        has_failed: it is known not to start, and shall not be tried.
        min_replicas: 0 lets it sleep: its models leave memory when they are not used, and come back on the next call.
        idle_s: it sleeps after this time without a call; 0: only when others need the room.
        was_ready: it has served before, so it may begin asleep.
        isolation: whether a replica has a process of its own or shares one with others of its team.
        long_text, cache_ttl_s: how the endpoint answers; both may change while the workers run.
        replicas, max_replicas: at least and at most so many, as load asks for; a maximum of 0 means no more than at least.
        base: of an adapter in a variant that can share one, what its base is known by; else empty.
        draft: the version that guesses what it writes next; empty: none.
        role: whether it serves, or is tried beside what serves.
        weight: percent of the calls that a canary answers, or a shadow gets copies of.
    """

    deployment_id: str
    team_id: str
    endpoint: str
    model: str
    version: str
    variant: str
    replicas: int = 1
    has_failed: bool = False
    long_text: LongText = "refuse"
    cache_ttl_s: int = 0
    max_replicas: int = 0
    role: Role = "live"
    weight: int = 0
    isolation: Isolation = "own"
    min_replicas: int = 1
    idle_s: float = 0.0
    was_ready: bool = False
    base: str = ""
    draft: str = ""
