"""Whether two schemas have no document in common, as far as types, values and properties show it. It says yes only when sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanlin.engines.schema_negation import text_of
from hanlin.types import JsonObject, JsonValue

if TYPE_CHECKING:
    from hanlin.engines.schema_rewriting import Rewriting

_MAX_DEPTH = 4
_OF_TEXTS = frozenset({"pattern", "minLength", "maxLength"})


def is_disjoint(one: JsonValue, other: JsonValue, rewriting: Rewriting, beside: JsonObject | None = None, depth: int = 0) -> bool:
    """Args: beside: a schema that both stand in, and whose properties hold for both."""
    one, other = rewriting.looked_up(one, ""), rewriting.looked_up(other, "")
    if not isinstance(one, dict) or not isinstance(other, dict) or depth > _MAX_DEPTH:
        return one is False or other is False
    rewriting.compare(1 + (_size(one) + _size(other) + _size(beside or {})) // 4)
    types = _types(one) & _types(other)
    if beside is not None:
        types &= _types(beside)
    if not types:
        return True
    if _raw(one) is not None and _raw(other) is not None and _texts(one, rewriting).isdisjoint(_texts(other, rewriting)):
        return True
    if types == {"string"}:
        return bool((one.keys() | other.keys()) & _OF_TEXTS) and rewriting.patterns.are_apart(one, other)
    if types in ({"number"}, {"object"}):
        return _bounds(one, other) if types == {"number"} else _by_properties(one, other, rewriting, beside, depth)
    return types == {"array"} and _by_items(one, other, rewriting, depth)


def _types(schema: JsonObject) -> set[str]:
    if "type" in schema:
        value = schema["type"]
        named = {str(each) for each in (value if isinstance(value, list) else [value])}
        return {"number" if name == "integer" else name for name in named}
    if (values := _raw(schema)) is not None:
        return {_type_of(each) for each in values}
    return {"null", "boolean", "number", "string", "array", "object"}


def _type_of(value: JsonValue) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    kinds: tuple[tuple[object, str], ...] = ((str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "number")  # type: ignore[arg-type]


def _raw(schema: JsonObject) -> list[JsonValue] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema["enum"] if isinstance(schema.get("enum"), list) else None  # type: ignore[return-value]


def _texts(schema: JsonObject, rewriting: Rewriting) -> frozenset[str]:
    if id(schema) not in rewriting.texts:
        rewriting.texts[id(schema)] = schema, frozenset(map(text_of, _raw(schema) or ()))
    return rewriting.texts[id(schema)][1]


def _size(schema: JsonObject) -> int:
    """What is gone through when it is compared."""
    lists = (schema.get(key) for key in ("type", "enum", "required"))
    return sum(len(each) for each in lists if isinstance(each, list))


def _bounds(one: JsonObject, other: JsonObject) -> bool:
    return _above(one, other) or _above(other, one)


def _above(high: JsonObject, low: JsonObject) -> bool:
    """Whether all numbers of one lie above those of the other."""
    for least in ("minimum", "exclusiveMinimum"):
        for most in ("maximum", "exclusiveMaximum"):
            bottom, top = high.get(least), low.get(most)
            if isinstance(bottom, int | float) and isinstance(top, int | float):
                is_apart = bottom > top or (bottom == top and (least, most) != ("minimum", "maximum"))
                if is_apart:
                    return True
    return False


def _by_properties(one: JsonObject, other: JsonObject, rewriting: Rewriting, beside: JsonObject | None, depth: int) -> bool:
    of_one, of_other, of_both = _properties(one), _properties(other), _properties(beside or {})
    needed = dict.fromkeys((*_required(one), *_required(other), *_required(beside or {})))  # in an order that is the same everywhere
    for name in needed:
        if _is_closed_to(one, name) or _is_closed_to(other, name):
            return True
        left, right = of_one.get(name, of_both.get(name)), of_other.get(name, of_both.get(name))
        if left is not None and right is not None and is_disjoint(left, right, rewriting, None, depth + 1):
            return True
    return False


def _by_items(one: JsonObject, other: JsonObject, rewriting: Rewriting, depth: int) -> bool:
    """Whether there is an item in each, and none that both allow."""
    if "prefixItems" in one or "prefixItems" in other:
        return False
    is_filled = any(isinstance(least := each.get("minItems"), int | float) and least >= 1 for each in (one, other))
    return is_filled and is_disjoint(one.get("items", True), other.get("items", True), rewriting, None, depth + 1)


def _properties(schema: JsonObject) -> JsonObject:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _required(schema: JsonObject) -> list[str]:
    found = schema.get("required")
    return [str(each) for each in found] if isinstance(found, list) else []


def _is_closed_to(schema: JsonObject, name: str) -> bool:
    properties = _properties(schema)
    if name in properties:
        return properties[name] is False
    return schema.get("additionalProperties") is False and not schema.get("patternProperties")
