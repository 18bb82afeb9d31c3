"""Answers to OpenAI's responses, whole and as events. Source: its references of `/v1/responses` and of streaming responses."""

from __future__ import annotations

import time
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
from hanlin.serving.wire import Part
from hanlin.types import JsonObject, JsonValue

_STATUSES = {"length": "incomplete", "stop": "completed"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call said of its answer.

    Args:
        echo: fields of the call that the answer repeats.
        ignored: fields that changed nothing.
    """

    model: str
    echo: JsonObject
    has_chances: bool = False
    ignored: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: f"resp_{uuid4().hex}")
    item_id: str = field(default_factory=lambda: f"msg_{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def write(self, outcome: Outcome) -> Framed:
        """See `door.Write`."""
        row = rows_of(outcome)[0]
        status = _STATUSES[str(row["finish_reason"])]
        item = self.item(status, [self.content(row["generated_text"], chances(details_of(row)) if self.has_chances else [])])
        told = self.response(status, [item], read=outcome.tokens, cached=outcome.cached, written=cast("int", row["num_tokens"]))
        return framed(told, self.ignored)

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
            "output": output,
            "parallel_tool_calls": False, "previous_response_id": None, "store": False, "tool_choice": "none", "tools": [],
            **self.echo, "usage": usage,
        }  # fmt: skip

    def item(self, status: str, content: list[JsonValue]) -> JsonObject:
        """The one message of the output."""
        return {"id": self.item_id, "type": "message", "role": "assistant", "status": status, "content": content}

    @staticmethod
    def content(text: JsonValue, told: list[JsonValue]) -> JsonObject:
        """What the message says."""
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": told}


class AnswerStream:
    """See `door.Stream`."""

    def __init__(self, answer: Answer) -> None:
        self.headers: Lines = told_ignored(answer.ignored)
        self._answer = answer
        self._number = 0
        self._texts: list[str] = []
        self._chances: list[JsonValue] = []
        self._status = "completed"
        self._written = 0
        self._place: JsonObject = {"item_id": answer.item_id, "output_index": 0, "content_index": 0}

    def begin(self) -> bytes:
        """See `door.Stream.begin`."""
        begun = self._answer.response("in_progress", [])
        return b"".join([
            self._event("response.created", response=begun), self._event("response.in_progress", response=begun),
            self._event("response.output_item.added", output_index=0, item=self._answer.item("in_progress", [])),
            self._event("response.content_part.added", **self._place, part=Answer.content("", [])),
        ])  # fmt: skip

    def part(self, part: Part) -> bytes:
        """See `door.Stream.part`."""
        piece = piece_of(part)
        if "finish_reason" in piece:
            self._status, self._written = _STATUSES[str(piece["finish_reason"])], cast("int", piece["num_tokens"])
        told = chances(piece) if self._answer.has_chances else []
        self._chances += told
        self._texts.append(str(piece["text"]))
        if not piece["text"] and not told:
            return b""
        return self._event("response.output_text.delta", **self._place, delta=piece["text"], logprobs=told)

    def end(self, outcome: Outcome) -> bytes:
        """See `door.Stream.end`."""
        text = "".join(self._texts)
        content = Answer.content(text, self._chances)
        item = self._answer.item(self._status, [content])
        told = self._answer.response(self._status, [item], read=outcome.tokens, cached=outcome.cached, written=self._written)
        return b"".join([
            self._event("response.output_text.done", **self._place, text=text, logprobs=self._chances),
            self._event("response.content_part.done", **self._place, part=content),
            self._event("response.output_item.done", output_index=0, item=item),
            self._event(f"response.{self._status}", response=told),
        ])  # fmt: skip

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        """See `door.Stream.fail`."""
        told: JsonObject = msgspec.json.decode(error_body(error, request_id, language))["error"]
        return self._event("error", code=told["code"], message=told["message"], param=None, error=told)

    def _event(self, kind: str, **fields: JsonValue) -> bytes:
        self._number += 1
        return event({"type": kind, "sequence_number": self._number - 1, **fields}, kind)
