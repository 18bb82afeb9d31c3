"""JSON schemas that the descriptions of several doors share."""

from __future__ import annotations

from hanlin.types import JsonObject

TEXT: JsonObject = {"type": "string", "minLength": 1}
WORD: JsonObject = {"type": "string"}
TEXTS: JsonObject = {"type": "array", "items": TEXT, "minItems": 1}
ONE_OR_MORE: JsonObject = {"anyOf": [TEXT, TEXTS]}
COUNT: JsonObject = {"type": "integer", "minimum": 1, "maximum": 2**31}
WHOLE: JsonObject = {"type": "integer"}
NUMBER: JsonObject = {"type": "number"}
FLAG: JsonObject = {"type": ["boolean", "null"], "default": False}
MAYBE_FLAG: JsonObject = {"type": ["boolean", "null"]}
CUT: dict[str, JsonObject] = {
    "truncate": {"type": ["boolean", "null"], "description": "left out, the endpoint's policy"},
    "truncation_direction": {"type": ["string", "null"], "pattern": "^[rR]ight$"},
}
MAYBE_COUNT: JsonObject = {**COUNT, "type": ["integer", "null"]}
MAYBE_WORD: JsonObject = {"type": ["string", "null"]}
VECTOR: JsonObject = {"type": "array", "items": NUMBER}
VECTORS: JsonObject = {"type": "array", "items": VECTOR}
SCORED: JsonObject = {"type": "object", "required": ["label", "score"], "properties": {"label": WORD, "score": NUMBER}}


def const(value: str) -> JsonObject:
    """This text and no other."""
    return {"type": "string", "enum": [value]}


def many(item: JsonObject) -> JsonObject:
    """A list of `item`."""
    return {"type": "array", "items": item}
