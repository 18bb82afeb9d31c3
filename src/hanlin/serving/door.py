"""The worker's side of its socket: handshake, calls in, answers out. Knows frames and the replica, nothing of models."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable

from hanlin.serving.replica import Replica
from hanlin.serving.wire import (
    MAX_FRAME_BYTES,
    Answer,
    Ask,
    BadFrame,
    Call,
    Cancel,
    Frame,
    FrameReader,
    Hello,
    Part,
    Refusal,
    ReplicaInfo,
    Welcome,
    pack,
    unpack_from_gateway,
)

_HELLO_TIMEOUT_S = 5.0
_HELLO_BYTES = 512


class Door:
    """Makes one connection object per gateway.

    Attributes:
        broken: set when a peer that showed the token broke the protocol; strangers are merely hung up on.
    """

    def __init__(self, replica: Replica, *, token: str, info: ReplicaInfo, broken: asyncio.Event | None = None) -> None:
        self.replica = replica
        self.token = token
        self.info = info
        self.broken = broken or asyncio.Event()
        self.connections: set[Connection] = set()

    def protocol(self) -> Connection:
        """For `create_unix_server`."""
        return Connection(self)

    async def close(self) -> None:
        """Hang up once everything written has left."""
        for connection in list(self.connections):
            connection.hang_up()
        for _ in range(100):
            if not self.connections:
                return
            await asyncio.sleep(0.01)


class Connection(asyncio.Protocol):
    """One gateway's connection, and the outlet of its streamed calls."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._reader = FrameReader(_HELLO_BYTES)
        self._is_trusted = False
        self._numbers: dict[int, int] = {}  # id on this connection → number in the replica
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_full = False
        self._held: list[Callable[[], None]] = []  # calls that have more to tell than it takes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are not subclasses
        self._door.connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(_HELLO_TIMEOUT_S, self.hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._door.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        for number in self._numbers.values():
            self._door.replica.cancel(number)
        self._numbers.clear()
        self._held.clear()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            for payload in self._reader.feed(data):
                self._receive(payload)
        except BadFrame:
            if self._is_trusted:
                self._door.broken.set()
            self.hang_up()

    def pause_writing(self) -> None:
        """See asyncio.Protocol. Answers go out all the same: they are few."""
        self.is_full = True

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.is_full = False
        held, self._held = self._held, []
        for again in held:
            again()

    def send(self, part: Part) -> None:
        """See `Outlet`."""
        if part.id in self._numbers:
            self._send(part)

    def when_free(self, again: Callable[[], None]) -> None:
        """See `Outlet`."""
        self._held.append(again)

    def hang_up(self) -> None:
        """Close after what is written has left."""
        if self._transport is not None:
            self._transport.close()

    def _receive(self, payload: bytes) -> None:
        frame = unpack_from_gateway(payload)
        if not self._is_trusted:
            self._greet(frame)
        elif isinstance(frame, Call):
            self._take(frame)
        elif isinstance(frame, Cancel):
            if (number := self._numbers.pop(frame.id, None)) is not None:
                self._door.replica.cancel(number)
        elif isinstance(frame, Ask):
            self._send(self._door.replica.report(frame.id))
        else:
            raise BadFrame("a second hello")

    def _greet(self, frame: Frame) -> None:
        if not isinstance(frame, Hello) or not hmac.compare_digest(frame.token.encode(), self._door.token.encode()):
            raise BadFrame("no token")
        self._is_trusted = True
        self._reader.max_frame_bytes = MAX_FRAME_BYTES
        if self._timer is not None:
            self._timer.cancel()
        self._send(Welcome(self._door.info))

    def _take(self, call: Call) -> None:
        if call.id in self._numbers:
            raise BadFrame("id in use")
        if self._transport is None or self._transport.is_closing():
            return
        is_done = False

        def reply(frame: Answer | Refusal) -> None:
            nonlocal is_done
            is_done = True
            self._numbers.pop(frame.id, None)
            self._send(frame)

        number = self._door.replica.submit(call, reply, self if call.is_streamed else None)
        if not is_done:
            self._numbers[call.id] = number

    def _send(self, frame: Frame) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(frame))
