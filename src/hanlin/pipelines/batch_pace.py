"""How many calls of a batch are in flight: one more for each round that the server takes gladly, half as many after a refusal.

Source: additive increase, multiplicative decrease (RFC 5681, 3.1), with calls for segments.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

START = 2.0
MOST = 64.0


class Turns:
    """Belongs to one event loop.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._allowed = START
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut_s = float("-inf")
        self.inflight = 0

    @property
    def allowed(self) -> int:
        """Calls that may be in flight."""
        return int(self._allowed)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until one more call may leave; inside it is in flight."""
        while self.inflight >= self.allowed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        self.inflight += 1
        try:
            yield
        finally:
            self.inflight -= 1
            self._wake()

    def taken(self) -> None:
        """A call was answered."""
        self._allowed = min(MOST, self._allowed + 1 / self._allowed)

    def refused(self, began_s: float) -> None:
        """A call that began at `began_s` was refused; those of one round halve the pace once."""
        if began_s >= self._cut_s:
            self._cut_s = self._clock()
            self._allowed = max(1.0, self._allowed / 2)

    def _wake(self) -> None:
        """Those who may go now; whoever finds the place taken waits again."""
        free = self.allowed - self.inflight
        while self._waiting and free > 0:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                free -= 1
