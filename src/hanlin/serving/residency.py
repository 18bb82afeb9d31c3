"""Who stays in memory: models that are not used leave after their time, and the longest unused ones when another needs the room.

Plain numbers in, names out. Knows no process, no clock and no socket: time is an argument (monotonic seconds). A model with work in flight
never leaves, nor one that its deployment wants in memory at all times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

FRESH_S = 1.0


@dataclass(slots=True)
class Usage:
    """When a model last had something to do, from counts that its workers tell now and then."""

    last_used_s: float
    num_calls: dict[int, int] = field(default_factory=dict)  # by replica
    is_busy: bool = False

    def see(self, num_calls: dict[int, int], inflight: int, *, now_s: float) -> None:
        """Take over the counts of all replicas."""
        if inflight or num_calls != self.num_calls:
            self.last_used_s = now_s
        self.num_calls = num_calls
        self.is_busy = inflight > 0


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory.

    Args:
        size_bytes: what its worker grew by with it.
        idle_s: it leaves after this time without work; 0: only when others need the room.
        can_leave: its deployment lets it; such a model is loaded again on the next call.
    """

    name: str
    size_bytes: int
    last_used_s: float
    is_busy: bool
    idle_s: float = 0.0
    can_leave: bool = True


def find_idle(residents: Sequence[Resident], *, now_s: float) -> list[str]:
    """Those that had nothing to do for as long as they may."""
    return [one.name for one in residents if _may_leave(one) and 0 < one.idle_s <= now_s - one.last_used_s]


def make_room(residents: Sequence[Resident], *, now_s: float, budget_bytes: int, wanted_bytes: int = 0) -> list[str]:
    """The longest unused that must leave so that what stays and `wanted_bytes` keep within the budget; too few when the rest is in use.

    One used within the last second stays: the calls that it was loaded for may be on their way, and two that took turns would only load.
    """
    excess_bytes = sum(one.size_bytes for one in residents) + wanted_bytes - budget_bytes
    leaving: list[str] = []
    for one in sorted(residents, key=lambda one: one.last_used_s):
        if excess_bytes <= 0:
            break
        if _may_leave(one) and now_s - one.last_used_s >= FRESH_S:
            leaving.append(one.name)
            excess_bytes -= one.size_bytes
    return leaving


def can_ever_fit(residents: Sequence[Resident], *, budget_bytes: int, wanted_bytes: int) -> bool:
    """Whether there will be room once those that may leave are idle."""
    return sum(one.size_bytes for one in residents if not one.can_leave) + wanted_bytes <= budget_bytes


def _may_leave(one: Resident) -> bool:
    return one.can_leave and not one.is_busy
