"""Callers who notice everything: each request has an id and a text of its own, and whatever comes back on its connection is looked at.

One connection, one request at a time. An answer that comes twice stands on the connection where the next one is expected, so it is read and
told by its id; one that belongs to another request is told by its id or, where it was mixed up further in, by what it says.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

WORDS = 300  # that the model knows: `w0` to `w299`
KINDS = 101  # the fake engine's answer depends on the sum of a text's ids, modulo this
FIRST_ID = 2  # of `w0`
TIMEOUT_S = 60.0
BROKEN = (OSError, EOFError, TimeoutError, ValueError, LookupError, asyncio.LimitOverrunError)  # a connection, or what is read from it


def text_of(number: int) -> str:
    """A text of three words for each number; those of a hundred numbers in a row have different answers."""
    return " ".join(f"w{number // WORDS**place % WORDS}" for place in (2, 1, 0))


def kind_of(text: str) -> int:
    """Texts of one kind have the same answer."""
    return sum(int(word[1:]) + FIRST_ID for word in text.split()) % KINDS


@dataclass
class Ledger:
    """What was asked and what came back. An answer that nobody waits for, or waits for no more, is wrong, and so is what it should not say.

    Args:
        truth: version to kind to the body of the right answer.
    """

    truth: Mapping[str, Mapping[int, bytes]]
    seen: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    open: dict[str, str] = field(default_factory=dict)  # id to text
    done: set[str] = field(default_factory=set)

    def ask(self, request: str, text: str) -> None:
        """A request goes out."""
        self.open[request] = text

    def answer(self, request: str, status: int, version: str, body: bytes) -> None:
        """An answer came that says to be of `request`."""
        if request in self.done:
            return self._count("wrong", "an answer came twice")
        if (text := self.open.pop(request, None)) is None:
            return self._count("wrong", "an answer that nobody asked for")
        self.done.add(request)
        if status != 200:
            return self._count("failed", f"{status} {body[:120].decode(errors='replace')}")
        if self.truth.get(version, {}).get(kind_of(text)) != body:
            return self._count("wrong", "the answer of another text or version")
        return self._count("answered")

    def lose(self, request: str, problem: str, *, is_allowed: bool) -> None:
        """Its connection broke before the answer."""
        self.open.pop(request, None)
        self._count("broken" if is_allowed else "failed", problem)

    def _count(self, what: str, problem: str = "") -> None:
        self.seen[what] += 1
        if problem:
            self.problems[problem] += 1


class Caller:
    """Asks for one endpoint over a connection that is kept alive, anew after a loss.

    Args:
        may_break: whether a request that began then (`time.perf_counter`) may be lost.
    """

    def __init__(self, ledger: Ledger, port: int, path: str, key: str, *, may_break: Callable[[float], bool]) -> None:
        self._ledger, self._port, self._may_break = ledger, port, may_break
        self._head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: str, text: str) -> bool:
        """Whether it was answered, or refused; what else came before is counted."""
        ledger, began_s = self._ledger, time.perf_counter()
        ledger.ask(request, text)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader = await self._send(request, text)
                while request in ledger.open:
                    await self._read(reader)
        except BROKEN as error:
            self._hang_up()
            ledger.lose(request, type(error).__name__, is_allowed=self._may_break(began_s))
            return False
        return True

    async def close(self) -> None:
        """Read what is left: once we have said that nothing more is asked, the server ends the connection."""
        if self._streams is not None:
            reader, writer = self._streams
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    writer.write_eof()
                    while True:
                        await self._read(reader)
            except BROKEN:
                self._hang_up()

    async def _send(self, request: str, text: str) -> asyncio.StreamReader:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        body = json.dumps({"inputs": text})
        writer.write(f"{self._head}x-request-id: {request}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        return reader

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(fields["content-length"]))
        version = fields.get("x-hanlin-model", "").partition(" ")[0]
        self._ledger.answer(fields.get("x-request-id", ""), int(head[0].split()[1]), version, body)
        if fields.get("connection", "").lower() == "close":
            self._hang_up()

    def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
