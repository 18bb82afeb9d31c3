"""Answers to OpenAI's responses, whole and as events. Source: its references of `/v1/responses` and of streaming responses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

import msgspec

from hanlin.errors import HanlinError
from hanlin.gateway.continued_rows import chances, details_of, piece_of, rows_of
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Framed
from hanlin.gateway.events import event
from hanlin.gateway.generation_fields import Lines, framed, told_ignored
from hanlin.gateway.responses import error_body
from hanlin.gateway.tool_calls import Said, ToolText, split, told_of
from hanlin.serving.wire import Part
from hanlin.types import JsonObject, JsonValue

_STATUSES = {"length": "incomplete", "stop": "completed"}


@dataclass(slots=True)
class Answer:
    """What a call said of its answer, and the answer once it is there.

    Args:
        echo: fields of the call that the answer repeats.
        tools: whose calls are looked for in what is written.
        is_stored: whether others may go on from it.
        ignored: fields that changed nothing.
    """

    model: str
    echo: JsonObject
    has_chances: bool = False
    tools: Sequence[JsonValue] = ()
    is_stored: bool = False
    ignored: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: f"resp_{uuid4().hex}")
    item_id: str = field(default_factory=lambda: f"msg_{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    _told: JsonObject | None = None

    def write(self, outcome: Outcome) -> Framed:
        """See `door.Write`."""
        return framed(self.told(outcome), self.ignored)

    def write_count(self, outcome: Outcome) -> Framed:
        """See `door.Write`: how many tokens were read; nothing was written."""
        return framed({"object": "response.input_tokens", "input_tokens": outcome.tokens}, self.ignored)

    def told(self, outcome: Outcome) -> JsonObject:
        """The whole object, made once."""
        if self._told is None:
            row = rows_of(outcome)[0]
            text, status = str(row["generated_text"]), _STATUSES[str(row["finish_reason"])]
            said = split(text, told_of(row), self.tools) if self.tools else Said(text, [])
            output = self.output(status, said, chances(details_of(row)) if self.has_chances else [])
            written = cast("int", row["num_tokens"])
            self._told = self.response(status, output, read=outcome.tokens, cached=outcome.cached, written=written)
        return self._told

    def output(self, status: str, said: Said, told: list[JsonValue]) -> list[JsonValue]:
        """The items of an answer: what is said, then what is called. `told`: chances of its tokens."""
        message = [self.item(status, [self.content(said.text, told)])] if said.text or not said.calls else []
        return [*message, *(call_item(call) for call in said.calls)]

    def response(self, status: str, output: list[JsonValue], *, read: int | None = None, cached: int = 0, written: int = 0) -> JsonObject:
        """The whole object. `read`: tokens; None: not known yet. `cached`: those of them that were known."""
        usage: JsonValue = None
        if read is not None:
            usage = {
                "input_tokens": read, "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0}, "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": read + written,
            }  # fmt: skip
        return {
            "id": self.id, "object": "response", "created_at": self.created, "status": status, "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None, "model": self.model,
            "output": output, **self.echo, "store": self.is_stored, "usage": usage,
        }  # fmt: skip

    def item(self, status: str, content: list[JsonValue]) -> JsonObject:
        """The message of the output."""
        return {"id": self.item_id, "type": "message", "role": "assistant", "status": status, "content": content}

    @staticmethod
    def content(text: JsonValue, told: list[JsonValue]) -> JsonObject:
        """What the message says."""
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": told}


def call_item(call: JsonValue) -> JsonObject:
    """A call of a tool as an item."""
    made = cast("JsonObject", call)
    function = cast("JsonObject", made["function"])
    name = str(made["id"])
    return {
        "id": name.replace("call_", "fc_"), "type": "function_call", "status": "completed", "call_id": name, "name": function["name"],
        "arguments": function["arguments"],
    }  # fmt: skip


class AnswerStream:
    """See `door.Stream`. Where tools may be called, a message begins with its first word: there may be none."""

    def __init__(self, answer: Answer) -> None:
        self.headers: Lines = told_ignored(answer.ignored)
        self._answer = answer
        self._number = 0
        self._tools = ToolText(answer.tools) if answer.tools else None
        self._texts: list[str] = []
        self._calls: list[JsonValue] = []
        self._chances: list[JsonValue] = []
        self._status = "completed"
        self._written = 0
        self._has_message = False
        self._told: JsonObject | None = None
        self._place: JsonObject = {"item_id": answer.item_id, "output_index": 0, "content_index": 0}

    def begin(self) -> bytes:
        """See `door.Stream.begin`."""
        begun = self._answer.response("in_progress", [])
        told = self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)
        return told if self._tools is not None else told + self._message()

    def part(self, part: Part) -> bytes:
        """See `door.Stream.part`."""
        piece = piece_of(part)
        text, is_last = str(piece["text"]), "finish_reason" in piece
        if is_last:
            self._status, self._written = _STATUSES[str(piece["finish_reason"])], cast("int", piece["num_tokens"])
        if self._tools is not None:
            text = self._tools.push(text, told_of(piece))
            if is_last:
                rest, self._calls = self._tools.end()
                text += rest
        told = chances(piece) if self._answer.has_chances else []
        self._chances += told
        self._texts.append(text)
        if not text and not told:
            return b""
        return self._message() + self._event("response.output_text.delta", **self._place, delta=text, logprobs=told)

    def told(self, outcome: Outcome) -> JsonObject:
        """The whole object, once all parts are there."""
        if self._told is None:
            output = self._answer.output(self._status, Said("".join(self._texts), self._calls), self._chances)
            self._told = self._answer.response(self._status, output, read=outcome.tokens, cached=outcome.cached, written=self._written)
        return self._told

    def end(self, outcome: Outcome) -> bytes:
        """See `door.Stream.end`."""
        told = self.told(outcome)
        output = cast("list[JsonObject]", told["output"])
        return b"".join([
            *(self._end_of(place, item) for place, item in enumerate(output)), self._event(f"response.{self._status}", response=told)
        ])  # fmt: skip

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        """See `door.Stream.fail`."""
        told: JsonObject = msgspec.json.decode(error_body(error, request_id, language))["error"]
        return self._event("error", code=told["code"], message=told["message"], param=None, error=told)

    def _message(self) -> bytes:
        """The beginning of the message, once."""
        if self._has_message:
            return b""
        self._has_message = True
        return self._event("response.output_item.added", output_index=0, item=self._answer.item("in_progress", [])) + self._event(
            "response.content_part.added", **self._place, part=Answer.content("", [])
        )

    def _end_of(self, place: int, item: JsonObject) -> bytes:
        """The last events of an item; all of a call's, whose arguments come in one piece."""
        if item["type"] == "message":
            content = cast("list[JsonObject]", item["content"])[0]
            return b"".join([
                self._message(),
                self._event("response.output_text.done", **self._place, text=content["text"], logprobs=self._chances),
                self._event("response.content_part.done", **self._place, part=content), self._done(place, item),
            ])  # fmt: skip
        where: JsonObject = {"item_id": item["id"], "output_index": place}
        arguments, name = item["arguments"], item["name"]
        return b"".join([
            self._event("response.output_item.added", output_index=place, item=item | {"status": "in_progress", "arguments": ""}),
            self._event("response.function_call_arguments.delta", **where, delta=arguments),
            self._event("response.function_call_arguments.done", **where, name=name, arguments=arguments), self._done(place, item),
        ])  # fmt: skip

    def _done(self, place: int, item: JsonObject) -> bytes:
        return self._event("response.output_item.done", output_index=place, item=item)

    def _event(self, kind: str, **fields: JsonValue) -> bytes:
        self._number += 1
        return event({"type": kind, "sequence_number": self._number - 1, **fields}, kind)
