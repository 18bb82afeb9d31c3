"""JSON schemas as whoever follows them token by token can read them: checked, and without what says nothing or can be said more plainly.

What documents a schema allows stays the same. Source: JSON Schema, drafts 4 to 2020-12.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast
from urllib.parse import unquote

from hanlin.types import JsonObject, JsonValue

MAX_DEPTH = 100
_OF_NAMES = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_OF_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_OF_ONE = frozenset({
    "items", "additionalProperties", "additionalItems", "contains", "not", "if", "then", "else", "propertyNames", "unevaluatedProperties",
    "unevaluatedItems",
})  # fmt: skip
# When a keyword allows everything, by its value and the schema that it stands in.
_IDLE: dict[str, Callable[[JsonValue, JsonObject], bool]] = {
    "uniqueItems": lambda value, _: value is False,
    "unevaluatedProperties": lambda value, _: value in (True, {}),
    "unevaluatedItems": lambda value, _: value in (True, {}),
    "dependencies": lambda value, _: value == {},
    "dependentRequired": lambda value, _: value == {},
    "dependentSchemas": lambda value, _: value == {},
    "propertyNames": lambda value, _: value in (True, {}, {"type": "string"}),
    "not": lambda value, _: value is False,
    "if": lambda _, schema: "then" not in schema and "else" not in schema,
    "then": lambda _, schema: "if" not in schema,
    "else": lambda _, schema: "if" not in schema,
    "contains": lambda _, schema: _is_zero(schema.get("minContains")) and "maxContains" not in schema,
    "minContains": lambda value, schema: "contains" not in schema or (_is_zero(value) and "maxContains" not in schema),
    "maxContains": lambda _, schema: "contains" not in schema,
    "format": lambda value, _: value in ("password", "binary"),  # OpenAPI's: how it is shown, and what it is made of
}


def plainer(text: str) -> str:
    """The same schema, as text. Raises ValueError with a reason that may be shown."""
    try:
        schema: JsonValue = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("the schema is not JSON") from error
    if schema is True:
        return "{}"
    if not isinstance(schema, dict):
        raise ValueError("a schema is an object, or true")
    if "x-guidance" in schema:
        raise ValueError("x-guidance is no keyword of JSON Schema")
    if _depth(schema) > MAX_DEPTH:
        raise ValueError(f"the schema is nested more than {MAX_DEPTH} levels deep")
    return json.dumps(_plain(schema, schema), ensure_ascii=False)


def _depth(schema: JsonObject) -> int:
    """Levels, counted as far as one more than are allowed."""
    level, depth = [cast("JsonValue", schema)], 0
    while level and depth <= MAX_DEPTH:
        inner = (value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list))
        level, depth = [part for parts in inner for part in parts], depth + 1
    return depth


def _plain(schema: JsonValue, root: JsonObject) -> JsonValue:
    if not isinstance(schema, dict):
        return schema
    found: JsonObject = {}
    for key, value in schema.items():
        if key in _IDLE and _IDLE[key](value, schema):
            continue
        if key in _OF_NAMES and isinstance(value, dict):
            found[key] = {name: _plain(each, root) for name, each in value.items()}
        elif key in _OF_LISTS and isinstance(value, list):
            found[key] = [_plain(_named(each, root) if key == "oneOf" else each, root) for each in value]
        else:
            found[key] = _plain(value, root) if key in _OF_ONE else value
    choices = found.get("oneOf")
    if isinstance(choices, list) and len(choices) == 1 and "anyOf" not in found:
        found["anyOf"] = found.pop("oneOf")
    return found


def _named(choice: JsonValue, root: JsonObject) -> JsonValue:
    """What a choice names instead of its name: that choices shut each other out can be seen in them alone."""
    if not isinstance(choice, dict) or choice.keys() != {"$ref"} or not str(choice["$ref"]).startswith("#/"):
        return choice
    place: JsonValue = root
    for part in str(choice["$ref"])[2:].split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if not isinstance(place, dict) or name not in place:
            return choice
        place = place[name]
    return place if isinstance(place, dict) and not place.keys() & {"$ref", "$id", "oneOf"} else choice


def _is_zero(value: JsonValue) -> bool:
    return value == 0 and value is not False
