"""What goes into a call of text generation and what comes out: texts and talks, continuations, likelihoods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.generation import FinishReason, Generated, Seen
from hanlin.tasks.base import Limits
from hanlin.tasks.chat import Message, check_size, read_messages
from hanlin.tasks.chat_form import ROLES
from hanlin.tasks.chat_tools import read_tools, with_tools
from hanlin.tasks.checks import check_text, check_texts
from hanlin.tasks.continued_stream import ContinuedStream
from hanlin.tasks.detokenizing import text_after
from hanlin.tasks.shapes import TEXT, Shape, each, rows
from hanlin.types import JsonObject, JsonValue

Talk = tuple[Message, ...]

_MESSAGES: JsonObject = rows({
    "type": "object", "required": ["role", "content"],
    "properties": {
        "role": {"enum": [*ROLES, "tool"]}, "content": {"type": ["string", "null"]}, "name": {"type": "string"},
        "tool_calls": rows({"type": "object"}), "tool_call_id": {"type": "string"},
    },
    "additionalProperties": False,
}) | {"minItems": 1}  # fmt: skip
_TALK: JsonObject = {
    "type": "object", "required": ["messages"], "additionalProperties": False,
    "properties": {"messages": _MESSAGES, "tools": rows({"type": "object"}) | {"description": "functions, as OpenAI writes them"}},
}  # fmt: skip
_TOKENS: JsonObject = rows({
    "type": "object", "required": ["id", "text", "logprob", "special"],
    "properties": {"id": {"type": "integer"}, "text": {"type": "string"}, "logprob": {"type": "number"}, "special": {"type": "boolean"}},
})  # fmt: skip
_DETAILS: JsonObject = {
    "type": "object", "description": "with `details`: each token, as text-generation-inference tells of it",
    "properties": {
        "finish_reason": {"enum": ["length", "eos_token", "stop_sequence"]}, "generated_tokens": {"type": "integer"},
        "seed": {"type": "integer"}, "prefill": rows({}), "tokens": _TOKENS, "top_tokens": rows(_TOKENS),
    },
}  # fmt: skip
_ANSWER: JsonObject = {
    "type": "object",
    "properties": {
        "generated_text": {"type": "string"},
        "finish_reason": {"enum": ["stop", "length"], "description": "length: `max_new_tokens` ended the answer, not the model"},
        "log_likelihood": {"type": "number", "description": "with `score`: natural logarithm of the text's chance"},
        "num_tokens": {"type": "integer", "description": "that were written; with `score`, that count"},
        "stop_sequence": {"type": "string", "description": "the word of `stop` that ended the answer"},
        "tool_form": {"type": "string", "description": "of talks with tools: in which calls are written, where it is not Hermes's"},
        "most_calls": {"type": "integer", "description": "of such talks with `parallel_tool_calls` false: 1, further calls do not count"},
        "details": _DETAILS,
        "num_right": {"type": "integer", "description": "of them, those than which none was likelier"},
        "num_bytes": {"type": "integer", "description": "of the text in UTF-8: with `log_likelihood` the bits a byte"},
        "places": rows({
            "type": "object", "required": ["log", "likeliest"],
            "properties": {"log": {"type": "number"}, "likeliest": rows({"type": "array", "description": "token id and logarithm"})},
        }) | {"description": "with `likeliest`: each token that counts"},
    },
}  # fmt: skip
_ANSWERS: JsonObject = {"anyOf": [_ANSWER, rows(_ANSWER) | {"description": "with `num_return_sequences` above 1"}]}
GENERATION_SHAPE = Shape({"anyOf": [TEXT, _TALK, _MESSAGES, rows({"anyOf": [TEXT, _TALK]}) | {"minItems": 1}]}, each(_ANSWERS))


@dataclass(frozen=True, slots=True)
class Continued:
    """What was written behind one text.

    Attributes:
        num_tokens: those of the word that ended it among them.
        stop: the word that ended it; empty: none did.
        details: the wire form of its tokens, where they are told of.
        beside: what is told beside, such as the form of its calls of tools.
    """

    text: str
    finish: FinishReason
    num_tokens: int
    stop: str = ""
    details: JsonObject | None = None
    beside: JsonObject = field(default_factory=dict)

    @classmethod
    def of(cls, row: Generated, stream: ContinuedStream) -> Continued:
        """The answer, to the first of the words that end it. `stream` is a fresh one of the row."""
        if not stream.has_details:
            text = text_after(stream.spell, stream.before, row.ids)
            if not any(stop in text for stop in stream.stops):
                return cls(text, row.finish, len(row.ids), beside=stream.beside)
        said = cast("JsonObject", stream.push(row.ids, row.seen, row.finish).value)
        assert stream.finish is not None, "it was told the end"
        details = _details(said) if stream.has_details else None
        return cls(str(said["text"]), stream.finish, stream.num_tokens, stream.stop, details, stream.beside)

    def to_json(self, _: bool) -> JsonObject:  # as `Judged` has it
        """The wire form."""
        finish = "length" if self.finish == "length" else "stop"
        found: JsonObject = {"generated_text": self.text, "finish_reason": finish, "num_tokens": self.num_tokens}
        found |= {"stop_sequence": self.stop} if self.stop else {}
        found |= self.beside
        return found | ({"details": self.details} if self.details is not None else {})


def _details(said: JsonObject) -> JsonObject:
    """As Hugging Face's text-generation-inference has them."""
    finish = "length" if said["finish_reason"] == "length" else "stop_sequence" if "stop_sequence" in said else "eos_token"
    found: JsonObject = {"finish_reason": finish, "generated_tokens": said["num_tokens"], "seed": said["seed"], "prefill": []}
    return found | {name: said[name] for name in ("tokens", "top_tokens") if name in said}


