"""Answers to Anthropic's messages, whole and as events. Source: its references of `/v1/messages` and of streaming messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

import msgspec

from hanlin.errors import HanlinError
from hanlin.gateway.continued_rows import piece_of, rows_of
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Framed
from hanlin.gateway.events import event, raw_event
from hanlin.gateway.generation_fields import Lines, framed, told_ignored
from hanlin.gateway.responses import error_body
from hanlin.gateway.status import http_status
from hanlin.serving.wire import Part
from hanlin.types import JsonObject, JsonValue

_TYPES = {
    "InvalidInput": "invalid_request_error", "Unauthenticated": "authentication_error", "PermissionDenied": "permission_error",
    "NotFound": "not_found_error", "QuotaExceeded": "rate_limit_error", "Overloaded": "rate_limit_error", "NotReady": "overloaded_error",
    "DeadlineExceeded": "timeout_error",
}  # fmt: skip


def message_error(error: HanlinError, request_id: str, language: str) -> bytes:
    """See `responses.ErrorBody`: an error as Anthropic's clients read it."""
    told: JsonObject = msgspec.json.decode(error_body(error, request_id, language))["error"]
    kind = "request_too_large" if http_status(error) == 413 else _TYPES.get(error.family, "api_error")
    return msgspec.json.encode({"type": "error", "error": {**told, "type": kind}, "request_id": request_id})


def write_count(outcome: Outcome) -> bytes:
    """See `door.Write`: tokens of a talk."""
    return msgspec.json.encode({"input_tokens": outcome.tokens})


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call said of its answer: the model as it was named, and what was ignored."""

    model: str
    ignored: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: f"msg_{uuid4().hex}")

    def write(self, outcome: Outcome) -> Framed:
        """See `door.Write`."""
        row = rows_of(outcome)[0]
        content: list[JsonValue] = [{"type": "text", "text": row["generated_text"]}]
        told = self.message(content, _end_of(row), read=outcome.tokens, written=cast("int", row["num_tokens"]))
        return framed(told, self.ignored)

    def message(self, content: list[JsonValue], end: JsonObject, *, read: int, written: int) -> JsonObject:
        """The whole of an answer."""
        told: JsonObject = {"id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": content}
        return told | end | {"usage": _usage(read, written)}


class ReplyStream:
    """See `door.Stream`. How many tokens were read is known when the answer ends, and told there."""

    def __init__(self, reply: Reply) -> None:
        self.headers: Lines = told_ignored(reply.ignored)
        self._reply = reply
        self._end: JsonObject = {"stop_reason": None, "stop_sequence": None}
        self._written = 0

    def begin(self) -> bytes:
        """See `door.Stream.begin`."""
        message = self._reply.message([], self._end, read=0, written=0)
        block: JsonObject = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        return event({"type": "message_start", "message": message}, "message_start") + event(block, "content_block_start")

    def part(self, part: Part) -> bytes:
        """See `door.Stream.part`."""
        piece = piece_of(part)
        if "finish_reason" in piece:
            self._end, self._written = _end_of(piece), cast("int", piece["num_tokens"])
        if not piece["text"]:
            return b""
        delta: JsonObject = {"type": "text_delta", "text": piece["text"]}
        return event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")

    def end(self, outcome: Outcome) -> bytes:
        """See `door.Stream.end`."""
        told: JsonObject = {"type": "message_delta", "delta": self._end, "usage": _usage(outcome.tokens, self._written)}
        return (
            event({"type": "content_block_stop", "index": 0}, "content_block_stop")
            + event(told, "message_delta") + event({"type": "message_stop"}, "message_stop")
        )  # fmt: skip

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        """See `door.Stream.fail`."""
        return raw_event(message_error(error, request_id, language), "error")


def _usage(read: int, written: int) -> JsonObject:
    return {"input_tokens": read, "output_tokens": written}


def _end_of(row: JsonObject) -> JsonObject:
    """Why a row or a piece ended."""
    if row["finish_reason"] == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    stop = row.get("stop_sequence")
    return {"stop_reason": "end_turn" if stop is None else "stop_sequence", "stop_sequence": stop}
