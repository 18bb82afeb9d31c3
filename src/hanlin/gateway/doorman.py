"""What every door has in common: who asks, for what, how long, the body within its bounds, the answer with its times. The hot path.

Plain ASGI, no framework. Knows no protocol: `door.py` says what one is. Raises HanlinError; the edge turns it into an answer.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hanlin.errors import Cancelled, InvalidInput
from hanlin.gateway.cors import Headers
from hanlin.gateway.dataplane import Dataplane, Outcome, check_version
from hanlin.gateway.door import Ask, Door, Framed
from hanlin.gateway.doors import Doors, Found, configured
from hanlin.gateway.hang_up import until_gone
from hanlin.gateway.query import check_query
from hanlin.gateway.rate_limits import rate_limit_headers
from hanlin.gateway.responses import header_text
from hanlin.gateway.streaming import CUT, Running, Streams, told_cut
from hanlin.serving.wire import CallOperation, Part
from hanlin.types import MAX_TIMEOUT_S, Principal, serves

_JSON = [(b"content-type", b"application/json")]
SendWhole = Callable[[int, list[tuple[bytes, bytes]], bytes], Awaitable[None]]


class Doorman:
    """Leads callers from any door to the dataplane.

    Attributes:
        doors: where there is one.
        streams: answers that are told in parts.
    """

    def __init__(self, dataplane: Dataplane, doors: Doors | None = None, *, streams: Streams | None = None) -> None:
        self._dataplane = dataplane
        self.streams = streams or Streams(dataplane.settings)
        self.doors = doors or Doors(configured(dataplane.settings))

    async def call(
        self, found: Found, scope: Scope, receive: Receive, send_whole: SendWhole, *, headers: dict[bytes, bytes], send: Send
    ) -> None:  # fmt: skip
        """Answer a call: `send_whole` takes a whole answer, `send` one in parts."""
        door, name = found.door, found.endpoint
        begun_s = time.perf_counter()
        dataplane = self._dataplane
        principal = dataplane.authenticate(_key_of(door, headers))
        if door.is_named:  # before the body is taken
            check_version(dataplane.find(principal, name), found.version)
        timeout_s = self._timeout_s(headers)  # checked before the body is taken
        _check_headers(headers, door.manner.kinds)
        ask = _read(door, await read_body(receive, headers, dataplane.settings.max_body_bytes), name, headers)
        if not ask.endpoint:
            ask = msgspec.structs.replace(ask, endpoint=dataplane.default_endpoint(principal, ask.task))
        if ask.task or ask.check is not None:
            self._check_task(principal, ask)
        if ask.memory is not None:
            ask = await ask.memory.recall(dataplane, principal, ask)
        state = scope["state"]
        parsed_s = time.perf_counter()
        call = partial(
            self._predict,
            principal,
            ask,
            timeout_s=timeout_s or self._default_timeout_s(ask),
            language=state["language"],
            request_id=state["request_id"],
            operation=ask.operation,
            trace_id=state["trace"].trace_id,
        )
        more = partial(self._limits, principal, ask.endpoint)
        if ask.stream is not None:
            running = Running(ask.stream, send, more, state["request_id"], state["language"])
            await until_gone(self.streams.run(running, call), scope, receive)
            return
        outcome = await until_gone(call(None), scope, receive)
        body = outcome.body if ask.write is None else ask.write(outcome)
        await _send_outcome(send_whole, outcome, body, more(), begun_s=begun_s, parsed_s=parsed_s)

    async def _predict(
        self, principal: Principal, ask: Ask, on_part: Callable[[Part], None] | None, *, timeout_s: float, language: str, request_id: str,
        operation: CallOperation, trace_id: str,
    ) -> Outcome:  # fmt: skip
        outcome = await self._dataplane.predict(
            principal, ask.endpoint, ask.inputs, ask.parameters, timeout_s=timeout_s, language=language, request_id=request_id,
            operation=operation, trace_id=trace_id, on_part=on_part,
        )  # fmt: skip
        if ask.task and not serves(outcome.task, ask.task):  # it was asleep when asked, or serves something else since
            raise _other_task(outcome.task, ask.task)
        if ask.memory is not None:
            await ask.memory.keep(self._dataplane, principal, outcome)
        return outcome

    def _limits(self, principal: Principal, endpoint: str) -> Headers:
        return rate_limit_headers(self._dataplane.limits(principal, endpoint))

    def _default_timeout_s(self, ask: Ask) -> float:
        settings = self._dataplane.settings
        return settings.request_timeout_s if ask.stream is None else settings.stream_timeout_s

    def check_query(self, found: Found, query: bytes, headers: dict[bytes, bytes]) -> None:
        """Raises InvalidInput for what the door does not take, to those who may ask; what is told anyone, health above all, takes any."""
        if found.door.tell is None:
            self._dataplane.authenticate(_key_of(found.door, headers))
            check_query(query, found.door.query)

    async def show(self, found: Found, headers: dict[bytes, bytes]) -> Response:
        """What the door tells without a call."""
        if (tell := found.door.tell) is not None:
            return tell(self._dataplane)
        principal = self._authorize(found, headers)
        assert found.door.show is not None
        name = found.endpoint or (self._dataplane.default_endpoint(principal) if found.door.is_default else "")
        shown = found.door.show(self._dataplane, principal, name)
        return shown if isinstance(shown, Response) else await shown

    async def act(self, found: Found, receive: Receive, headers: dict[bytes, bytes]) -> Response:
        """What the door does where it is no call of a model."""
        principal = self._authorize(found, headers)
        body = await read_body(receive, headers, self._dataplane.settings.max_body_bytes)
        assert found.door.act is not None
        return await found.door.act(self._dataplane, principal, found.endpoint, body)

    def _authorize(self, found: Found, headers: dict[bytes, bytes]) -> Principal:
        """Who asks. Raises Unauthenticated; NotFound where the address names what is not there."""
        principal = self._dataplane.authenticate(_key_of(found.door, headers))
        if found.version:
            check_version(self._dataplane.find(principal, found.endpoint), found.version)
        return principal

    def _check_task(self, principal: Principal, ask: Ask) -> None:
        """Raises NotFound, or InvalidInput (`endpoint_has_other_task`, or the door's own) when it is known already."""
        info = self._dataplane.find(principal, ask.endpoint).info
        if info is None:
            return
        if ask.task and not serves(info.task, ask.task):
            raise _other_task(info.task, ask.task)
        if ask.check is not None:
            ask.check(info.task)

    def _timeout_s(self, headers: dict[bytes, bytes]) -> float | None:
        """The caller's deadline (`X-Timeout-S`); None: the default is due. Raises InvalidInput (`invalid_timeout`)."""
        text = headers.get(b"x-timeout-s")
        if text is None:
            return None
        try:
            value = float(text) if len(text) <= 32 and text.replace(b".", b"", 1).isdigit() else 0.0
        except ValueError:
            value = 0.0
        if not 0 < value <= MAX_TIMEOUT_S:
            raise InvalidInput("invalid_timeout", limit=int(MAX_TIMEOUT_S))
        return value


def _key_of(door: Door, headers: dict[bytes, bytes]) -> str | None:
    """What says who asks, in the form of `authorization`."""
    said = header_text(headers.get(b"authorization"))
    own = header_text(headers.get(door.manner.key)) if said is None and door.manner.key else None
    return said if own is None else f"Bearer {own}"


def _read(door: Door, body: bytes, name: str, headers: dict[bytes, bytes]) -> Ask:
    if door.read_framed is not None:
        return door.read_framed(body, name, headers)
    assert door.read is not None
    return door.read(body, name)


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """The whole body, never more than `limit` bytes. A declared length beyond it is refused unread.

    Raises:
        InvalidInput: `body_too_large`.
        Cancelled: the caller went away.
    """
    declared = headers.get(b"content-length")
    if declared is not None and int(declared) > limit:
        raise InvalidInput("body_too_large", limit=limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Cancelled("client_gone")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise InvalidInput("body_too_large", limit=limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _send_outcome(
    send_whole: SendWhole, outcome: Outcome, body: bytes | Framed, more: Headers, *, begun_s: float, parsed_s: float
) -> None:  # fmt: skip
    timing = (
        f"parse;dur={(parsed_s - begun_s) * 1000:.3f}, queue;dur={outcome.queue_ms}, encode;dur={outcome.encode_ms}, "
        f"engine;dur={outcome.engine_ms}, decode;dur={outcome.decode_ms}, write;dur={outcome.write_ms}, "
        f"total;dur={(time.perf_counter() - begun_s) * 1000:.3f}"
    )
    body, kind = (body.body, body.headers) if isinstance(body, Framed) else (body, _JSON)
    headers = [*kind, (b"server-timing", timing.encode()), (b"x-hanlin-model", f"{outcome.version} {outcome.variant}".encode()), *more]
    if outcome.cache:
        headers.append((b"x-hanlin-cache", outcome.cache.encode()))
    if outcome.truncated:
        headers.append((CUT, told_cut(outcome.truncated)))
    if outcome.windows:
        headers.append((b"x-hanlin-windows", ",".join(f"{index}={count}" for index, count in outcome.windows).encode()))
    await send_whole(200, headers, body)


def _check_headers(headers: dict[bytes, bytes], kinds: frozenset[bytes]) -> None:
    kind = headers.get(b"content-type", b"").lower()
    media, _, rest = kind.partition(b";")
    if media.strip() not in kinds or (b"charset" in rest and b"utf-8" not in rest):
        raise InvalidInput("wrong_content_type")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise InvalidInput("content_encoding_not_taken")


def _other_task(task: str, needed: str) -> InvalidInput:
    return InvalidInput("endpoint_has_other_task", task=task, needed=needed)
