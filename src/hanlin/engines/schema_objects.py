"""What schemas say of objects, said anew: properties by name, by pattern, and all others are what is left. See `schema_rewriting`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from hanlin.engines.schema_negation import text_of
from hanlin.engines.schema_places import RefusedSchema
from hanlin.types import JsonObject, JsonValue

if TYPE_CHECKING:
    from hanlin.engines.schema_rewriting import Rewriting

_MAX_NAME, _MAX_REPEATED = 100, 3  # where a pattern is tried on a name, whose time may go with the power of the one of the other
_OF_A_NAME = frozenset({"type", "title", "description", "$comment"})  # what says nothing of it
_MAX_SETS = 64  # of properties that may be there together
_ALL_NAMES = frozenset({"", ".*", "^.*$", "^.*", ".*$", "^", "[\\s\\S]*", "^[\\s\\S]*$", ".+", "^.+$", "^(.*)$", "."})


def plainer(schema: JsonObject, rewriting: Rewriting, path: str) -> JsonObject:
    """The schema with nothing of objects but properties by name, pattern and all others."""
    if schema.get("propertyNames") not in (None, True, {}):
        schema = _by_names(schema, rewriting, path)
    return schema


def kept(found: JsonObject, schema: JsonObject, rewriting: Rewriting, path: str) -> list[JsonValue]:
    """Puts what is said of properties into `found`; returns what has to hold beside it."""
    named, others = _dict(schema, "properties"), schema.get("additionalProperties")
    patterns = _dict(schema, "patternProperties")
    for pattern in [pattern for pattern in patterns if pattern in _ALL_NAMES]:
        others = patterns.pop(pattern)
        named = {name: {"allOf": [each, others]} for name, each in named.items()}
        patterns = {name: {"allOf": [each, others]} for name, each in patterns.items()}
    if named:
        found["properties"] = {name: rewriting.schema(each, f"{path}/properties/{name}") for name, each in named.items()}
    if patterns:
        plain: JsonObject = {}
        for name, each in patterns.items():
            text, asked = _plain(name, rewriting, path), rewriting.schema(each, f"{path}/patternProperties/{name}")
            plain[text] = {"allOf": [plain[text], asked]} if text in plain else asked
        merged = _merged(plain)
        found["patternProperties"] = rewriting.patterns.apart(merged, lambda all_of: {"allOf": all_of}) if len(merged) > 1 else merged
    if others is not None:
        found["additionalProperties"] = rewriting.schema(others, f"{path}/additionalProperties")
    return _counted(found, path)


def _plain(pattern: str, rewriting: Rewriting, path: str) -> str:
    """Names that a look-ahead leaves out are judged by other schemas: several patterns beside one another cannot say that."""
    found = rewriting.patterns.one(pattern)
    if found is None:
        raise RefusedSchema("patternProperties", path, "look-ahead cannot be followed in names")
    return found


def cases(schema: JsonObject, path: str) -> list[tuple[JsonValue, str]]:
    """What properties that are there ask for."""
    found: list[tuple[JsonValue, str]] = []
    for key in ("dependentRequired", "dependentSchemas", "dependencies"):
        for name, asked in _dict(schema, key).items():
            names = [asked] if isinstance(asked, str) else asked
            wanted: JsonValue = {"required": [name, *names]} if isinstance(names, list) else {"allOf": [{"required": [name]}, names]}
            if names not in ([], True, {}):
                found.append(({"anyOf": [{"properties": {name: False}}, wanted]}, f"{path}/{key}/{name}"))
    return found


def _counted(found: JsonObject, path: str) -> list[JsonValue]:
    """Cases by which of the named properties are there, where their number is bounded; the bounds are taken out of `found`."""
    least, most = found.get("minProperties", 0), found.get("maxProperties")
    named, needed = _dict(found, "properties"), _strings(found, "required")
    wanted = set(needed)
    free = [name for name, each in named.items() if name not in wanted and each is not False]
    if not isinstance(least, int) or not (most is None or isinstance(most, int)):
        raise RefusedSchema("minProperties", path, "no whole number")
    if most is None and least <= len(needed):
        found.pop("minProperties", None)
        return []
    if not free:
        return []
    is_open = found.get("additionalProperties", True) is not False or bool(found.get("patternProperties"))
    bounds: JsonObject = {key: found.pop(key) for key in ("minProperties", "maxProperties") if key in found}
    if most is None and least - len(needed) == 1:
        return [_one_at_least(free, bounds, is_open=is_open)]
    sizes = range(max(0, least - len(needed)) if not is_open else 0, 1 + min(len(free), len(free) if most is None else most - len(needed)))
    sets = [chosen for size in sizes for chosen in combinations(free, size)] if len(free) <= 12 else []
    if not sets or len(sets) > _MAX_SETS:
        raise RefusedSchema("maxProperties" if most is not None else "minProperties", path, "too many properties that may be left out")
    ways: list[JsonValue] = []
    for chosen in sets:
        absent: JsonObject = {name: False for name in free if name not in chosen}
        ways.append({"required": [*needed, *chosen], "properties": absent, **(bounds if is_open else {})})
        if is_open:
            ways[-1] = {**ways[-1], "properties": {**dict.fromkeys((*needed, *chosen), True), **absent}}  # type: ignore[dict-item]
    return [{"anyOf": ways}]


def _one_at_least(free: Sequence[str], bounds: JsonObject, *, is_open: bool) -> JsonValue:
    ways: list[JsonValue] = [{"required": [name]} for name in free]
    if is_open:
        ways.append({"properties": dict.fromkeys(free, False), **bounds})
    return {"anyOf": ways}


def _merged(patterns: JsonObject) -> JsonObject:
    """Patterns whose properties are alike become one: only those that have no name in common can be followed."""
    groups: dict[str, tuple[list[str], JsonValue]] = {}
    for pattern, each in patterns.items():
        groups.setdefault(text_of(each), ([], each))[0].append(pattern)
    return {names[0] if len(names) == 1 else "|".join(f"({name})" for name in names): each for names, each in groups.values()}


def _by_names(schema: JsonObject, rewriting: Rewriting, path: str) -> JsonObject:
    """Names that are allowed become those of patternProperties, or of properties."""
    where = f"{path}/propertyNames"
    asked = rewriting.looked_up(schema["propertyNames"], where)
    left: JsonObject = {key: value for key, value in schema.items() if key != "propertyNames"}
    if asked is False:
        return {**left, "maxProperties": 0}
    if isinstance(asked, dict) and asked.get("type", "string") == "string" and not asked.keys() - _OF_A_NAME:
        return left
    others, named, patterns = left.get("additionalProperties", True), _dict(left, "properties"), _dict(left, "patternProperties")
    if patterns or not isinstance(asked, dict):
        raise RefusedSchema("propertyNames", path, "beside patternProperties")
    values = [asked["const"]] if "const" in asked else asked.get("enum")
    if isinstance(values, list):
        if unknown := asked.keys() - {"const" if "const" in asked else "enum"} - _OF_A_NAME:
            raise RefusedSchema("propertyNames", path, f"{min(unknown)} beside its values")
        if asked.get("type", "string") != "string":
            raise RefusedSchema("propertyNames", path, "names are texts")
        allowed = dict.fromkeys(each for each in values if isinstance(each, str))
        more: JsonObject = {name: others for name in allowed if name not in named}
        kept = {name: each if name in allowed else False for name, each in named.items()}
        return {**left, "properties": {**kept, **more}, "additionalProperties": False}
    pattern = _pattern_of(asked, where)
    kept = {name: each if _matches(pattern, name, where) else False for name, each in named.items()}
    if others is False:
        return {**left, "properties": kept}
    if kept and others is not True and others != {}:
        raise RefusedSchema("propertyNames", path, "beside properties, where all others are judged as well")
    return {**left, "properties": kept, "patternProperties": {pattern: others}, "additionalProperties": False}


def _pattern_of(asked: JsonObject, path: str) -> str:
    least, most = asked.get("minLength", 0), asked.get("maxLength", "")
    has_length = bool(asked.keys() & {"minLength", "maxLength"})
    unknown = asked.keys() - {"pattern", "minLength", "maxLength"} - _OF_A_NAME
    if unknown or (has_length and "pattern" in asked) or asked.get("type", "string") != "string":
        raise RefusedSchema("propertyNames", path, f"{min(unknown, default='two keywords')} cannot be followed in names")
    return str(asked["pattern"]) if "pattern" in asked else f"^[\\s\\S]{{{least},{most}}}$"


def _matches(pattern: str, name: str, path: str) -> bool:
    """Whether a name matches; of patterns that could look for it for long it is not asked."""
    if "(" in pattern or len(name) > _MAX_NAME or sum(map(pattern.count, "*+?{")) > _MAX_REPEATED:
        raise RefusedSchema("propertyNames", path, "its pattern is too long to be tried on the properties")
    try:
        return re.search(pattern, name) is not None
    except re.error as error:
        raise RefusedSchema("propertyNames", path, "its pattern cannot be read") from error


def _dict(schema: JsonObject, key: str) -> JsonObject:
    value = schema.get(key)
    return dict(value) if isinstance(value, dict) else {}


def _strings(schema: JsonObject, key: str) -> list[str]:
    value = schema.get(key)
    return [str(each) for each in value] if isinstance(value, list) else []
