"""JSON schemas as whoever follows them token by token can read them: checked, in one draft's words, and said anew (`schema_rewriting`).

What keeps to the schema that comes out keeps to the one that came. Source: JSON Schema, drafts 4 to 2020-12.
"""

from __future__ import annotations

import json
from typing import cast

from hanlin.engines.schema_places import OF_LISTS, OF_NAMES, OF_ONE, RefusedSchema, is_old
from hanlin.engines.schema_rewriting import Rewriting
from hanlin.types import JsonObject, JsonValue

MAX_DEPTH = 100
MAX_TEXT = 2_000_000  # characters of what comes out: what is named once may be spelt out in many cases
_COUNTS = frozenset({
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains",
})  # fmt: skip


def plainer(text: str, *, is_bounded: bool = False) -> str:
    """The schema said anew, as text.

    Args:
        is_bounded: patterns bound the length of their texts themselves: fewer texts are allowed, and less is to be found out.

    Raises:
        ValueError: with a reason that may be shown.
    """
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
    root = _newer(schema, is_old=is_old(schema))
    assert isinstance(root, dict)
    try:
        return _text(Rewriting(root, is_bounded=is_bounded).whole())
    except RecursionError as error:
        raise RefusedSchema("schema", "#", "it is nested too deeply once all cases are spelt out") from error


def _text(schema: JsonObject) -> str:
    parts, size = list[str](), 0
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(schema):
        size += len(part)
        if size > MAX_TEXT:
            raise RefusedSchema("schema", "#", f"more than {MAX_TEXT} characters once all cases are spelt out")
        parts.append(part)
    return "".join(parts)


def _depth(schema: JsonObject) -> int:
    """Levels, counted as far as one more than are allowed."""
    level, depth = [cast("JsonValue", schema)], 0
    while level and depth <= MAX_DEPTH:
        inner = (value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list))
        level, depth = [part for parts in inner for part in parts], depth + 1
    return depth


def _newer(schema: JsonValue, *, is_old: bool) -> JsonValue:
    """In the words of draft 2020-12. Args: is_old: nothing stands beside a reference."""
    if not isinstance(schema, dict):
        return schema
    if is_old and isinstance(schema.get("$ref"), str):
        schema = {key: value for key, value in schema.items() if key in ("$ref", "definitions", "$defs", "$schema", "$id", "id")}
    found: JsonObject = {}
    for key, value in schema.items():
        if (key in OF_NAMES and isinstance(value, dict)) or (key == "dependencies" and isinstance(value, dict)):
            found[key] = {name: _newer(each, is_old=is_old) for name, each in value.items()}
        elif (key in OF_LISTS or key == "items") and isinstance(value, list):
            found["prefixItems" if key == "items" else key] = [_newer(each, is_old=is_old) for each in value]
        elif key in OF_ONE:
            found[key] = _newer(value, is_old=is_old)
        else:
            found[key] = int(value) if key in _COUNTS and isinstance(value, float) and value.is_integer() else value
    _items(found, is_list=isinstance(schema.get("items"), list))
    _bounds(found)
    return found


def _items(found: JsonObject, *, is_list: bool) -> None:
    """Of lists of items, what stood behind them is `items` now; beside anything else it said nothing."""
    others = found.pop("additionalItems", None)
    if is_list and others is not None:
        found["items"] = others


def _bounds(found: JsonObject) -> None:
    """Bounds that are excluded were said by true and false once."""
    for bound, excluded in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(is_excluded := found.get(excluded), bool):
            del found[excluded]
            if is_excluded and bound in found:
                found[excluded] = found.pop(bound)
