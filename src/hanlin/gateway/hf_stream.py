"""Streams of Hugging Face's text generation. Source: text-generation-inference's `/generate_stream`, read by `huggingface_hub`."""

from __future__ import annotations

from typing import cast

import msgspec

from hanlin.errors import HanlinError, InvalidInput
from hanlin.gateway.continued_rows import piece_of
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Ask
from hanlin.gateway.events import event, raw_event
from hanlin.gateway.generation_fields import TASK, Lines
from hanlin.gateway.responses import flat_error_body
from hanlin.serving.wire import Part
from hanlin.types import JsonObject, JsonValue

_FINISHES = {"length": "length", "stop": "eos_token"}


def streamed(endpoint: str, inputs: JsonValue, parameters: JsonObject) -> Ask:
    """A call whose answer is told in parts. Raises InvalidInput (`invalid_parameter`) for one of several answers."""
    is_talk = isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], dict) and "role" in inputs[0]
    if isinstance(inputs, list) and not is_talk:
        raise InvalidInput("invalid_parameter", name="stream", expected="false where inputs is a list", found="true")
    for name, only in (("num_return_sequences", 1), ("return_full_text", False), ("score", False), ("likeliest", 0)):
        if parameters.get(name) not in (None, only):
            raise InvalidInput("invalid_parameter", name="stream", expected=f"false beside {name}", found="true")
    return Ask(endpoint, inputs, parameters, TASK, stream=HubStream())


class HubStream:
    """See `door.Stream`. Where tokens are not told of, an event has the text of several, and no id."""

    def __init__(self) -> None:
        self.headers: Lines = []
        self._texts: list[str] = []
        self._last: JsonObject = {}
        self._beside: JsonObject = {}
        self._index = 0

    def begin(self) -> bytes:
        """See `door.Stream.begin`: nothing."""
        return b""

    def part(self, part: Part) -> bytes:
        """See `door.Stream.part`."""
        piece = piece_of(part)
        if "finish_reason" in piece:
            self._last = piece
        self._beside = {name: piece[name] for name in ("tool_form", "most_calls") if name in piece}
        text = str(piece["text"])
        self._texts.append(text)
        if "tokens" not in piece:
            return self._event({"id": None, "text": text, "logprob": None, "special": False}) if text else b""
        tokens = cast("list[JsonObject]", piece["tokens"])
        tops = cast("list[JsonValue]", piece.get("top_tokens") or [None] * len(tokens))
        return b"".join(self._event(token, top) for token, top in zip(tokens, tops, strict=True))

    def end(self, outcome: Outcome) -> bytes:
        """See `door.Stream.end`: the whole text, behind a token that says nothing, and the form of its calls of tools."""
        last = self._last
        finish = "stop_sequence" if "stop_sequence" in last else _FINISHES[str(last.get("finish_reason", "stop"))]
        details: JsonObject = {"finish_reason": finish, "generated_tokens": last.get("num_tokens", 0)}
        details |= {"input_length": outcome.tokens, "seed": last.get("seed")}
        token: JsonObject = {"id": None, "text": "", "logprob": None, "special": True}
        return self._event(token, generated_text="".join(self._texts), details=details, **self._beside)

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        """See `door.Stream.fail`."""
        told: JsonObject = msgspec.json.decode(flat_error_body(error, request_id, language))
        return raw_event(msgspec.json.encode({**told, "error_type": told["type"]}))

    def _event(self, token: JsonObject, top: JsonValue = None, **last: JsonValue) -> bytes:
        self._index += 1
        more: JsonObject = {"generated_text": None, "details": None, **last}
        return event({"index": self._index, "token": token, **({"top_tokens": top} if top is not None else {}), **more})
