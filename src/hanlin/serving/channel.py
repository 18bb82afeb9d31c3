"""The gateway's side of a worker socket: one persistent connection, many calls in flight told apart by id.

Lives on an event loop. When the worker dies or breaks the protocol every pending call ends with `WorkerLost`; who may retry is
the router's business.
"""

from __future__ import annotations

import asyncio

from hanlin.errors import HanlinError, from_wire
from hanlin.serving.wire import (
    Answer,
    Ask,
    BadFrame,
    Call,
    Cancel,
    Frame,
    FrameReader,
    Hello,
    Refusal,
    ReplicaInfo,
    Report,
    Welcome,
    pack,
    unpack_from_worker,
)

_CONNECT_TIMEOUT_S = 5.0
Reply = Answer | Report


class WorkerLost(Exception):
    """The connection ended before the answer; the call may have run or not."""


class Channel(asyncio.Protocol):
    """A connection to one replica. Make it with `connect`.

    Attributes:
        info: what the replica serves.
        pending_bytes: size of the calls in flight, what the router balances.
        lost: done when the connection has ended.
    """

    info: ReplicaInfo

    def __init__(self, token: str) -> None:
        loop = asyncio.get_running_loop()
        self._token = token
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._welcome: asyncio.Future[ReplicaInfo] = loop.create_future()
        self._welcome.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        self._pending: dict[int, tuple[asyncio.Future[Reply], int]] = {}
        self._next_id = 0
        self.pending_bytes = 0
        self.lost: asyncio.Future[None] = loop.create_future()

    @classmethod
    async def connect(cls, socket: str, token: str) -> Channel:
        """Open and greet. Raises OSError or WorkerLost when there is nobody, or nobody who knows the token."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(lambda: cls(token), socket)
        try:
            channel.info = await asyncio.wait_for(asyncio.shield(channel._welcome), _CONNECT_TIMEOUT_S)
        except TimeoutError as error:
            channel.close()
            raise WorkerLost("no welcome") from error
        return channel

    @property
    def is_open(self) -> bool:
        """Whether calls can be sent."""
        return not self.lost.done()

    @property
    def num_pending(self) -> int:
        """Calls in flight."""
        return len(self._pending)

    async def call(self, call: Call, size_bytes: int) -> Answer:
        """Send a call and wait for its end; `call.id` is replaced. A cancelled wait tells the worker.

        Raises:
            HanlinError: as the worker refused it.
            WorkerLost: the connection ended first.
        """
        reply = await self._exchange(call, size_bytes)
        assert isinstance(reply, Answer)
        return reply

    async def report(self) -> dict[str, float]:
        """The worker's counters. Raises WorkerLost."""
        reply = await self._exchange(Ask(0), 0)
        assert isinstance(reply, Report)
        return reply.values

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    async def _exchange(self, frame: Call | Ask, size_bytes: int) -> Reply:
        if not self.is_open:
            raise WorkerLost("closed")
        self._next_id += 1
        number = self._next_id
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending[number] = (future, size_bytes)
        self.pending_bytes += size_bytes
        self._send(_with_id(frame, number))
        try:
            return await future
        except asyncio.CancelledError:
            if number in self._pending:
                self._forget(number)
                self._send(Cancel(number))
            raise

    def _forget(self, number: int) -> asyncio.Future[Reply] | None:
        entry = self._pending.pop(number, None)
        if entry is None:
            return None
        self.pending_bytes -= entry[1]
        return entry[0]

    def _send(self, frame: Frame) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(frame))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are not subclasses
        self._send(Hello(self._token))

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            for payload in self._reader.feed(data):
                self._receive(payload)
        except BadFrame:
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if not self.lost.done():
            self.lost.set_result(None)
        error = WorkerLost("connection lost")
        if not self._welcome.done():
            self._welcome.set_exception(error)
        for number in list(self._pending):
            future = self._forget(number)
            if future is not None and not future.done():
                future.set_exception(error)

    def _receive(self, payload: bytes) -> None:
        frame = unpack_from_worker(payload)
        if isinstance(frame, Welcome):
            if self._welcome.done():
                raise BadFrame("a second welcome")
            self._welcome.set_result(frame.info)
            return
        if not 0 < frame.id <= self._next_id:
            raise BadFrame("an id that was never given out")
        future = self._forget(frame.id)
        if future is None or future.done():  # cancelled meanwhile
            return
        if isinstance(frame, Refusal):
            future.set_exception(_error(frame))
        else:
            future.set_result(frame)


def _error(frame: Refusal) -> HanlinError:
    return from_wire(frame.error)


def _with_id(frame: Call | Ask, number: int) -> Call | Ask:
    if isinstance(frame, Ask):
        return Ask(number)
    return Call(number, frame.content, frame.timeout_s, frame.key, frame.lane, frame.language, frame.is_suspect, frame.long_text)
