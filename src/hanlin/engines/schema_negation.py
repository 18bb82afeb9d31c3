"""The schema of all documents that another one refuses, where keywords can say so; else it is refused, and with it what needed it.

Numbers between whole ones are left out of what is no `integer`, and lists and objects of what is no given list or object: what remains is
refused by the schema all the same. Knows neither references nor texts of schemas (see `schema_rewriting`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from hanlin.engines.schema_patterns import Patterns
from hanlin.engines.schema_places import RefusedSchema
from hanlin.types import JsonObject, JsonValue

TYPES = ("null", "boolean", "number", "string", "array", "object")
MAX_LITERALS = 2000  # characters of the texts that a text must not be
_SAYS_NOTHING = frozenset({
    "title", "description", "default", "examples", "example", "$comment", "deprecated", "readOnly", "writeOnly", "$id", "id", "$schema",
    "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary", "$defs", "definitions", "contentEncoding", "contentMediaType",
    "contentSchema",
})  # fmt: skip
_OF_OTHERS = ("additionalProperties", "items", "unevaluatedProperties", "unevaluatedItems")
Resolve = Callable[[JsonObject, str], tuple[JsonValue, str]]


class Negation:
    """Args: resolve: what a schema's reference names, and where that stands; raises RefusedSchema after too many."""

    def __init__(self, resolve: Resolve, patterns: Patterns) -> None:
        self._resolve, self._patterns = resolve, patterns
        self._known: dict[int, tuple[JsonObject, JsonValue]] = {}

    def of(self, schema: JsonValue, path: str, depth: int = 0) -> JsonValue:
        """Raises RefusedSchema, naming the keyword that cannot be turned round. Each schema is turned once, however often it is named."""
        if not isinstance(schema, dict):
            return schema is False
        if depth > 12:
            raise RefusedSchema("$ref", path, "what must not be is nested too deeply")
        if id(schema) not in self._known:
            self._known[id(schema)] = schema, self._turned(schema, path, depth)
        return self._known[id(schema)][1]

    def _turned(self, schema: JsonObject, path: str, depth: int) -> JsonValue:
        found: list[JsonValue] = []
        for key, value in schema.items():
            found += self._keyword(key, value, schema, path, depth)
        found = [each for each in found if each is not False]
        if any(each is True or each == {} for each in found):
            return True
        return {"anyOf": found} if len(found) > 1 else found[0] if found else False

    def _keyword(self, key: str, value: JsonValue, schema: JsonObject, path: str, depth: int) -> list[JsonValue]:
        """Schemas of which a document that breaks this keyword keeps to one."""
        below = f"{path}/{key}"
        if key in _SAYS_NOTHING or key.startswith("x-"):
            return []
        if key in _BOUNDS and isinstance(value, int | float):
            return _BOUNDS[key](value)
        if key in ("type", "enum", "const"):
            given = value if key == "enum" and isinstance(value, list) else [value]
            return _other_types(value) if key == "type" else other_values(given, below)
        if key == "required" and isinstance(value, list):
            return [{"type": "object", "properties": {str(name): False}} for name in value]
        if key == "properties" and isinstance(value, dict):
            inner = {name: self.of(each, f"{below}/{name}", depth + 1) for name, each in value.items()}
            return [{"type": "object", "required": [name], "properties": {name: each}} for name, each in inner.items() if each is not False]
        return self._of_schemas(key, value, schema, below, depth)

    def _of_schemas(self, key: str, value: JsonValue, schema: JsonObject, path: str, depth: int) -> list[JsonValue]:
        if key in ("allOf", "anyOf") and isinstance(value, list):
            inner = [self.of(each, f"{path}/{number}", depth + 1) for number, each in enumerate(value)]
            return inner if key == "allOf" else [_all(inner)]
        if key in ("$ref", "$dynamicRef", "$recursiveRef", "if"):
            return self._of_cases(schema, path, depth) if key == "if" else [self.of(*self._resolve(schema, path), depth + 1)]
        if key == "not" or key in ("then", "else") or (key in _OF_OTHERS and value in (True, {})):
            return [value] if key == "not" else []
        if key == "pattern":
            return self._of_pattern(str(value), path)
        if key == "items" and "prefixItems" not in schema:
            return [{"type": "array", "contains": self.of(value, path, depth + 1)}]
        raise RefusedSchema(key, path, "what breaks it cannot be said")

    def _of_pattern(self, pattern: str, path: str) -> list[JsonValue]:
        if (literals := literals_of(pattern)) is not None:
            return other_texts(literals, path, as_beginnings=not pattern.endswith("$"))
        if (opposite := self._patterns.opposite(pattern)) is None:
            raise RefusedSchema("pattern", path, "what breaks it cannot be said")
        return [{"type": "string", "pattern": opposite}]

    def _of_cases(self, schema: JsonObject, path: str, depth: int) -> list[JsonValue]:
        found: list[JsonValue] = []
        if "then" in schema:
            found.append(_all([schema["if"], self.of(schema["then"], path, depth + 1)]))
        if "else" in schema:
            found.append(_all([self.of(schema["if"], path, depth + 1), self.of(schema["else"], path, depth + 1)]))
        return found


