"""`POST /models/{endpoint}` in the Hugging Face shape, and `GET` of what an endpoint is. The hot path: plain ASGI, no framework."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope

from hanlin.errors import Cancelled, InvalidInput
from hanlin.gateway import strict_json
from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.gateway.example import with_own_labels
from hanlin.gateway.responses import header_text
from hanlin.types import MAX_TIMEOUT_S, JsonObject

SendWhole = Callable[[int, list[tuple[bytes, bytes]], bytes], Awaitable[None]]

PREFIX = "/models/"
_FIELDS = ("inputs", "parameters")


class Inference:
    """The two inference routes. Raises HanlinError; the edge turns it into an answer."""

    def __init__(self, dataplane: Dataplane) -> None:
        self._dataplane = dataplane

    async def predict(self, scope: Scope, receive: Receive, send_whole: SendWhole, headers: dict[bytes, bytes], endpoint: str) -> None:
        """Answer a call."""
        begun_s = time.perf_counter()
        principal = self._dataplane.authenticate(header_text(headers.get(b"authorization")))
        self._dataplane.find(principal, endpoint)
        timeout_s = self._timeout_s(headers)
        _check_headers(headers)
        body = await read_body(receive, headers, self._dataplane.settings.max_body_bytes)
        value = strict_json.parse_object(body, allowed=_FIELDS, required=("inputs",))
        parameters = value.get("parameters")
        if parameters is None:
            parameters = {}
        if not isinstance(parameters, dict):
            raise InvalidInput("parameters_not_an_object")
        state = scope["state"]
        parsed_s = time.perf_counter()
        call = self._dataplane.predict(
            principal,
            endpoint,
            value["inputs"],
            parameters,
            timeout_s=timeout_s,
            language=state["language"],
            request_id=state["request_id"],
        )
        outcome = await until_gone(call, scope, receive)
        await _send_outcome(send_whole, outcome, begun_s=begun_s, parsed_s=parsed_s)

    def describe(self, headers: dict[bytes, bytes], endpoint: str) -> Response:
        """What the endpoint serves."""
        principal = self._dataplane.authenticate(header_text(headers.get(b"authorization")))
        route = self._dataplane.find(principal, endpoint)
        answer: JsonObject = {"endpoint": endpoint, "model": route.model, "version": route.version, "variant": route.variant}
        answer |= {"state": route.state, "long_text": route.long_text, "cache_ttl_s": route.cache_ttl_s}
        if route.info is not None:
            answer |= {"task": route.info.task, "labels": list(route.info.labels), "languages": list(route.info.languages)}
            if route.info.dimensions:
                answer["dimensions"] = route.info.dimensions
            answer["limits"] = {
                "max_length": route.info.max_length, "max_items": route.info.max_items, "max_text_bytes": route.info.max_text_bytes,
                "max_body_bytes": self._dataplane.settings.max_body_bytes,
            }  # fmt: skip
            answer["protections"] = list(route.info.protections)
            answer["example"] = with_own_labels(msgspec.json.decode(route.info.example), route.info.labels)
        return Response(msgspec.json.encode(answer), media_type="application/json")

    def _timeout_s(self, headers: dict[bytes, bytes]) -> float:
        """The caller's deadline (`X-Timeout-S`), or the default. Raises InvalidInput (`invalid_timeout`)."""
        text = headers.get(b"x-timeout-s")
        if text is None:
            return self._dataplane.settings.request_timeout_s
        try:
            value = float(text) if len(text) <= 16 and text.replace(b".", b"", 1).isdigit() else 0.0
        except ValueError:
            value = 0.0
        if not 0 < value <= MAX_TIMEOUT_S:
            raise InvalidInput("invalid_timeout", limit=int(MAX_TIMEOUT_S))
        return value


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


async def until_gone(call: Awaitable[Outcome], scope: Scope, receive: Receive) -> Outcome:
    """The outcome of `call`, cancelled as soon as the caller hangs up. Raises Cancelled (`client_gone`)."""
    register: Callable[[Callable[[], object]], None] | None = scope.get("hanlin.on_disconnect")
    if register is not None:  # our own server tells: no second task a request
        task = asyncio.current_task()
        assert task is not None
        register(task.cancel)
        try:
            return await call
        finally:
            register(_nothing)
    work = asyncio.ensure_future(call)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Cancelled("client_gone")
        return work.result()
    finally:
        gone.cancel()
        work.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_outcome(send_whole: SendWhole, outcome: Outcome, *, begun_s: float, parsed_s: float) -> None:
    timing = (
        f"parse;dur={(parsed_s - begun_s) * 1000:.3f}, queue;dur={outcome.queue_ms}, encode;dur={outcome.encode_ms}, "
        f"engine;dur={outcome.engine_ms}, decode;dur={outcome.decode_ms}, write;dur={outcome.write_ms}, "
        f"total;dur={(time.perf_counter() - begun_s) * 1000:.3f}"
    )
    headers = [
        (b"content-type", b"application/json"),
        (b"server-timing", timing.encode()),
        (b"x-hanlin-model", f"{outcome.version} {outcome.variant}".encode()),
    ]
    if outcome.cache:
        headers.append((b"x-hanlin-cache", outcome.cache.encode()))
    if outcome.truncated:
        headers.append((b"x-hanlin-truncated", ",".join(map(str, outcome.truncated)).encode()))
    if outcome.windows:
        headers.append((b"x-hanlin-windows", ",".join(f"{index}={count}" for index, count in outcome.windows).encode()))
    await send_whole(200, headers, outcome.body)


def _check_headers(headers: dict[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", b"").lower()
    media, _, rest = kind.partition(b";")
    if media.strip() != b"application/json" or (b"charset" in rest and b"utf-8" not in rest):
        raise InvalidInput("wrong_content_type")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise InvalidInput("content_encoding_not_taken")


def _nothing() -> None:
    """Stands where no task is to be cancelled."""
