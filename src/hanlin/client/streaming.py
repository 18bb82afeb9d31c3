"""Streams of server-sent events, across broken connections: a job's story today, and any other stream of this server by the same rules.

A stream ends with an event `end`, with the data `[DONE]`, or with its connection's orderly end. What was cut off is asked for again behind
the last id, where asking does no harm; a stream that a POST began is never begun twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

from hanlin.client import replies
from hanlin.client.building import JSON, encoded
from hanlin.client.flows import STREAM_IDLE_S, Policy, step_of
from hanlin.client.sse import EventParser, Message
from hanlin.client.steps import Broken, Call, Emit, Flow, Reply, Sleep, read, send
from hanlin.errors import HanlinError, Internal, InvalidInput, NotReady, from_wire
from hanlin.types import shorten

Ending = Literal["end", "closed", "cut"]


def stream_once(call: Call[None], policy: Policy, *, deadline_s: float, on_message: Callable[[Message], object | None]) -> Flow[Ending]:
    """Emit what `on_message` makes of each message of one connection, None left out. Returns how the connection ended.

    Raises:
        HanlinError: a refusal, or an error inside the stream, that trying again would not mend.
    """
    idle_s = min(STREAM_IDLE_S, max(0.001, deadline_s - policy.clock()))
    outcome = yield from send(step_of(call, policy, policy.timeout_s, idle_s=idle_s))
    if not isinstance(outcome, Reply) or outcome.status != 200:
        error = replies.error_of(outcome, url=policy.url)
        if error.is_retryable or isinstance(outcome, Broken):
            return "cut"
        raise error
    parser = EventParser()
    while policy.clock() < deadline_s:
        chunk = yield from read()
        if isinstance(chunk, Broken) or not chunk:
            return "cut" if isinstance(chunk, Broken) else "closed"
        for message in parser.feed(chunk):
            if message.event == "end" or message.data == "[DONE]":
                return "end"
            if message.event == "error":
                error = error_in(message)
                if error.is_retryable:  # this gateway ends before the stream does: another one goes on
                    return "cut"
                raise error
            event = on_message(message)
            if event is not None:
                yield Emit(event)
    return "cut"


def error_in(message: Message) -> HanlinError:
    """The error that an event tells of."""
    try:
        data = json.loads(message.data)
    except ValueError:
        return Internal("unexpected_answer", status=200)
    wire = data.get("error", data) if isinstance(data, dict) else None
    if not isinstance(wire, dict) or not isinstance(wire.get("code"), str):
        return Internal("unexpected_answer", status=200)
    return from_wire({name: value for name, value in wire.items() if value is None or isinstance(value, str | int | float | bool)})


def listen(path: str, policy: Policy, *, body: object = None, after: str = "") -> Flow[None]:
    """Emit all messages of the stream at `path`, from the one behind id `after` on; a POST where there is a body.

    Raises:
        InvalidInput: `invalid_stream_path`.
        NotReady: `connection_cut` when a POST's stream breaks, or the server is away for longer than `policy.patience_s`.
    """
    last_id, attempt, last_seen_s = after, 0, policy.clock()

    def seen(message: Message) -> Message:
        nonlocal last_id, attempt, last_seen_s
        last_id, attempt, last_seen_s = message.id or last_id, 0, policy.clock()
        return message

    while True:
        ending = yield from stream_once(_call(path, body, last_id), policy, deadline_s=float("inf"), on_message=seen)
        if ending != "cut":
            return
        if body is not None or policy.clock() - last_seen_s > policy.patience_s:
            raise NotReady("connection_cut")
        yield Sleep(policy.pause_s(attempt, NotReady("connection_cut")))
        attempt = min(attempt + 1, 5)


def _call(path: str, body: object, last_id: str) -> Call[None]:
    is_plain = path.startswith("/") and not path.startswith("//") and path.isascii() and path.isprintable() and " " not in path
    if not is_plain:
        raise InvalidInput("invalid_stream_path", path=shorten(path))
    headers = {"accept": "text/event-stream", "cache-control": "no-store"} | ({"last-event-id": last_id} if last_id else {})
    if body is None:
        return Call("GET", path, replies.nothing, headers=headers)
    return Call("POST", path, replies.nothing, headers=headers | JSON, content=encoded(body), is_idempotent=False)
