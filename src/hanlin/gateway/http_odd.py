"""Callers whom the server library leaves out: of HTTP/1.0, who know no chunks, and those who end their side behind a request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
_LOOK_S = 0.1
_INTERIM_LOOKS = 10  # from one interim answer to the next


def is_old(cycle: RequestResponseCycle) -> bool:
    """Whether the caller speaks HTTP/1.0."""
    return cycle.scope["http_version"] == "1.0"


def unchunked(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """`app` for a caller of HTTP/1.0: an answer whose length is not known ends with the connection, never in chunks.

    Source: RFC 9112, 6.1 (no Transfer-Encoding to who did not say HTTP/1.1) and 6.3, case 8.
    """

    async def plain(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        is_length_told = True

        async def send_plain(message: ASGISendEvent) -> None:
            nonlocal is_length_told
            if message["type"] == "http.response.start":
                is_length_told = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
                if not is_length_told:
                    cycle.chunked_encoding = False
            elif message["type"] == "http.response.body" and not is_length_told:
                cycle.expected_content_length = len(message.get("body", b""))  # uvicorn counts what is left: this piece
            await send(message)

        await app(scope, receive, send_plain)

    return plain


class HalfClosed:
    """A caller who has ended his side while his answer is owed: still there, or gone? Both begin with the same packet (FIN).

    He is sent interim answers, one a second, which every client of HTTP/1.1 passes over (RFC 9110, 15.2). The system of one who is gone
    answers the next of them with a reset; then the connection is ended here, too, as it is when anybody hangs up.

    Args:
        is_told: whether his answer has begun: what belongs to it finds out the same, and no interim answer may stand in it.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, is_told: Callable[[], bool]) -> None:
        self._transport = transport
        self._loop = loop
        self._is_told = is_told
        self._looks = 0
        transport.write(_INTERIM)
        self._timer = loop.call_later(_LOOK_S, self._look)

    def end(self) -> None:
        """The connection is over."""
        self._timer.cancel()

    def _look(self) -> None:
        """The loop reads nothing any more from who has ended his side, and hears of no reset."""
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is None or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._transport.abort()
            return
        self._looks += 1
        if self._looks % _INTERIM_LOOKS == 0 and not (self._is_told() or self._transport.is_closing()):
            self._transport.write(_INTERIM)
        self._timer = self._loop.call_later(_LOOK_S, self._look)
