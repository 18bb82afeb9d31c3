"""The protocol over a real socket, with an app that answers in pieces: callers of HTTP/1.0, and callers who end their side."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from hanlin.gateway.http_protocol import strict_protocol
from hanlin.settings import Settings

Run = Callable[[Coroutine[None, None, None]], None]
HEAD = b"GET /parts HTTP/1.%d\r\nHost: x\r\n\r\n"
runs = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


class App:
    """Waits to be let on, then tells three pieces, with the length that the path names; `/short` names too little."""

    def __init__(self) -> None:
        self.asked, self.may_answer, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        scope["hanlin.on_disconnect"](self.gone.set)
        self.asked.set()
        await self.may_answer.wait()
        told = {"/whole": b"6", "/short": b"3"}.get(scope["path"])
        length = [(b"content-length", told)] if told else []
        start = {"type": "http.response.start", "status": 200}
        await send(start if scope["path"] == "/bare" else start | {"headers": [(b"x-own", b"1"), *length]})
        for piece in (b"one", b"", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    @asynccontextmanager
    async def caller(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to a server of its own."""
        config = uvicorn.Config(self, log_config=None, access_log=False, lifespan="off")  # type: ignore[arg-type]
        make, state = strict_protocol(Settings()), ServerState()
        server = await asyncio.get_running_loop().create_server(lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            server.close()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.read()


@runs
def test_callers_of_http_1_0_get_no_chunks_and_the_end_of_the_connection(run: Run) -> None:
    """Bug: what an answer said of its own length was not held to any more."""
    whole, short = b"x-own: 1\r\ncontent-length: 6\r\n", b"x-own: 1\r\ncontent-length: 3\r\n"
    answers = {b"parts": (b"x-own: 1\r\n", b"onetwo"), b"bare": (b"", b"onetwo"), b"whole": (whole, b"onetwo"), b"short": (short, b"one")}

    async def main() -> None:
        for path, (lines, body) in answers.items():
            async with App().caller() as (reader, writer):
                writer.write((HEAD % 0).replace(b"parts", path))
                assert await all_of(reader) == b"HTTP/1.1 200 OK\r\n%sconnection: close\r\n\r\n%s" % (lines, body)
        async with App().caller() as (reader, writer):
            writer.write((HEAD % 0).replace(b"GET", b"HEAD"))
            assert await all_of(reader) == b"HTTP/1.1 200 OK\r\nx-own: 1\r\nconnection: close\r\n\r\n"
        async with App().caller() as (reader, writer):
            writer.write(HEAD % 1)
            assert b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n" in await reader.readuntil(b"0\r\n\r\n")

    run(main())


@runs
def test_callers_who_end_their_side_get_their_answers(run: Run) -> None:
    """Bug: `shutdown(SHUT_WR)` behind a request was taken for a hang-up."""

    async def main() -> None:
        app = App()
        app.may_answer.clear()
        async with app.caller() as (reader, writer), asyncio.timeout(5):
            writer.write(HEAD % 1)
            writer.write_eof()
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await asyncio.sleep(0.25)  # he is looked after meanwhile, more than once
            assert not app.gone.is_set()
            app.may_answer.set()
            assert (await all_of(reader)).endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        async with App().caller() as (reader, writer):
            writer.write((HEAD % 1).replace(b"/parts", b"/whole") * 3)
            writer.write_eof()
            assert (await all_of(reader)).count(b"\r\n\r\nonetwo") == 3
        async with App().caller() as (reader, writer):  # nothing is owed
            writer.write_eof()
            assert await all_of(reader) == b""
        async with App().caller() as (reader, writer):  # half a request
            writer.write((HEAD % 1)[:-2])
            writer.write_eof()
            assert await all_of(reader) == b""

    run(main())


@runs
@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("linger_s", [None, 0])
def test_callers_who_leave_are_noticed(run: Run, minor: int, linger_s: int | None) -> None:
    """With FIN and with RST; also those who have ended their side before, and have read that they are waited for.

    Bug: these were sent nothing more, and only what reaches a closed socket is answered with a reset.
    """

    async def main() -> None:
        for is_half_closed in (False, True)[: minor + 1]:
            app = App()
            app.may_answer.clear()
            async with app.caller() as (reader, writer):
                writer.write(HEAD % minor)
                await app.asked.wait()
                if is_half_closed:
                    writer.write_eof()
                    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                if linger_s is not None:
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, linger_s))
                writer.close()
                async with asyncio.timeout(2.5 if is_half_closed else 1):
                    await app.gone.wait()
                app.may_answer.set()

    run(main())
