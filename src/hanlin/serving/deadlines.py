"""The deadlines of calls that wait, the next one first. Plain numbers."""

from __future__ import annotations

import heapq
from collections.abc import Collection

_MIN = 64


class Deadlines:
    """Of one queue. Those of calls that wait no more are forgotten when they come first, and all at once when they are the most."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._heap)

    def note(self, deadline_s: float, call: int, waiting: Collection[int]) -> None:
        """A call has begun to wait, beside those of `waiting`."""
        if len(self._heap) > 2 * len(waiting) + _MIN:
            self._heap = [entry for entry in self._heap if entry[1] in waiting]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, (deadline_s, call))

    def passed(self, now_s: float, waiting: Collection[int]) -> list[int]:
        """Calls whose deadline has passed, each told once."""
        late: list[int] = []
        while self._heap and (self._heap[0][0] <= now_s or self._heap[0][1] not in waiting):
            late.append(heapq.heappop(self._heap)[1])
        return late

    def next_s(self, waiting: Collection[int]) -> float | None:
        """The next one of a call that waits."""
        while self._heap and self._heap[0][1] not in waiting:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
