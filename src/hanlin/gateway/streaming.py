"""Answers in parts over HTTP: server-sent events of any protocol, from the first part to exactly one end. Knows no protocol.

The head leaves with the first part, with the end, or with the first sign of life, whichever comes first: what fails before it is answered
as any call is. From then on a stream ends with the protocol's end mark, or with its error event; only a caller who hung up hears nothing
more. A comment is sent whenever nothing was for `stream_ping_s`, so that nobody on the way takes the connection for dead. What a caller
does not read waits within `stream_buffer_bytes`; beyond that the call is given up, and after `write_timeout_s` the connection is.
Which texts were cut stands in the head (`X-Hanlin-Truncated`) and in a comment before the end: the head may have left before it was known.
Source of the form: the HTML standard, 9.2, server-sent events.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.types import Send

from hanlin.errors import HanlinError, Internal, NotReady, Overloaded
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Stream
from hanlin.serving.wire import Part
from hanlin.settings import Settings

HEAD = {b"content-type": b"text/event-stream; charset=utf-8", b"cache-control": b"no-store", b"x-accel-buffering": b"no"}
PING = b": ping\n\n"
CUT = b"x-hanlin-truncated"
End = Literal["done", "failed", "gone", "slow", "drained"]
Answer = Callable[[Callable[[Part], None]], Awaitable[Outcome]]  # a call, given who hears its parts

_log = logging.getLogger("hanlin.gateway")


class Streams:
    """The streams of a gateway. Belongs to its event loop.

    Attributes:
        ends: how many ended how.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: set[Outbox] = set()
        self._is_over = False
        self.ends: Counter[str] = Counter()

    def end_all(self) -> None:
        """The server can wait no longer: each open stream ends with an error event, and so does each that would still begin."""
        self._is_over = True
        for outbox in self._open:
            outbox.break_off(NotReady("stream_drained", retry_after_s=1.0))

    async def run(self, running: Running, answer: Answer) -> None:
        """Tell an answer in parts. Raises what the call fails with before anything has left."""
        outbox = Outbox(running.stream, self._settings.stream_buffer_bytes)
        self._open.add(outbox)
        if self._is_over:
            outbox.break_off(NotReady("stream_drained", retry_after_s=1.0))
        work = asyncio.ensure_future(answer(outbox.hear))
        outbox.watch(work)
        end: End | None = None
        try:
            end = await self._tell(running, outbox, work)
        except Exception:
            end = outbox.broken_off or "failed"
            raise
        finally:
            self._open.discard(outbox)
            self.ends[end or outbox.broken_off or ("done" if _is_whole(work) else "gone")] += 1
            await _given_up(work)

    async def _tell(self, running: Running, outbox: Outbox, work: asyncio.Future[Outcome]) -> End:
        while (chunk := await outbox.take(self._settings.stream_ping_s)) is not None:
            await running.write(chunk, truncated=outbox.truncated)
        try:
            last = outbox.end(work)
        except Exception as error:
            if not running.has_begun:
                raise
            await running.write(running.failure(error), is_last=True)
            return outbox.broken_off or "failed"
        await running.write(last, is_last=True, truncated=outbox.truncated)
        return "done"


_ENDS: dict[str, End] = {"stream_too_slow": "slow", "stream_drained": "drained"}


@dataclass(slots=True)
class Running:
    """One streamed answer and where it goes.

    Args:
        headers: made when the head leaves: what every answer has beside the stream's own.
        language: of errors.
    """

    stream: Stream
    send: Send
    headers: Callable[[], list[tuple[bytes, bytes]]]
    request_id: str
    language: str
    has_begun: bool = False

    async def write(self, chunk: bytes, *, is_last: bool = False, truncated: Sequence[int] = ()) -> None:
        """Send it, behind the head, which says what was `truncated`. Waits while the caller does not read."""
        if not self.has_begun:
            self.has_begun = True
            lines = {**HEAD, **dict(self.stream.headers), **({CUT: told_cut(truncated)} if truncated else {})}
            await self.send({"type": "http.response.start", "status": 200, "headers": [*lines.items(), *self.headers()]})
        await self.send({"type": "http.response.body", "body": chunk, "more_body": not is_last})

    def failure(self, error: Exception) -> bytes:
        """The protocol's error event. What is no error of ours is logged, and not told."""
        if not isinstance(error, HanlinError):
            _log.error("a stream failed", exc_info=error)
            error = Internal("internal")
        elif error.details:
            _log.warning(error.code, extra={"details": error.details})
        return self.stream.fail(error, self.request_id, self.language)


