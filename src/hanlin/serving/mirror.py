"""Copies of calls for a shadow: sent beside the call itself, answers dropped, never waited for, bounded in number and bytes."""

from __future__ import annotations

import asyncio
import contextlib

from hanlin.errors import HanlinError
from hanlin.serving.channel import Channel, WorkerLost
from hanlin.serving.wire import Call

MAX_COPIES = 32  # in flight in one gateway
MAX_COPIED_BYTES = 4 * 2**20  # in flight at one shadow replica


class Mirror:
    """The copies in flight. Belongs to one event loop.

    Attributes:
        sent_total: copies that were sent.
        dropped_total: copies that were not, because the shadow was not ready or did not keep up.
    """

    def __init__(self) -> None:
        self._copies: set[asyncio.Task[None]] = set()
        self.sent_total = 0
        self.dropped_total = 0

    def has_room(self, channel: Channel | None, size_bytes: int) -> bool:
        """Whether a copy of this size can go to the shadow at the other end; one that cannot is dropped."""
        if channel is None or len(self._copies) >= MAX_COPIES or channel.pending_bytes + size_bytes > MAX_COPIED_BYTES:
            self.dropped_total += 1
            return False
        return True

    def send(self, channel: Channel, call: Call, size_bytes: int) -> None:
        """Send a copy. It leaves after the frame that the caller writes in this turn of the loop."""
        self.sent_total += 1
        task = asyncio.get_running_loop().create_task(_send(channel, call, size_bytes))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    def close(self) -> None:
        """Give up what is in flight."""
        for task in self._copies:
            task.cancel()


async def _send(channel: Channel, call: Call, size_bytes: int) -> None:
    """What becomes of it, the shadow's worker counts."""
    with contextlib.suppress(HanlinError, WorkerLost, TimeoutError):
        await channel.call(call, size_bytes, timeout_s=call.timeout_s)
