"""One kept-alive HTTP connection that sends ready-made requests: a tenth of the cost of a full client, so the generator is not the limit.

Knows just enough of HTTP/1.1 for answers that say their length, which the server's always do. One request at a time.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

_MAX_HEAD_BYTES = 64 * 1024
_CODE = re.compile(rb'"code": ?"([a-z0-9_]{1,80})"')
_CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the endpoint answers."""

    host: str
    port: int
    path: str
    is_tls: bool
    key: str

    @classmethod
    def of(cls, url: str, endpoint: str, key: str) -> Target:
        """From the server's address."""
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if is_tls else 80), f"{parts.path.rstrip('/')}/models/{endpoint}", is_tls, key)

    def request(self, body: bytes, timeout_s: float) -> bytes:
        """A whole request."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\nx-timeout-s: {timeout_s:g}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status 0 where there was none (connection lost, out of time). `head` holds the raw header lines."""

    status: int
    head: bytes
    done_s: float
    body: bytes = b""  # of refusals and failures; of good answers where it was asked for

    @property
    def code(self) -> str:
        """The error's code; the status where the body has none; empty where there was no answer."""
        found = _CODE.search(self.body)
        return found[1].decode() if found else str(self.status) if self.status else ""

    def header(self, name: bytes) -> bytes:
        """The value of a header, `name` in lower case; empty when it is missing."""
        for line in self.head.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.strip().lower() == name:
                return value.strip()
        return b""


class Connection(asyncio.Protocol):
    """It opens itself with the first request, and anew after a loss.

    Args:
        keeps_bodies: of good answers too.
    """

    def __init__(self, target: Target, *, keeps_bodies: bool = False) -> None:
        self._target = target
        self._keeps_bodies = keeps_bodies
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: asyncio.Future[Reply] | None = None

    async def exchange(self, request: bytes, timeout_s: float) -> Reply:
        """Send and wait for the whole answer; never raises but for cancellation."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                if self._transport is None or self._transport.is_closing():
                    await self._connect()
                self._waiting = loop.create_future()
                assert self._transport is not None
                self._transport.write(request)
                return await self._waiting
        except (OSError, TimeoutError):
            self.close()
            return Reply(0, b"", time.perf_counter())
        finally:
            self._waiting = None

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def _connect(self) -> None:
        self._buffer.clear()
        context = ssl.create_default_context() if self._target.is_tls else None
        connecting = asyncio.get_running_loop().create_connection(lambda: self, self._target.host, self._target.port, ssl=context)
        await asyncio.wait_for(connecting, _CONNECT_TIMEOUT_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment]  # the base class is what the protocol says

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                self._lose()
            return
        head = bytes(self._buffer[:end])
        reply = Reply(int(head[9:12]) if head[9:12].isdigit() else 0, head, time.perf_counter())
        length = reply.header(b"content-length")
        if not length.isdigit():
            self._lose()
        elif len(self._buffer) - end - 4 >= int(length):
            if reply.status != 200 or self._keeps_bodies:
                reply = replace(reply, body=bytes(self._buffer[end + 4 :]))
            self._buffer.clear()
            if reply.header(b"connection").lower() == b"close":
                self.close()
            self._settle(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        self._settle(Reply(0, b"", time.perf_counter()))

    def _lose(self) -> None:
        self.close()
        self._settle(Reply(0, b"", time.perf_counter()))

    def _settle(self, reply: Reply) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(reply)
