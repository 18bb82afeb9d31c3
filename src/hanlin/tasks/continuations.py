"""What goes into a call of text generation and what comes out: texts and talks, continuations, likelihoods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hanlin.errors import InvalidInput
from hanlin.generation import FinishReason, Generated, Seen
from hanlin.tasks.base import Limits
from hanlin.tasks.chat import Message, read_messages
from hanlin.tasks.chat_form import ROLES
from hanlin.tasks.checks import check_text, check_texts
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.shapes import TEXT, Shape, each, rows
from hanlin.types import JsonObject, JsonValue

_CONTEXT = 8  # tokens before an answer by which its first letters are told: a space there is the tokenizer's affair
Talk = tuple[Message, ...]

_MESSAGES: JsonObject = rows({
    "type": "object", "required": ["role", "content"],
    "properties": {"role": {"enum": [*ROLES]}, "content": TEXT, "name": {"type": "string"}}, "additionalProperties": False,
}) | {"minItems": 1}  # fmt: skip
_TALK: JsonObject = {"type": "object", "required": ["messages"], "properties": {"messages": _MESSAGES}, "additionalProperties": False}
_ANSWER: JsonObject = {
    "type": "object",
    "properties": {
        "generated_text": {"type": "string"},
        "finish_reason": {"enum": ["stop", "length"], "description": "length: `max_new_tokens` ended the answer, not the model"},
        "log_likelihood": {"type": "number", "description": "with `score`: natural logarithm of the text's chance"},
        "num_tokens": {"type": "integer", "description": "that were written; with `score`, that count"},
        "num_right": {"type": "integer", "description": "of them, those than which none was likelier"},
        "num_bytes": {"type": "integer", "description": "of the text in UTF-8: with `log_likelihood` the bits a byte"},
        "places": rows({
            "type": "object", "required": ["log", "likeliest"],
            "properties": {"log": {"type": "number"}, "likeliest": rows({"type": "array", "description": "token id and logarithm"})},
        }) | {"description": "with `likeliest`: each token that counts"},
    },
}  # fmt: skip
GENERATION_SHAPE = Shape({"anyOf": [TEXT, _TALK, _MESSAGES, rows({"anyOf": [TEXT, _TALK]}) | {"minItems": 1}]}, each(_ANSWER))


@dataclass(frozen=True, slots=True)
class Continued:
    """What was written behind one text."""

    text: str
    finish: FinishReason
    num_tokens: int

    @classmethod
    def of(cls, row: Generated, before: Sequence[int], encoded: Encoded, stops: Sequence[str]) -> Continued:
        """The answer, to the first of the words that end it."""
        assert encoded.spell is not None, "words come from the version's own tokenizer"
        context = tuple(before[-_CONTEXT:])
        text = encoded.spell((*context, *row.ids))[len(encoded.spell(context)) :]
        ends = [place for stop in stops if (place := text.find(stop)) >= 0]
        return cls(text[: min(ends)], "stop", len(row.ids)) if ends else cls(text, row.finish, len(row.ids))

    def to_json(self, _: bool) -> JsonObject:  # as `Judged` has it
        """The wire form."""
        finish = "length" if self.finish == "length" else "stop"
        return {"generated_text": self.text, "finish_reason": finish, "num_tokens": self.num_tokens}


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
        "\n".join(message.content for message in talk) if talk else check_text(item, index, limits)
        for index, (item, talk) in enumerate(zip(items, talks, strict=True))
    ]
    return tuple(found), tuple(talks), is_single


def _talk(item: JsonValue, index: int, limits: Limits) -> Talk | None:
    if not isinstance(item, dict):
        return None
    if item.keys() != {"messages"}:
        raise InvalidInput("invalid_messages", index=index, problem="an object is {messages: [...]} and nothing else")
    return read_messages(item["messages"], limits, index=index)