class Outbox:
    """What is to be written to one caller, in order and within bounds.

    Args:
        max_bytes: that may wait; one part always may.

    Attributes:
        truncated: indices of the call's texts that lost something, as far as is known.
    """

    def __init__(self, stream: Stream, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self._size = 0
        self.truncated: tuple[int, ...] = ()
        self._changed = asyncio.Event()
        self._has_begun = False
        self._error: Exception | None = None
        self._work: asyncio.Future[Outcome] | None = None

    def watch(self, work: asyncio.Future[Outcome]) -> None:
        """The call whose parts come."""
        self._work = work
        work.add_done_callback(lambda _: self._changed.set())
        if self._error is not None:
            work.cancel()

    def hear(self, part: Part) -> None:
        """Take a part. When too much waits the call is given up: who does not read keeps a place from others."""
        if self._error is not None:
            return
        self.truncated = self.truncated or part.truncated
        try:
            chunk = self._begin() + self._stream.part(part)
        except Exception as error:
            self.break_off(error)
            return
        if self._chunks and self._size + len(chunk) > self._max_bytes:
            self.break_off(Overloaded("stream_too_slow", limit=self._max_bytes))
            return
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._changed.set()

    def break_off(self, error: Exception) -> None:
        """No more is taken: what waits is told, then the error."""
        self._error = self._error or error
        self._changed.set()
        if self._work is not None:
            self._work.cancel()

    async def take(self, patience_s: float) -> bytes | None:
        """All that waits; a sign of life when nothing came for `patience_s`; None when nothing will come any more."""
        while not self._chunks:
            if self._error is not None or (self._work is not None and self._work.done()):
                return None
            self._changed.clear()
            try:
                async with asyncio.timeout(patience_s):
                    await self._changed.wait()
            except TimeoutError:
                return self._begin() + PING
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        return chunk

    def end(self, work: asyncio.Future[Outcome]) -> bytes:
        """The last events. Raises what the call failed with, or what broke the stream off."""
        if self._error is not None:
            raise self._error
        outcome = work.result()
        self.truncated = outcome.truncated
        return self._begin() + cut_comment(outcome.truncated) + self._stream.end(outcome)

    @property
    def broken_off(self) -> End | None:
        """Why nothing more was taken, where it was not for the call's own failure."""
        return _ENDS.get(self._error.code) if isinstance(self._error, HanlinError) else None

    def _begin(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        return self._stream.begin()


def told_cut(truncated: Sequence[int]) -> bytes:
    """Indices of texts that were cut, as headers tell them."""
    return ",".join(map(str, truncated)).encode()


def cut_comment(truncated: Sequence[int]) -> bytes:
    """The same inside a stream, whose head may have left before it was known; nothing where nothing was cut."""
    return b": %s: %s\n\n" % (CUT, told_cut(truncated)) if truncated else b""


def _is_whole(work: asyncio.Future[Outcome]) -> bool:
    """Whether the call was completed, and so accounted for as a whole: its caller left while the last of it was on its way."""
    return work.done() and not work.cancelled() and work.exception() is None


async def _given_up(work: asyncio.Future[Outcome]) -> None:
    """Returns when the call is over: it is accounted for before the caller's next one. What it failed with is told already."""
    work.cancel()
    await asyncio.wait({work})
    if not work.cancelled():
        work.exception()