@dataclass(frozen=True, slots=True)
class Judged:
    """How likely one text is: the tokens of it that count, and the bytes that they say."""

    seen: tuple[Seen, ...]
    size_bytes: int

    @classmethod
    def of(cls, seen: Sequence[Seen], counted: Sequence[bool], size_bytes: int) -> Judged:
        """Without the tokens that do not count."""
        return cls(tuple(token for token, counts in zip(seen, counted, strict=True) if counts), size_bytes)

    def to_json(self, has_places: bool) -> JsonObject:  # its callers are in one place
        """The wire form."""
        found: JsonObject = {
            "log_likelihood": sum(token.log for token in self.seen), "num_tokens": len(self.seen),
            "num_right": sum(token.is_first for token in self.seen), "num_bytes": self.size_bytes,
        }  # fmt: skip
        if has_places:
            found["places"] = [{"log": token.log, "likeliest": [[*pair] for pair in token.likeliest]} for token in self.seen]
        return found


def read_inputs(inputs: JsonValue, limits: Limits) -> tuple[tuple[str, ...], tuple[Talk | None, ...], bool]:
    """The text of each item (of a talk what is said in it), the talks among them, and whether it was a single item.

    Raises:
        InvalidInput: as `check_texts`; `invalid_messages`.
    """
    items: list[JsonValue] = inputs if isinstance(inputs, list) else [inputs]
    if items and isinstance(inputs, list) and isinstance(inputs[0], dict) and "role" in inputs[0]:
        items, is_single = [{"messages": inputs}], True
    else:
        is_single = not isinstance(inputs, list)
    if not any(isinstance(item, dict) for item in items):
        texts, is_single = check_texts(inputs, limits)
        return texts, (None,) * len(texts), is_single
    if len(items) > limits.max_items:
        raise InvalidInput("batch_too_large", items=len(items), limit=limits.max_items)
    talks = [_talk(item, index, limits) for index, item in enumerate(items)]
    found = [
        "\n".join(text for message in talk for text in message.texts) if talk else check_text(item, index, limits)
        for index, (item, talk) in enumerate(zip(items, talks, strict=True))
    ]
    return tuple(found), tuple(talks), is_single


def check_asking(talks: Sequence[Talk | None]) -> None:
    """Raises InvalidInput (`invalid_messages`) for a talk that asks nothing: it ends with the assistant's own words."""
    if (place := next((place for place, talk in enumerate(talks) if talk and talk[-1].role == "assistant"), -1)) >= 0:
        raise InvalidInput("invalid_messages", index=place, problem="the last message is the assistant's own")


def _talk(item: JsonValue, index: int, limits: Limits) -> Talk | None:
    if not isinstance(item, dict):
        return None
    if item.keys() - {"tools"} != {"messages"}:
        raise InvalidInput("invalid_messages", index=index, problem="an object is {messages: [...]} and nothing else but tools")
    messages = read_messages(item["messages"], limits, index=index)
    if item.get("tools") is None:
        return messages
    told = with_tools(messages, read_tools(item["tools"], index))
    check_size(told, index, limits)
    return told
