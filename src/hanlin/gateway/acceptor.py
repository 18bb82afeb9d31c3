"""Who takes the next connection when several gateways wait at one listening socket: the one that holds the fewest.

All gateways share the supervisor's one socket, so that a connection waits for no particular gateway and a killed one takes none with it.
Left to the kernel, the one that wakes first takes nearly all (`bench/gateway_balance.py`); here a gateway that holds more than another
leaves a connection to it for a millisecond, and takes it if it is still there.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import struct
import tempfile
from collections.abc import Callable

_SLOT = struct.Struct("=I")
_YIELD_S = 0.001
_PAUSE_S = 0.2  # no descriptors are left: they come back as callers go


def new_tally(gateways: int) -> int:
    """A descriptor of memory in which `gateways` processes tell how many connections they hold."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("hanlin-gateways")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, _SLOT.size * gateways)
    return descriptor


def forget(descriptor: int, index: int) -> None:
    """A gateway is about to start: what stands there is of the one before it."""
    os.pwrite(descriptor, _SLOT.pack(0), index * _SLOT.size)


def holds_any(descriptor: int, index: int) -> bool:
    """Whether a gateway holds connections, or held some when it died."""
    return os.pread(descriptor, _SLOT.size, index * _SLOT.size) != _SLOT.pack(0)


class Tally:
    """How many connections each gateway holds, as one of them sees it; it writes its own number only.

    Args:
        descriptor: of `new_tally`.
        index: whose number is ours, from 0.
    """

    def __init__(self, descriptor: int, index: int) -> None:
        self._memory = mmap.mmap(descriptor, 0)
        self._index = index
        self.set(0)

    def set(self, connections: int) -> None:
        """We hold so many now."""
        _SLOT.pack_into(self._memory, self._index * _SLOT.size, connections)

    def has_less_busy(self) -> bool:
        """Whether some other gateway holds fewer."""
        held: list[int] = [number for (number,) in _SLOT.iter_unpack(self._memory[:])]
        return held[self._index] > min(held)

    def close(self) -> None:
        """We hold none any more."""
        self.set(0)
        self._memory.close()


class Connections(set[asyncio.BaseProtocol]):
    """The server's open connections, counted into a tally as they come and go."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def add(self, item: asyncio.BaseProtocol) -> None:
        """See set."""
        super().add(item)
        self._tally.set(len(self))

    def discard(self, item: object) -> None:
        """See set."""
        super().discard(item)
        self._tally.set(len(self))


class Acceptor:
    """Takes connections from a listening socket in turn with other gateways. Belongs to one event loop; stands for a `Server`.

    Args:
        factory: makes the protocol of a connection.
        tally: None when there is no other gateway.
    """

    def __init__(self, listener: socket.socket, factory: Callable[[], asyncio.Protocol], tally: Tally | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._factory = factory
        self._tally = tally
        self._has_yielded = False
        self._timer: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[object]] = set()
        listener.setblocking(False)
        self._loop.add_reader(listener, self._take)

    def close(self) -> None:
        """Takes no more."""
        self._loop.remove_reader(self._listener)
        if self._timer is not None:
            self._timer.cancel()

    async def wait_closed(self) -> None:
        """Until what was taken is in the hands of its protocol."""
        if self._opening:
            await asyncio.wait(self._opening)

    def _take(self) -> None:
        """Somebody waits: take one, or leave it to a gateway with fewer; the kernel tells again while somebody waits."""
        if self._tally is not None and not self._has_yielded and self._tally.has_less_busy():
            self._has_yielded = True
            self._pause(_YIELD_S)
            return
        self._has_yielded = False
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another gateway was faster, or the caller has gone
        except OSError:
            self._pause(_PAUSE_S)
            return
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio leaves it out for sockets it did not accept
        task = self._loop.create_task(self._open(connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, connection)
        except OSError:  # gone already
            connection.close()

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, self._loop.add_reader, self._listener, self._take)
