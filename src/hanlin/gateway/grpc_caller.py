"""Who calls over gRPC, the one message of a call, and how a call ends in an error: what HTTP has in headers, bodies and statuses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc

from hanlin.errors import HanlinError, InvalidInput
from hanlin.gateway.responses import language_of, request_id_of
from hanlin.gateway.status import grpc_code
from hanlin.gateway.trace import trace_of
from hanlin.types import MAX_TIMEOUT_S, Principal

_TRACE = ("traceparent", "tracestate")
_MAX_TRAILER_CHARACTERS = 1000


@dataclass(slots=True)
class Caller:
    """Who calls, and how: what HTTP has in headers."""

    authorization: str | None
    language: str
    request_id: str
    trace_id: str
    timeout_s: float | None
    trailers: list[tuple[str, str]]
    principal: Principal | None = None


def caller_of(context: Any) -> Caller:
    """From the call's metadata."""
    sent = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
    left_s = context.time_remaining()
    request_id = request_id_of(sent.get("x-request-id"))
    lines = [(name.encode(), sent[name].encode()) for name in _TRACE if name in sent]
    trace = trace_of(dict(lines), lines)
    return Caller(
        sent.get("authorization"), language_of(sent.get("accept-language")), request_id, trace.trace_id,
        None if left_s is None else min(max(left_s, 0.001), MAX_TIMEOUT_S),
        [("x-request-id", request_id), ("traceresponse", trace.header.decode())],
    )  # fmt: skip


async def message_of(context: Any, timeout_s: float) -> bytes:
    """The call's message. Raises InvalidInput (`body_timeout`; `malformed_message` where the call has none)."""
    try:
        async with asyncio.timeout(timeout_s):
            raw = await context.read()
    except TimeoutError:
        raise InvalidInput("body_timeout") from None
    if not isinstance(raw, bytes):  # the end of the stream
        raise InvalidInput("malformed_message", name="message")
    return raw


async def abort(context: Any, error: HanlinError, caller: Caller) -> bytes:
    """Ends the call: the message as its details, the code and what belongs to it as trailing metadata."""
    wire = error.to_wire(caller.language)
    trailers = [*caller.trailers, ("x-hanlin-code", error.code)]
    if error.retry_after_s is not None:
        trailers.append(("retry-after", f"{error.retry_after_s:g}"))
    if "index" in wire:
        trailers.append(("x-hanlin-index", str(wire["index"])))
    text = f"{wire['message']}: {wire['next']}" if wire.get("next") else str(wire["message"])
    await context.abort(grpc.StatusCode[grpc_code(error)], text[:_MAX_TRAILER_CHARACTERS], tuple(trailers))
    raise AssertionError("abort raises")
