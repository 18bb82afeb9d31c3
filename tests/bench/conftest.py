"""A server of a few lines that answers as it is told, for the load generator to be measured by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

TIMING = "parse;dur=0.1, queue;dur=0.2, encode;dur=0.3, engine;dur=2, decode;dur=0.05, write;dur=0.05, total;dur=3"


@dataclass
class Server:
    """Answers request `number` after `delay_s(number)` with `status(number)`; 0 cuts the connection."""

    delay_s: Callable[[int], float] = lambda number: 0.0
    status: Callable[[int], int] = lambda number: 200
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                number = len(self.requests)
                await asyncio.sleep(self.delay_s(number))
                if not (status := self.status(number)):
                    break
                body = b'[{"label": "a", "score": 1.0}]'
                writer.write(f"HTTP/1.1 {status} X\r\nServer-Timing: {TIMING}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    listening = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = listening.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        listening.close()
