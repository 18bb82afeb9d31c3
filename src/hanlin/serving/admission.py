"""Whether one more call may join the queue, judged by how long it would wait. Plain numbers in, a yes or no out; knows no clock.

A queue that is merely bounded makes everybody wait as long as the bound is when more comes than can be done, and does no more work
for it. So a key whose calls would wait longer than `max_wait_s` is refused; and once that has happened the queue is kept *short*, just
long enough that the engine never runs dry, until nothing had to be refused for a while. (CoDel, RFC 8289, makes the same difference
between a burst and a standing queue; it drops late, we refuse early, because a caller can come back.)

A few calls of each key may wait however long that takes: clients who wait for their answer before they ask again are no flood. The
more keys wait, the fewer each; a key of which nothing waits is never refused for what others do.
"""

from __future__ import annotations

FEW_CALLS = 64  # calls of one key that may always wait, shared by the keys that do
STRAINED_FEW_CALLS = 8
STRAINED_WAIT_S = 0.02  # more than a step of a small model: the next batch is there when one ends
STRAINED_S = 1.0  # without a refusal, until a queue may be long again


class Admission:
    """Decides for one queue.

    Args:
        max_wait_s: how long a call of a key with many calls may be expected to wait.
    """

    def __init__(self, max_wait_s: float) -> None:
        self._max_wait_s = max_wait_s
        self._calls: dict[str, int] = {}
        self._strained_until_s = float("-inf")

    def enter(self, key: str) -> None:
        """A call of `key` has begun to wait."""
        self._calls[key] = self._calls.get(key, 0) + 1

    def leave(self, key: str) -> None:
        """A call of `key` waits no longer."""
        left = self._calls[key] - 1
        if left:
            self._calls[key] = left
        else:
            del self._calls[key]

    def has(self, key: str) -> bool:
        """Whether a call of `key` waits."""
        return key in self._calls

    def takes(self, key: str, *, wait_s: float, now_s: float) -> bool:
        """Whether a call of `key` may wait for about `wait_s`."""
        waiting = self._calls.get(key, 0)
        if not waiting:
            return True
        is_strained = now_s < self._strained_until_s
        few, longest_s = (STRAINED_FEW_CALLS, STRAINED_WAIT_S) if is_strained else (FEW_CALLS, self._max_wait_s)
        if wait_s <= min(longest_s, self._max_wait_s) or waiting * len(self._calls) < few:
            return True
        self._strained_until_s = now_s + STRAINED_S
        return False
