"""Answers to Anthropic's messages, whole and as events. Source: its references of `/v1/messages` and of streaming messages."""

from __future__ import annotations

from collections.abc import Sequence
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
from hanlin.gateway.tool_calls import Said, ToolText, split, told_of
from hanlin.serving.wire import Part
from hanlin.types import JsonObject, JsonValue

_TYPES = {
    "InvalidInput": "invalid_request_error", "Unauthenticated": "authentication_error", "PermissionDenied": "permission_error",
    "NotFound": "not_found_error", "QuotaExceeded": "rate_limit_error", "Overloaded": "rate_limit_error", "NotReady": "overloaded_error",
    "DeadlineExceeded": "timeout_error",
}  # fmt: skip

_USED: JsonObject = {"stop_reason": "tool_use", "stop_sequence": None}


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
    """What a call said of its answer: the model as it was named, what was ignored, whether calls of tools are looked for."""

    model: str
    ignored: tuple[str, ...] = ()
    tools: Sequence[JsonValue] = ()
    id: str = field(default_factory=lambda: f"msg_{uuid4().hex}")

    def write(self, outcome: Outcome) -> Framed:
        """See `door.Write`."""
        row = rows_of(outcome)[0]
        said = split(str(row["generated_text"]), told_of(row), self.tools) if self.tools else Said(str(row["generated_text"]), [])
        content: list[JsonValue] = [{"type": "text", "text": said.text}] if said.text or not said.calls else []
        end = _end_of(row) | (_USED if said.calls else {})
        told = self.message(
            [*content, *(_use(call) for call in said.calls)], end, read=outcome.tokens, written=cast("int", row["num_tokens"])
        )
        return framed(told, self.ignored)

    def message(self, content: list[JsonValue], end: JsonObject, *, read: int, written: int) -> JsonObject:
        """The whole of an answer."""
        told: JsonObject = {"id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": content}
        return told | end | {"usage": _usage(read, written)}


class ReplyStream:
    """See `door.Stream`. How many tokens were read is known when the answer ends, and told there.

    Where tools may be called, the block of text begins with its first word: there may be none.
    """

    def __init__(self, reply: Reply) -> None:
        self.headers: Lines = told_ignored(reply.ignored)
        self._reply = reply
        self._end: JsonObject = {"stop_reason": None, "stop_sequence": None}
        self._tools = ToolText(reply.tools) if reply.tools else None
        self._calls: list[JsonValue] = []
        self._written = 0
        self._has_text = False

    def begin(self) -> bytes:
        """See `door.Stream.begin`."""
        message = self._reply.message([], self._end, read=0, written=0)
        told = event({"type": "message_start", "message": message}, "message_start")
        return told if self._tools is not None else told + self._text()

    def _text(self) -> bytes:
        """The beginning of the block of text, once."""
        if self._has_text:
            return b""
        self._has_text = True
        block: JsonObject = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        return event(block, "content_block_start")

    def part(self, part: Part) -> bytes:
        """See `door.Stream.part`."""
        piece = piece_of(part)
        if "finish_reason" in piece:
            self._end, self._written = _end_of(piece), cast("int", piece["num_tokens"])
        text = str(piece["text"])
        if self._tools is not None:
            text = self._tools.push(text, told_of(piece))
            if "finish_reason" in piece:
                rest, self._calls = self._tools.end()
                text += rest
        if not text:
            return b""
        delta: JsonObject = {"type": "text_delta", "text": text}
        return self._text() + event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")

    def end(self, outcome: Outcome) -> bytes:
        """See `door.Stream.end`."""
        end = self._end | (_USED if self._calls else {})
        told: JsonObject = {"type": "message_delta", "delta": end, "usage": _usage(outcome.tokens, self._written)}
        begun = self._text() if not self._calls else b""
        text = [begun, event({"type": "content_block_stop", "index": 0}, "content_block_stop")] if self._has_text else []
        calls = [_called(place, call) for place, call in enumerate(self._calls, int(self._has_text))]
        return b"".join([*text, *calls, event(told, "message_delta"), event({"type": "message_stop"}, "message_stop")])

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        """See `door.Stream.fail`."""
        return raw_event(message_error(error, request_id, language), "error")


def _use(call: JsonValue) -> JsonObject:
    """A call as a block."""
    made = cast("JsonObject", call)
    function = cast("JsonObject", made["function"])
    name = str(made["id"]).replace("call_", "toolu_")
    return {"type": "tool_use", "id": name, "name": function["name"], "input": msgspec.json.decode(str(function["arguments"]))}


def _called(place: int, call: JsonValue) -> bytes:
    """The events of a call, whose input comes in one piece."""
    block = _use(call)
    delta: JsonObject = {"type": "input_json_delta", "partial_json": msgspec.json.encode(block["input"]).decode()}
    return (
        event({"type": "content_block_start", "index": place, "content_block": block | {"input": {}}}, "content_block_start")
        + event({"type": "content_block_delta", "index": place, "delta": delta}, "content_block_delta")
        + event({"type": "content_block_stop", "index": place}, "content_block_stop")
    )  # fmt: skip


def _usage(read: int, written: int) -> JsonObject:
    return {"input_tokens": read, "output_tokens": written}


def _end_of(row: JsonObject) -> JsonObject:
    """Why a row or a piece ended."""
    if row["finish_reason"] == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    stop = row.get("stop_sequence")
    return {"stop_reason": "end_turn" if stop is None else "stop_sequence", "stop_sequence": stop}