def _all(schemas: Sequence[JsonValue]) -> JsonValue:
    left = [each for each in schemas if each is not True and each != {}]
    if any(each is False for each in left):
        return False
    return {"allOf": left} if len(left) > 1 else left[0] if left else True


def _other_types(value: JsonValue) -> list[JsonValue]:
    given = {str(each) for each in (value if isinstance(value, list) else [value])}
    others: list[JsonValue] = [name for name in TYPES if name not in given and not (name == "number" and "integer" in given)]
    return [{"type": others}] if others else []


def _number(key: str) -> Callable[[float], list[JsonValue]]:
    return lambda value: [{"type": "number", key: value}]


def _size(kind: str, key: str, by: int) -> Callable[[float], list[JsonValue]]:
    return lambda value: [{"type": kind, key: int(value) + by}] if value + by >= 0 else []


_BOUNDS: Mapping[str, Callable[[float], list[JsonValue]]] = {
    "minimum": _number("exclusiveMaximum"), "exclusiveMinimum": _number("maximum"), "maximum": _number("exclusiveMinimum"),
    "exclusiveMaximum": _number("minimum"), "minLength": _size("string", "maxLength", -1), "maxLength": _size("string", "minLength", 1),
    "minItems": _size("array", "maxItems", -1), "maxItems": _size("array", "minItems", 1),
    "minProperties": _size("object", "maxProperties", -1), "maxProperties": _size("object", "minProperties", 1),
}  # fmt: skip


def other_texts(texts: Sequence[str], path: str, *, as_beginnings: bool = False) -> list[JsonValue]:
    """A schema of the texts that are none of these, or begin with none."""
    if sum(map(len, texts)) > MAX_LITERALS:
        raise RefusedSchema("enum", path, "too many texts that must not be")
    return [{"type": "string", "pattern": none_of(texts, as_beginnings)}] if texts else [{"type": "string"}]


def other_values(values: Sequence[JsonValue], path: str) -> list[JsonValue]:
    """Schemas of all that is none of the values."""
    numbers = sorted(each for each in values if isinstance(each, int | float) and not isinstance(each, bool))
    found = other_texts([each for each in values if isinstance(each, str)], path)
    found += _between(numbers) if numbers else [{"type": "number"}]
    if left := [each for each in (False, True) if not any(value is each for value in values)]:
        found.append({"enum": [*left]})
    found += [{"type": "null"}] if None not in values else []
    found += _sized("array", "minItems", [each for each in values if isinstance(each, list)])
    return found + _sized("object", "minProperties", [each for each in values if isinstance(each, dict)])


def _between(numbers: Sequence[float]) -> list[JsonValue]:
    ends = [None, *dict.fromkeys(numbers), None]
    found: list[JsonValue] = []
    for low, high in pairwise(ends):
        bounds: JsonObject = {} if low is None else {"exclusiveMinimum": low}
        found.append({"type": "number", **bounds, **({} if high is None else {"exclusiveMaximum": high})})
    return found


def _sized(kind: str, least: str, values: Sequence[JsonValue]) -> list[JsonValue]:
    if not values:
        return [{"type": kind}]
    return [{"type": kind, least: 1}] if all(not each for each in values) else []


def none_of(texts: Sequence[str], as_beginnings: bool = False) -> str:
    """A pattern of all texts that are none of these, or begin with none of them. Its size is that of them all together."""
    return f"^{_beside(sorted(set(texts)), 0, as_beginnings)}$"


def _beside(texts: Sequence[str], at: int, as_beginnings: bool) -> str:
    """What may stand behind the `at` characters that all of the texts share."""
    is_one = any(len(text) == at for text in texts)
    if is_one and as_beginnings:
        return "[^\\s\\S]"
    further: dict[str, list[str]] = {}
    for text in texts:
        if len(text) > at:
            further.setdefault(text[at], []).append(text)
    if not further:
        return "[\\s\\S]+"
    ways = [] if is_one else [""]
    ways.append(f"[^{''.join(map(_in_class, further))}][\\s\\S]*")
    for character, rest in further.items():
        if not (as_beginnings and any(len(text) == at + 1 for text in rest)):
            ways.append(re.escape(character) + _beside(rest, at + 1, as_beginnings))
    return f"({'|'.join(ways)})"


def _in_class(character: str) -> str:
    return f"\\u{{{ord(character):x}}}" if not character.isalnum() else character


def literals_of(pattern: str) -> list[str] | None:
    """The texts that `^…$` (or `^…`, as beginnings) says one by one; None: it says more."""
    body = pattern.removesuffix("$")
    if not body.startswith("^"):
        return None
    body = body[1:]
    grouped = re.fullmatch(r"\((?:\?:)?([^()]*)\)", body)
    ways = grouped[1].split("|") if grouped else [body]
    if any(re.search(r"[\\.\[\](){}*+?|^$]", way.replace("\\.", "").replace("\\-", "").replace("\\/", "")) for way in ways) or not body:
        return None
    return [re.sub(r"\\([.\-/])", r"\1", way) for way in ways]


def text_of(value: JsonValue) -> str:
    """A value as it is compared: equal ones are of one text, 1 and 1.0 among them."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
