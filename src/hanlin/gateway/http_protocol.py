"""uvicorn's httptools protocol behind the guard: strict framing, time limits for head, body and reading, no cut-off answers.

Also tells the app when a caller hangs up, through `scope["hanlin.on_disconnect"]`, which costs nothing a request, and takes a whole
answer at once through `scope["hanlin.send_whole"]`.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from hanlin.errors import HanlinError, InvalidInput
from hanlin.gateway.http_guard import ALLOW, Guard, Refused
from hanlin.gateway.http_odd import HalfClosed, is_old, unchunked
from hanlin.gateway.responses import error_body
from hanlin.gateway.status import http_status
from hanlin.gateway.valve import Valve
from hanlin.settings import Settings

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

_LINGER_S = 2.0
_LINGER_BYTES = 64 * 2**20
_NO_LINGER = struct.pack("ii", 1, 0)
_MIN_BODY_BYTES = 64 * 2**10  # that much must come in each `body_timeout_s`, or the whole rest
_CLOSE_HEADERS = b"content-type: application/json\r\nconnection: close\r\n"


def strict_protocol(settings: Settings, valve: Valve | None = None) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn with these limits; `valve` turns requests away before they are parsed."""
    return type("StrictProtocol", (GuardedProtocol,), {"settings": settings, "valve": valve})


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    settings: Settings
    valve: Valve | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = Guard(self.settings.max_header_bytes)
        self._timer: asyncio.TimerHandle | None = None
        self._writing_timer: asyncio.TimerHandle | None = None
        self._body_bytes = 0
        self._is_refused = False
        self._hang_up: Callable[[], object] | None = None
        self._is_gone = False
        self._half_closed: HalfClosed | None = None
        self._answering: RequestResponseCycle | None = None  # `cycle` is the last one read: pipelined ones wait in between

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]
        self._set_timer(self.settings.header_timeout_s, self._head_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends timers and tells the app."""
        self._set_timer(0, None)
        if self._half_closed is not None:
            self._half_closed.end()
        self.resume_writing()
        if self._answering is not None and not self._answering.response_complete:
            self._is_gone = self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # after a reset uvicorn leaves this timer, which holds all of the connection until it fires
        if self._is_gone and self._hang_up is not None:
            self._hang_up()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The caller ends his side; whether the connection stays for an answer that is owed in full. All else is a hang-up: an answer that
        has begun, and any in HTTP/1.0, which has no interim answers."""
        guard, cycle = self._guard, self._answering
        is_owed = cycle is not None and not cycle.response_started and not (guard.is_in_head or guard.is_in_body or self._is_refused)
        if cycle is None or not is_owed or is_old(cycle) or not self.transport.can_write_eof():
            return self._half_closed is not None and not self.transport.is_closing()
        if self._half_closed is None:  # paused and resumed reading tells it again
            cycle.waiting_for_100_continue = False
            self._half_closed = HalfClosed(self.transport, self.loop, self._is_told)
        return True

    def _is_told(self) -> bool:
        """Whether an answer has begun; one of HTTP/1.0 counts as begun: nothing may stand before it."""
        cycle = self._answering
        return cycle is not None and (cycle.response_started or is_old(cycle))

    def on_response_complete(self) -> None:
        """Nothing follows what a caller asked who has ended his side."""
        is_last = not self.pipeline
        super().on_response_complete()
        if self._half_closed is not None and is_last:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Checks, then parses."""
        transport: _Lingering = self.transport  # type: ignore[assignment]
        if self._is_refused or transport.is_lingering:
            transport.discard(len(data))
            return
        was_in_head, was_in_body = self._guard.is_in_head, self._guard.is_in_body
        try:
            pieces = self._guard.feed(data)
            is_one_whole = len(pieces) == 2 and self._guard.has_body  # two heads are two pieces, too
            if is_one_whole and not (was_in_head or was_in_body) and self._turn_away(pieces[0]):
                return
            for piece in pieces:
                self._body_bytes += len(piece)
                super().data_received(piece)
        except Refused as refused:
            self._refuse(refused.code)
            return
        self._watch(was_in_head=was_in_head, was_in_body=was_in_body)

    def _turn_away(self, head: bytes) -> bool:
        """Lets the valve answer a request that has come whole; whether it did. The parser then never sees it, and stands where it stood."""
        cycle, guard = self.cycle, self._guard
        is_between = not (guard.is_in_head or guard.is_in_body or self.pipeline) and (cycle is None or cycle.response_complete)
        if self.valve is None or not is_between or self.flow.write_paused or self.transport.is_closing():
            return False
        answer = self.valve.refusal(head, b"".join(b"%s: %s\r\n" % pair for pair in self.server_state.default_headers))
        if answer is None:
            return False
        self.transport.write(answer)
        self._set_timer(0, None)
        self.on_response_complete()
        return True

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        scope: dict[str, Any] = cycle.scope  # type: ignore[assignment]
        scope["hanlin.send_whole"] = partial(self._send_whole, cycle)
        super()._start_asgi_task(cycle, unchunked(app, cycle) if is_old(cycle) else app)

    def on_message_begin(self) -> None:
        """Gives the app its way to hear of a hang-up."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["hanlin.on_disconnect"] = self._register
        scope["hanlin.is_gone"] = lambda: self._is_gone

    def pause_writing(self) -> None:
        """A caller who does not read holds the answer for a while, not for ever."""
        super().pause_writing()
        self._writing_timer = self.loop.call_later(self.settings.write_timeout_s, self._give_up)

    def _give_up(self) -> None:
        """Ends it with a reset: what the caller does not read would lie in the system's buffers for minutes yet."""
        if (sock := self.transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def resume_writing(self) -> None:
        """The caller reads again."""
        if self._writing_timer is not None:
            self._writing_timer.cancel()
            self._writing_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What the parser refuses and the guard let through."""
        self._refuse("malformed_head")

    def _send_whole(self, cycle: RequestResponseCycle, status: int, headers: bytes, body: bytes) -> bool:
        """An answer in one write, its header lines checked by whoever made them. False when it cannot be written now."""
        if cycle.flow.write_paused or cycle.response_started or cycle.disconnected:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        default = b"".join(b"%s: %s\r\n" % pair for pair in cycle.default_headers)
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        length = b"content-length: %d\r\n\r\n" % len(body)
        self.transport.write(b"".join((STATUS_LINE[status], default, headers, close, length, body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def _register(self, callback: Callable[[], object]) -> None:
        self._hang_up = callback

    def _watch(self, *, was_in_head: bool, was_in_body: bool) -> None:
        """Start, keep or stop the timer for what is owed now."""
        if self._guard.is_in_body:
            if not was_in_body:
                self._body_bytes = 0
                self._set_timer(self.settings.body_timeout_s, self._body_late)
        elif self._guard.is_in_head:
            if not was_in_head:
                self._set_timer(self.settings.header_timeout_s, self._head_late)
        else:
            self._set_timer(0, None)

    def _head_late(self) -> None:
        self._refuse("head_timeout", is_silent=not self._guard.is_in_head)

    def _body_late(self) -> None:
        is_held_by_us = self.flow.read_paused
        if is_held_by_us or self._body_bytes >= _MIN_BODY_BYTES:
            self._body_bytes = 0
            self._set_timer(self.settings.body_timeout_s, self._body_late)
            return
        self._refuse("body_timeout")

    def _set_timer(self, delay_s: float, callback: Callable[[], None] | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(delay_s, callback) if callback is not None else None

    def _refuse(self, code: str, *, is_silent: bool = False) -> None:
        """Answer with an error and end the connection; an answer under way is ended first."""
        if self._is_refused:
            return
        self._is_refused = True
        self._set_timer(0, None)
        current = self._answering
        if current is not None and current.response_complete:
            current = None
        if current is not None and (current.response_started or not current.more_body):
            current.keep_alive = False  # its answer goes out, then the connection ends
            self.pipeline.clear()
            return
        if not is_silent and not self.transport.is_closing():
            self.transport.write(_refusal(InvalidInput(code)))
        self.transport.close()
        if current is not None:
            current.disconnected = True
            current.message_event.set()


def _refusal(error: HanlinError) -> bytes:
    request_id = secrets.token_hex(8)
    body = error_body(error, request_id, "en")
    allow = b"allow: %s\r\n" % ALLOW if error.code == "method_unknown" else b""
    lengths = b"content-length: %d\r\nx-request-id: %s\r\n\r\n" % (len(body), request_id.encode())
    return STATUS_LINE[http_status(error)] + _CLOSE_HEADERS + allow + lengths + body


class _Lingering:
    """A transport whose `close` lets the peer read the answer: with input unread, a plain close would reset the connection.

    It half-closes, drops what still comes for a while, then closes.
    """

    def __init__(self, transport: asyncio.Transport, protocol: GuardedProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._dropped = 0
        self.is_lingering = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self.is_lingering or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self.is_lingering:
            self._transport.write(data)

    def close(self) -> None:
        guard = self._protocol._guard
        if self.is_lingering or self._transport.is_closing():
            return
        is_owed = guard.is_in_body or guard.is_in_head or self._protocol._is_refused
        if not is_owed or not self._transport.can_write_eof():
            self._transport.close()
            return
        self.is_lingering = True
        try:
            self._transport.write_eof()
            self._transport.resume_reading()
        except (OSError, RuntimeError):  # the peer has closed it meanwhile
            self._transport.close()
            return
        self._protocol.loop.call_later(_LINGER_S, self._transport.close)

    def discard(self, size_bytes: int) -> None:
        self._dropped += size_bytes
        if self._dropped > _LINGER_BYTES:
            self._transport.abort()
