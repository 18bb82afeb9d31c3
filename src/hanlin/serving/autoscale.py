"""How many replicas a deployment shall have: more when work waits or engines never rest, fewer when they rest. Pure: time is an argument.

Hysteresis: what asks for a change must hold for a while, the band between more and fewer is wide, and a change gets time to show.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_QUEUED_TOKENS = 4096  # in front of each replica: about one full engine step
BUSY = 0.85  # share of the time that engines compute, above which there shall be more
REST = 0.5  # share that the remaining engines would compute, below which there may be fewer


@dataclass(frozen=True, slots=True)
class Load:
    """What the replicas of a deployment reported last.

    Args:
        replicas: those that reported.
        queued_tokens: waiting in front of all of them.
        busy: mean share of the time since the report before in which their engines computed, 0..1.
    """

    replicas: int
    queued_tokens: float
    busy: float


class Autoscaler:
    """The number of replicas of one deployment.

    Args:
        up_after_s: how long a shortage lasts before a replica is added; so long each further one waits, too.
        down_after_s: how long a surplus lasts before a replica is taken away.
    """

    def __init__(self, replicas: int, *, up_after_s: float, down_after_s: float) -> None:
        self.replicas = replicas
        self._up_after_s = up_after_s
        self._down_after_s = down_after_s
        self._short_since_s: float | None = None
        self._spare_since_s: float | None = None

    def decide(self, now_s: float, load: Load, *, low: int, high: int) -> int:
        """The number wanted now, one more or less than before at most, within `low` and `high` (both inclusive)."""
        wanted = min(max(self.replicas, low), high)
        if load.replicas < wanted:  # the last change has not come to bear yet
            self._short_since_s = self._spare_since_s = None
        else:
            wanted += self._step(now_s, load, wanted)
        wanted = min(max(wanted, low), high)
        if wanted != self.replicas:
            self._short_since_s = self._spare_since_s = None
        self.replicas = wanted
        return wanted

    def _step(self, now_s: float, load: Load, replicas: int) -> int:
        is_short = load.queued_tokens > MAX_QUEUED_TOKENS * replicas or load.busy > BUSY
        is_spare = not load.queued_tokens and replicas > 1 and load.busy * replicas / (replicas - 1) < REST
        self._short_since_s = (now_s if self._short_since_s is None else self._short_since_s) if is_short else None
        self._spare_since_s = (now_s if self._spare_since_s is None else self._spare_since_s) if is_spare else None
        if self._short_since_s is not None and now_s - self._short_since_s >= self._up_after_s:
            return 1
        if self._spare_since_s is not None and now_s - self._spare_since_s >= self._down_after_s:
            return -1
        return 0
