"""One suspect at a time: calls under which a worker died, of all endpoints that may share a worker process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from hanlin.errors import DeadlineExceeded


class Quarantines:
    """Locks by name, kept while somebody holds or awaits them. Belongs to one event loop."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def alone(self, name: str, timeout_s: float) -> AsyncIterator[None]:
        """Be the only one of that name. Raises DeadlineExceeded when that is not to be had in time."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(max(0.0, timeout_s)):
                await lock.acquire()
        except TimeoutError:
            raise DeadlineExceeded("deadline_exceeded") from None
        try:
            yield
        finally:
            lock.release()
