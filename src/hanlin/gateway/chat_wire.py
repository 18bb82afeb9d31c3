"""Answers to OpenAI's chat completions, whole and in chunks. Source: its reference of `/v1/chat/completions`, `chat.completion.chunk`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

from hanlin.errors import HanlinError
from hanlin.gateway.continued_rows import chances, details_of, piece_of, rows_of, usage_of, written_of
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Framed
from hanlin.gateway.events import DONE, event, raw_event
from hanlin.gateway.generation_fields import Lines, framed, told_ignored
from hanlin.gateway.responses import error_body
from hanlin.gateway.tool_calls import Said, ToolText, split, told_of
from hanlin.serving.wire import Part
from hanlin.types import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Chat:
    """What a call said of its answer.

    Args:
        model: as it was named.
        count: answers.
        has_usage: whether a stream tells tokens at its end.
        tools: whose calls are looked for in what is written.
        ignored: fields that changed nothing.
    """

    model: str
    count: int = 1
    tools: Sequence[JsonValue] = ()
    has_chances: bool = False
    has_usage: bool = False
    ignored: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def write(self, outcome: Outcome) -> Framed:
        """See `door.Write`."""
        rows = rows_of(outcome)
        choices: list[JsonValue] = [self._choice(place, row) for place, row in enumerate(rows)]
        told = {**self.head("chat.completion"), "choices": choices, "usage": usage_of(outcome.tokens // self.count, written_of(rows))}
        return framed(told, self.ignored)

    def head(self, kind: str) -> JsonObject:
        """What every answer and every chunk begins with."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _choice(self, place: int, row: JsonObject) -> JsonObject:
        said = split(str(row["generated_text"]), told_of(row), self.tools) if self.tools else Said(str(row["generated_text"]), [])
        message: JsonObject = {"role": "assistant", "content": said.text or None if said.calls else said.text, "refusal": None}
        message |= {"tool_calls": said.calls} if said.calls else {}
        finish: JsonValue = "tool_calls" if said.calls else row["finish_reason"]
        return {"index": place, "message": message, "logprobs": self.chances(details_of(row)), "finish_reason": finish}

    def chances(self, told: JsonObject) -> JsonObject | None:
        """Of the tokens of a row or a piece, where they were asked for."""
        return {"content": chances(told), "refusal": None} if self.has_chances else None


class ChatStream:
    """See `door.Stream`."""

    def __init__(self, chat: Chat) -> None:
        self.headers: Lines = told_ignored(chat.ignored)
        self._chat = chat
        self._written = 0
        self._texts = [ToolText(chat.tools) if chat.tools else None for _ in range(chat.count)]

    def begin(self) -> bytes:
        """See `door.Stream.begin`: who speaks."""
        return b"".join(self._chunk(place, {"role": "assistant", "content": ""}) for place in range(self._chat.count))

    def part(self, part: Part) -> bytes:
        """See `door.Stream.part`."""
        piece = piece_of(part)
        tools = self._texts[part.row]
        text, finish = str(piece["text"]), piece.get("finish_reason")
        calls: list[JsonValue] = []
        if tools is not None:
            text = tools.push(text, told_of(piece))
            if finish is not None:
                rest, calls = tools.end()
                text += rest
        found = b""
        if text or piece.get("tokens"):
            found = self._chunk(part.row, {"content": text}, self._chat.chances(piece))
        if calls:
            told: list[JsonValue] = [{"index": place, **cast("JsonObject", call)} for place, call in enumerate(calls)]
            found += self._chunk(part.row, {"tool_calls": told})
        if finish is not None:
            self._written += cast("int", piece["num_tokens"])
            found += self._chunk(part.row, {}, finish="tool_calls" if calls else finish)
        return found

    def end(self, outcome: Outcome) -> bytes:
        """See `door.Stream.end`."""
        if not self._chat.has_usage:
            return DONE
        usage = usage_of(outcome.tokens // self._chat.count, self._written)
        return event({**self._chat.head("chat.completion.chunk"), "choices": [], "usage": usage}) + DONE

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        """See `door.Stream.fail`."""
        return raw_event(error_body(error, request_id, language))

    def _chunk(self, place: int, delta: JsonObject, chances: JsonValue = None, finish: JsonValue = None) -> bytes:
        choice: JsonObject = {"index": place, "delta": delta, "logprobs": chances, "finish_reason": finish}
        told: JsonObject = {**self._chat.head("chat.completion.chunk"), "choices": [choice]}
        return event(told | ({"usage": None} if self._chat.has_usage else {}))
