"""What a call may say of a continuation beside how it is written: penalties, biases, forms, details of tokens. Names: Hugging Face's."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from hanlin.errors import InvalidInput
from hanlin.generation import MAX_BIASED, MAX_CONSTRAINT, MAX_LIKELIEST, Constraint, ConstraintKind
from hanlin.tasks.base import Parameter
from hanlin.tasks.parameters import boolean, integer, number
from hanlin.tasks.written_parameters import BEAMS
from hanlin.types import JsonObject, JsonValue, json_found, json_type, shorten

MAX_SEQUENCES = 16  # of one prompt
MAX_BIAS = 100
_KINDS: dict[str, ConstraintKind] = {"json": "json_schema", "json_object": "json_object", "regex": "regex", "lark": "lark"}
_ID = re.compile("0|[1-9][0-9]{0,9}")

DETAILS = boolean("details", "tell of each token: its text and the logarithm of its chance")
TOP = integer("top_n_tokens", "as `details`, and so many likeliest tokens at each place", low=0, high=MAX_LIKELIEST, example=5)
COUNT = integer(
    "num_return_sequences", "answers to each prompt, drawn with seeds one after the other", low=1, high=MAX_SEQUENCES, example=2
)
_PRESENCE = number("presence_penalty", "what a token that was written loses of its score", low=-2, high=2, example=0.5)
_FREQUENCY = number("frequency_penalty", "what a token loses for each time that it was written", low=-2, high=2, example=0.5)


def _biases(parameters: JsonObject) -> tuple[tuple[int, float], ...]:
    value = parameters.get("logit_bias")
    if value is None:
        return ()
    if not isinstance(value, dict) or len(value) > MAX_BIASED:
        found = json_type(value) if not isinstance(value, dict) else str(len(value))
        raise _wrong("logit_bias", f"an object of at most {MAX_BIASED} token ids", found)
    for name, bias in value.items():
        if not _ID.fullmatch(name):  # two ways to write one id would name it twice
            raise _wrong("logit_bias", "an object by token ids, without signs and leading zeros", shorten(name))
        if isinstance(bias, bool) or not isinstance(bias, int | float) or not -MAX_BIAS <= bias <= MAX_BIAS:
            raise _wrong("logit_bias", f"numbers from -{MAX_BIAS} to {MAX_BIAS}", json_found(bias))
    return tuple((int(name), float(cast("float", bias))) for name, bias in value.items())


def _constraint(parameters: JsonObject) -> Constraint | None:
    value = parameters.get("grammar")
    if value is None:
        return None
    if not isinstance(value, dict) or not value.keys() <= {"type", "value"} or value.get("type") not in (*_KINDS,):
        raise _wrong("grammar", f'{{"type": one of {", ".join(_KINDS)}, "value": …}}', _odd(value))
    kind = _KINDS[str(value["type"])]
    text = _form(kind, value.get("value"))
    if len(text) > MAX_CONSTRAINT:
        raise _wrong("grammar", f"at most {MAX_CONSTRAINT} characters", str(len(text)))
    return Constraint(kind, text)


def _odd(value: JsonValue) -> str:
    """What is wrong with a grammar: a name too many, or its type."""
    if not isinstance(value, dict) or not value:
        return json_found(value)
    if more := value.keys() - {"type", "value"}:
        return f"one with {shorten(min(more))}"
    kind = value.get("type")
    return f"one of type {shorten(kind) if isinstance(kind, str) else json_found(kind)}"


def _form(kind: ConstraintKind, value: JsonValue) -> str:
    if kind == "json_object":
        if value is not None:
            raise _wrong("grammar", "without a value where its type is json_object", json_type(value))
        return ""
    if kind == "json_schema" and isinstance(value, dict | bool):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) or not value:
        raise _wrong("grammar", "a JSON schema" if kind == "json_schema" else "a text that is not empty", json_found(value))
    return value


def _wrong(name: str, expected: str, found: str) -> InvalidInput:
    return InvalidInput("invalid_parameter", name=name, expected=expected, found=found)


_BIAS_OBJECT: JsonObject = {
    "type": "object", "description": "token ids and what is added to their scores", "default": None, "maxProperties": MAX_BIASED,
    "additionalProperties": {"type": "number", "minimum": -MAX_BIAS, "maximum": MAX_BIAS}, "example": {"3": -100},
}  # fmt: skip
_GRAMMAR_OBJECT: JsonObject = {
    "type": "object", "required": ["type"], "default": None, "example": {"type": "regex", "value": "[0-9]{1,4}"},
    "description": "the form that the answer must have: a JSON schema, any JSON object, a regular expression, a Lark grammar",
    "properties": {"type": {"enum": [*_KINDS]}, "value": {"description": "the schema, the expression or the grammar"}},
    "additionalProperties": False,
}  # fmt: skip
_BIAS = Parameter("logit_bias", _BIAS_OBJECT, _biases)
_GRAMMAR = Parameter("grammar", _GRAMMAR_OBJECT, _constraint)
CONTINUING: tuple[Parameter[Any], ...] = (DETAILS, TOP, COUNT, _PRESENCE, _FREQUENCY, _BIAS, _GRAMMAR)


def read_continuing(parameters: JsonObject, asked: dict[str, object]) -> dict[str, object]:
    """What the call says of `GenerationSettings`, over what it `asked` for by `read_writing`. Raises InvalidInput (`invalid_parameter`)."""
    values = {
        "presence_penalty": _PRESENCE.read(parameters), "frequency_penalty": _FREQUENCY.read(parameters),
        "logit_bias": _BIAS.read(parameters) or None, "constraint": _GRAMMAR.read(parameters),
    }  # fmt: skip
    found = asked | {name: value for name, value in values.items() if value is not None}
    top = TOP.read(parameters) or 0
    if DETAILS.read(parameters) or top:
        found |= {"tells": True, "likeliest": top}
    if asked.get("num_beams", 1) != 1 and (both := [name for name in ("constraint", "tells", "logit_bias") if name in found]):
        raise _wrong(BEAMS.name, f"1 beside {both[0]}", str(asked["num_beams"]))
    return found
