"""Calls of a batch job to its server: through the gateway like everybody's, with the job's own key, again and again until it answers."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field

from hanlin.bench.connection import Connection, Reply, Target
from hanlin.errors import HanlinError, Internal, NotReady, from_wire
from hanlin.pipelines.batch_pace import Turns

CALL_S = 120.0  # for an answer: a batch waits while others are served
_MARGIN_S = 10.0
_MAX_PAUSE_S = 8.0
_FAILURES = 3  # of one call at the server, before it counts as the call's own fault
_MOST_FAILED = 20  # calls in a row that failed so: nothing is gained by asking a million times
_LATER = frozenset({0, 429, 499, 503, 504, 507})  # not now; what is asked is not at fault


@dataclass(frozen=True, slots=True)
class Answered:
    """What the server said at last. `body` is JSON text; `error` is what it holds where the status is not 200."""

    status: int
    body: bytes
    request_id: str = ""
    error: HanlinError | None = None


@dataclass(slots=True)
class Caller:
    """Asks over kept connections.

    Args:
        language: of the server's words, `en` or `zh`.
    """

    url: str
    key: str
    pace: Turns
    language: str = "en"
    _failed: int = 0
    _idle: list[Connection] = field(default_factory=list)

    async def ask(self, path: str, body: bytes) -> Answered:
        """The answer to a POST of JSON. Waits out refusals, restarts and deadlines for as long as it is not cancelled.

        Raises:
            HanlinError: the server's failure, when it fails call after call.
        """
        request = self._request(path, body)
        attempt = failures = 0
        while True:
            began_s = time.monotonic()
            async with self.pace.turn():
                reply = await self._exchange(request)
            if reply.status == 200:
                self.pace.taken()
                self._failed = 0
                return Answered(200, reply.body, reply.header(b"x-request-id").decode("latin-1"))
            error = _error(reply)
            if reply.status in _LATER:
                self.pace.refused(began_s)
            else:
                failures += reply.status >= 500
                if reply.status < 500 or failures >= _FAILURES:
                    self._failed += reply.status >= 500
                    if self._failed > _MOST_FAILED:
                        raise error
                    return Answered(reply.status, reply.body, reply.header(b"x-request-id").decode("latin-1"), error)
            await asyncio.sleep(_pause_s(attempt, error))
            attempt += 1

    def close(self) -> None:
        """Hang up."""
        for connection in self._idle:
            connection.close()

    async def _exchange(self, request: bytes) -> Reply:
        connection = self._idle.pop() if self._idle else Connection(Target.of(self.url, "", self.key), keeps_bodies=True)
        try:
            reply = await connection.exchange(request, CALL_S + _MARGIN_S)
        except asyncio.CancelledError:
            connection.close()
            raise
        self._idle.append(connection)
        return reply

    def _request(self, path: str, body: bytes) -> bytes:
        target = Target.of(self.url, "", self.key)
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {target.host}:{target.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"accept-language: {self.language}\r\ncontent-type: application/json\r\nx-timeout-s: {CALL_S:g}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def _error(reply: Reply) -> HanlinError:
    if reply.status == 0:
        return NotReady("server_not_running")
    try:
        return from_wire(json.loads(reply.body)["error"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return Internal("internal", details=f"status {reply.status}")


def _pause_s(attempt: int, error: HanlinError) -> float:
    """Doubling from 0.05 s, half to full by chance; never less than the server asks for."""
    pause_s = min(_MAX_PAUSE_S, 0.05 * 2.0 ** min(attempt, 10)) * (0.5 + random.random() / 2)  # noqa: S311 - spreads retries, no secret
    return max(pause_s, error.retry_after_s or 0.0)
