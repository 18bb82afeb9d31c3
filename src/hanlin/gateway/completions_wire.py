"""Answers to OpenAI's completions, whole and in chunks. Source: its reference of `/v1/completions`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

from hanlin.errors import HanlinError
from hanlin.gateway.continued_rows import details_of, log_of, piece_of, rows_of, usage_of, written_of
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Framed
from hanlin.gateway.events import DONE, event, raw_event
from hanlin.gateway.generation_fields import Lines, framed, told_ignored
from hanlin.gateway.responses import error_body
from hanlin.serving.wire import Part
from hanlin.types import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Completion:
    """What a call said of its answer.

    Args:
        model: as it was named.
        count: answers to each prompt.
        echo: of each prompt, what stands before its answers in a stream; a whole answer has it already.
        has_usage: whether a stream tells tokens at its end.
        ignored: fields that changed nothing.
    """

    model: str
    count: int = 1
    echo: tuple[str, ...] = ()
    has_chances: bool = False
    has_usage: bool = False
    ignored: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: f"cmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def write(self, outcome: Outcome) -> Framed:
        """See `door.Write`."""
        rows = rows_of(outcome)
        choices: list[JsonValue] = [
            self.choice(place, row["generated_text"], details_of(row), row["finish_reason"]) for place, row in enumerate(rows)
        ]
        told = {**self.head(), "choices": choices, "usage": usage_of(outcome.tokens // self.count, written_of(rows))}
        return framed(told, self.ignored)

    def head(self) -> JsonObject:
        """What every answer and every chunk begins with."""
        return {"id": self.id, "object": "text_completion", "created": self.created, "model": self.model}

    def choice(self, place: int, text: JsonValue, told: JsonObject, finish: JsonValue, *, offset: int = 0) -> JsonObject:
        """One answer, or a piece of it that begins behind `offset` characters."""
        chances = _chances(told, offset) if self.has_chances else None
        return {"index": place, "text": text, "logprobs": chances, "finish_reason": finish}


class CompletionStream:
    """See `door.Stream`."""

    def __init__(self, call: Completion) -> None:
        self.headers: Lines = told_ignored(call.ignored)
        self._call = call
        self._written = 0
        self._offsets: dict[int, int] = {}  # characters that are told, by row

    def begin(self) -> bytes:
        """See `door.Stream.begin`: the prompts, where they are echoed."""
        echoes = [text for text in self._call.echo for _ in range(self._call.count)]
        return b"".join(self._chunk(self._call.choice(place, text, {}, None)) for place, text in enumerate(echoes))

    def part(self, part: Part) -> bytes:
        """See `door.Stream.part`."""
        piece = piece_of(part)
        finish = piece.get("finish_reason")
        if finish is not None:
            self._written += cast("int", piece["num_tokens"])
        offset = self._offsets.get(part.row, 0)
        tokens = cast("list[JsonObject]", piece.get("tokens") or [])
        self._offsets[part.row] = offset + sum(len(str(token["text"])) for token in tokens)
        return self._chunk(self._call.choice(part.row, piece["text"], piece, finish, offset=offset))

    def end(self, outcome: Outcome) -> bytes:
        """See `door.Stream.end`."""
        if not self._call.has_usage:
            return DONE
        return event({**self._call.head(), "choices": [], "usage": usage_of(outcome.tokens // self._call.count, self._written)}) + DONE

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        """See `door.Stream.fail`."""
        return raw_event(error_body(error, request_id, language))

    def _chunk(self, choice: JsonObject) -> bytes:
        return event({**self._call.head(), "choices": [choice], **({"usage": None} if self._call.has_usage else {})})


def _chances(told: JsonObject, offset: int) -> JsonObject:
    tokens = cast("list[JsonObject]", told.get("tokens") or [])
    tops = cast("list[list[JsonObject]]", told.get("top_tokens") or [])
    offsets: list[JsonValue] = []
    for token in tokens:
        offsets.append(offset)
        offset += len(str(token["text"]))
    return {
        "tokens": [token["text"] for token in tokens], "token_logprobs": [log_of(token) for token in tokens],
        "top_logprobs": [{str(each["text"]): log_of(each) for each in top} for top in tops] or None, "text_offset": offsets,
    }  # fmt: skip
