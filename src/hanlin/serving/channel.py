"""The gateway's side of a worker socket: one persistent connection, many calls in flight told apart by id.

Lives on an event loop. When the worker dies or breaks the protocol every pending call ends with `WorkerLost`; who may retry is
the router's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

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
    Part,
    Refusal,
    ReplicaInfo,
    Report,
    Welcome,
    pack,
    unpack_from_worker,
)

_CONNECT_TIMEOUT_S = 5.0
_SWEEP_S = 0.25  # how often calls that have waited too long are looked for
Reply = Answer | Report


class WorkerLost(Exception):
    """The connection ended before the answer; the call may have run or not."""


@dataclass(slots=True)
class _Pending:
    """A frame that waits for its reply, one of `ends`. `end_s` is loop time; None waits as long as the connection lasts."""

    future: asyncio.Future[Reply]
    ends: tuple[type[Frame], ...]
    size_bytes: int
    end_s: float | None
    on_part: Callable[[Part], None] | None = None


class Channel(asyncio.Protocol):
    """A connection to one replica. Make it with `connect`.

    Attributes:
        info: what the replica serves.
        pending_bytes: size of the calls in flight, what the router balances.
        lost: done when the connection has ended.
        has_lied: whether it ended because the worker broke the protocol.
    """

    info: ReplicaInfo

    def __init__(self, token: str) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._token = token
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._welcome: asyncio.Future[ReplicaInfo] = loop.create_future()
        self._welcome.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        self._pending: dict[int, _Pending] = {}
        self._last_id = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self.pending_bytes = 0
        self.has_lied = False
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
        except asyncio.CancelledError:  # nobody would ever close it
            channel.close()
            raise
        return channel

    @property
    def is_open(self) -> bool:
        """Whether calls can be sent."""
        return not self.lost.done()

    @property
    def num_pending(self) -> int:
        """Calls in flight."""
        return len(self._pending)

    def next_id(self) -> int:
        """A fresh id for a frame on this connection."""
        self._last_id += 1
        return self._last_id

    async def call(
        self, call: Call, size_bytes: int, *, timeout_s: float, on_part: Callable[[Part], None] | None = None
    ) -> Answer:  # fmt: skip
        """Send a call whose id is from `next_id` and wait for its end. A cancelled or late wait tells the worker.

        Args:
            timeout_s: how long to wait for a worker that says nothing; kept to a quarter of a second.
            on_part: given the parts of a call that is streamed, before its end; must not raise.

        Raises:
            HanlinError: as the worker refused it.
            WorkerLost: the connection ended first.
            TimeoutError: no answer in time.
        """
        reply = await self._exchange(call, size_bytes, self._loop.time() + timeout_s, on_part)
        assert isinstance(reply, Answer)
        return reply

    async def report(self) -> dict[str, float]:
        """The worker's counters. Raises WorkerLost."""
        return (await self.full_report()).values

    async def full_report(self) -> Report:
        """The worker's counters, labels and latencies. Raises WorkerLost."""
        reply = await self._exchange(Ask(self.next_id()), 0, None)
        assert isinstance(reply, Report)
        return reply

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    async def _exchange(
        self, frame: Call | Ask, size_bytes: int, end_s: float | None, on_part: Callable[[Part], None] | None = None
    ) -> Reply:  # fmt: skip
        if not self.is_open:
            raise WorkerLost("closed")
        number = frame.id
        future: asyncio.Future[Reply] = self._loop.create_future()
        ends = (Report,) if isinstance(frame, Ask) else (Answer, Refusal)
        self._pending[number] = _Pending(future, ends, size_bytes, end_s, on_part)
        self.pending_bytes += size_bytes
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)
        self._send(frame)
        try:
            return await future
        except asyncio.CancelledError:
            self._give_up(number)
            raise

    def _sweep(self) -> None:
        """One timer for all calls: one each cost more than the frame."""
        self._sweeper = None
        now_s = self._loop.time()
        for number, entry in list(self._pending.items()):
            if entry.end_s is not None and entry.end_s <= now_s:
                self._give_up(number)
                if not entry.future.done():
                    entry.future.set_exception(TimeoutError())
        if self._pending:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _give_up(self, number: int) -> None:
        if number in self._pending:
            self._forget(number)
            self._send(Cancel(number))

    def _forget(self, number: int) -> asyncio.Future[Reply] | None:
        entry = self._pending.pop(number, None)
        if entry is None:
            return None
        self.pending_bytes -= entry.size_bytes
        return entry.future

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
            self.has_lied = True
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
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
        if not 0 < frame.id <= self._last_id:
            raise BadFrame("an id that was never given out")
        if isinstance(frame, Part):
            self._hear(frame)
            return
        entry = self._pending.get(frame.id)
        if entry is not None and not isinstance(frame, entry.ends):
            raise BadFrame("a reply to something else")
        future = self._forget(frame.id)
        if future is None or future.done():  # cancelled meanwhile
            return
        if isinstance(frame, Refusal):
            future.set_exception(_error(frame))
        else:
            future.set_result(frame)

    def _hear(self, part: Part) -> None:
        entry = self._pending.get(part.id)
        if entry is None or entry.future.done():  # cancelled meanwhile
            return
        if entry.on_part is None or part.row < 0 or part.written < 0:
            raise BadFrame("a part that nobody asked for")
        entry.on_part(part)


def _error(frame: Refusal) -> HanlinError:
    return from_wire(frame.error)
