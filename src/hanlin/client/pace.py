"""How many requests may be in flight: more while the server takes them at once, half at a refusal. Integers and a clock; sends nothing.

Source: V. Jacobson, "Congestion Avoidance and Control", 1988: slow start to a threshold, additive increase, multiplicative decrease.
We depart in that the increase is an eighth as fast, for each step past the server's limit costs somebody a refusal, and in that it stops
where requests wait at the server: its engine is busy then, and more would only make other callers wait.
"""

from __future__ import annotations

START = 2
GENTLE = 8
QUEUE_ENOUGH_MS = 25.0
QUEUE_TOO_LONG_MS = 100.0


class Pace:
    """The number of requests in flight that the server bears.

    Args:
        most: never more than this.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._limit = float(min(START, most))
        self._threshold = float(most)
        self._cut_s = float("-inf")
        self._held_until_s = float("-inf")

    @property
    def limit(self) -> int:
        """Requests that may be in flight."""
        return int(self._limit)

    def held_until_s(self) -> float:
        """Before this moment nothing shall be sent."""
        return self._held_until_s

    def good(self, queue_ms: float | None = None) -> None:
        """An answer came; it had to wait so long at the server, where that is known."""
        if queue_ms is not None and queue_ms > QUEUE_ENOUGH_MS:
            if queue_ms > QUEUE_TOO_LONG_MS:
                self._limit = max(min(2.0, self._limit), self._limit - 1.0 / self._limit)
            return
        step = 1.0 if self._limit < self._threshold else 1.0 / (GENTLE * self._limit)
        self._limit = min(float(self.most), self._limit + step)

    def refused(self, sent_s: float, now_s: float) -> None:
        """The server has too much to do. What was sent before the last cut says nothing new."""
        if sent_s < self._cut_s:
            return
        self._cut_s = now_s
        self._threshold = self._limit = max(1.0, self._limit / 2)

    def away(self, sent_s: float, now_s: float, pause_s: float) -> None:
        """There is no server, or it is starting: nobody goes on for a while, then one after the other."""
        if sent_s >= self._cut_s:
            self._threshold = max(1.0, self._limit / 2)
            self._limit, self._cut_s = 1.0, now_s
        self._held_until_s = max(self._held_until_s, now_s + pause_s)
