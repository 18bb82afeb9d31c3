"""What the gateways of one home tell each other: an endpoint is gone, an input is poison, and how much each has counted.

Each listens at a private unix socket and writes place and token into the run folder, as workers do by their routes; a question is one
JSON line, so is the answer. A gateway that does not answer is left out: one that starts anew reads the routes, and counts from nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from hanlin.storage.durable import write_atomically

_log = logging.getLogger("hanlin.gateway")
_TIMEOUT_S = 1.0
_MAX_LINE_BYTES = 8 * 2**20


class Withdraw(msgspec.Struct, frozen=True, tag=True):
    """Endpoint `key` is gone; routes that name these deployments are stale."""

    key: str
    deployment_ids: tuple[str, ...]


class Poison(msgspec.Struct, frozen=True, tag=True):
    """An input has killed workers in which it ran alone: it is refused by its mark."""

    mark: bytes


class Count(msgspec.Struct, frozen=True, tag=True):
    """Asks for what was counted."""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One number of a metric."""

    name: str
    labels: dict[str, str]
    value: float


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """One metric as one gateway has it."""

    name: str
    words: str
    kind: str
    samples: tuple[Sample, ...]


Question = Withdraw | Poison | Count


class _Asked(msgspec.Struct, frozen=True):
    token: str
    question: Question


class _Place(msgspec.Struct, frozen=True):
    socket: str
    token: str


_asked = msgspec.json.Decoder(_Asked)
_place = msgspec.json.Decoder(_Place)
_counted = msgspec.json.Decoder(tuple[Counted, ...])


class Peers:
    """This gateway among the others. Belongs to one event loop; the callbacks run there.

    Args:
        run_dir: the home's run folder, private to the user.
        index: which gateway this is, from 0.
        gateways: how many there are.
    """

    def __init__(self, run_dir: Path, *, index: int, gateways: int) -> None:
        self.index = index
        self.on_withdraw: Callable[[Withdraw], None] = lambda _question: None
        self.on_poison: Callable[[Poison], None] = lambda _question: None
        self.on_count: Callable[[], tuple[Counted, ...]] = tuple
        self._run_dir = run_dir
        self._gateways = gateways
        self._token = secrets.token_urlsafe(24)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, and say where. A lone gateway has nobody to speak to."""
        if self._gateways == 1:
            return
        try:
            await self._listen()
        except OSError as error:  # a full disk: this one is told of endpoints gone by the routes, and counts for itself
            _log.warning("other gateways cannot speak to this one", exc_info=error)

    async def _listen(self) -> None:
        self._run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for stale in self._run_dir.glob(f"g{self.index}-*.sock"):  # of one that was killed
            stale.unlink(missing_ok=True)
        path = self._run_dir / f"g{self.index}-{secrets.token_hex(4)}.sock"
        old_mask = os.umask(0o177)  # the socket is born 0600
        try:
            self._server = await asyncio.start_unix_server(self._answer, path, limit=_MAX_LINE_BYTES)
        finally:
            os.umask(old_mask)
        write_atomically(self._file(self.index), msgspec.json.encode(_Place(str(path), self._token)), mode=0o600)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._file(self.index).unlink(missing_ok=True)
            self._server.close()

    async def withdraw(self, key: str, deployment_ids: tuple[str, ...]) -> None:
        """Returns when every other gateway that answers has forgotten the endpoint."""
        await self._ask_all(Withdraw(key, deployment_ids))

    async def poison(self, mark: bytes) -> None:
        """Returns when every other gateway that answers refuses the input, too."""
        await self._ask_all(Poison(mark))

    async def counted(self) -> dict[int, tuple[Counted, ...]]:
        """What each other gateway that answers has counted."""
        answers = await self._ask_all(Count())
        return {index: _counted.decode(line) for index, line in answers.items()}

    async def _ask_all(self, question: Question) -> dict[int, bytes]:
        others = [index for index in range(self._gateways) if index != self.index]
        found = await asyncio.gather(*(self._ask(index, question) for index in others))
        return {index: line for index, line in zip(others, found, strict=True) if line}

    async def _ask(self, index: int, question: Question) -> bytes:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                place = _place.decode(self._file(index).read_bytes())
                reader, writer = await asyncio.open_unix_connection(place.socket, limit=_MAX_LINE_BYTES)
                with contextlib.closing(writer):
                    writer.write(msgspec.json.encode(_Asked(place.token, question)) + b"\n")
                    return await reader.readline()
        except (OSError, TimeoutError, ValueError, msgspec.MsgspecError):
            return b""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, TimeoutError, ValueError, msgspec.MsgspecError):
            async with asyncio.timeout(_TIMEOUT_S):
                asked = _asked.decode(await reader.readline())
                if not hmac.compare_digest(asked.token, self._token):
                    return
                writer.write(msgspec.json.encode(self._reply(asked.question)) + b"\n")
                await writer.drain()

    def _reply(self, question: Question) -> tuple[Counted, ...]:
        if isinstance(question, Count):
            return self.on_count()
        if isinstance(question, Poison):
            self.on_poison(question)
        else:
            self.on_withdraw(question)
        return ()

    def _file(self, index: int) -> Path:
        return self._run_dir / f"gateway-{index}.json"
