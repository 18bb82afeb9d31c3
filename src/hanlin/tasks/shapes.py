"""What goes into a call of a task and what comes out, as JSON schemas that tasks share. Descriptions and generated clients read them."""

from __future__ import annotations

from dataclasses import dataclass

from hanlin.types import JsonObject

TEXT: JsonObject = {"type": "string", "minLength": 1}
TEXTS: JsonObject = {"type": "array", "items": TEXT, "minItems": 1}
TOKEN_IDS: JsonObject = {
    "type": "object", "required": ["token_ids"], "additionalProperties": False,
    "properties": {"token_ids": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}},
}  # fmt: skip
ITEMS: JsonObject = {"type": "array", "items": {"anyOf": [TEXT, TOKEN_IDS]}, "minItems": 1}
ONE_OR_MORE: JsonObject = {"anyOf": [TEXT, TOKEN_IDS, ITEMS]}
ONE_OR_MORE_TEXTS: JsonObject = {"anyOf": [TEXT, TEXTS]}
RANKING: JsonObject = {
    "type": "object", "required": ["query", "texts"], "additionalProperties": False, "properties": {"query": TEXT, "texts": TEXTS},
}  # fmt: skip
NUMBERS: JsonObject = {"type": "array", "items": {"type": "number"}}
SCORED: JsonObject = {
    "type": "object", "required": ["label", "score"],
    "properties": {
        "label": {"type": "string"}, "score": {"type": "number"},
        "passes": {"type": "boolean", "description": "whether the label applies, where several may: its score reaches its own threshold"},
        "value": {"type": "number", "description": "where the text stands on the scale of the labels, where they have one"},
    },
}  # fmt: skip
_PLACE: JsonObject = {
    "score": {"type": "number"},
    "word": {"type": ["string", "null"], "description": "null where token ids were sent, as are its places"},
    "start": {"type": ["integer", "null"], "description": "character of the text"},
    "end": {"type": ["integer", "null"], "description": "the character behind the last"},
    "entity_group": {"type": "string", "description": "of joined tokens"},
    "entity": {"type": "string", "description": "of a single token, where `aggregation_strategy` is `none`"},
    "index": {"type": "integer", "description": "of a single token"},
}  # fmt: skip
ENTITY: JsonObject = {"type": "object", "required": ["score", "word", "start", "end"], "properties": _PLACE}
_RUN: JsonObject = {name: _PLACE[name] for name in ("score", "start", "end")}
_ARGUMENT: JsonObject = {
    "type": "object", "required": ["role", "word", "start", "end", "score"],
    "properties": _RUN | {"role": {"type": "string"}, "word": {"type": "string"}},
}  # fmt: skip
FRAME: JsonObject = {
    "type": "object",
    "properties": _RUN | {
        "predicate": {"type": "string"},
        "sense": {"type": "string", "description": "of the predicate, where the model learnt from rows with senses"},
        "arguments": {"type": "array", "items": _ARGUMENT},
        "tags": {"type": "array", "items": SCORED, "description": "of each token, where `return_tags` is set"},
    },
}  # fmt: skip
RANKED: JsonObject = {
    "type": "object", "required": ["index", "score"],
    "properties": {"index": {"type": "integer"}, "score": {"type": "number"}, "text": {"type": "string"}},
}  # fmt: skip


def rows(item: JsonObject) -> JsonObject:
    """A list of `item`."""
    return {"type": "array", "items": item}


def each(answer: JsonObject) -> JsonObject:
    """`answer` for a single text, a list of it for a list of texts."""
    return {"anyOf": [answer, rows(answer)]}


@dataclass(frozen=True, slots=True)
class Shape:
    """JSON schemas of the `inputs` that a task takes and of its answer."""

    inputs: JsonObject
    output: JsonObject
