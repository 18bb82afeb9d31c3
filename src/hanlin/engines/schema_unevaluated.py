"""`unevaluatedProperties` and `unevaluatedItems` said anew: what is judged nowhere else is asked for, case by case.

Which properties and items other schemas judge depends on which of them hold: each choice, condition and dependency is a case, in which it
holds, and what it judges is known. Of more than four choices of `anyOf` no two are taken together. Source: JSON Schema 2020-12, core, 11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

from hanlin.engines.schema_places import RefusedSchema
from hanlin.types import JsonObject, JsonValue

if TYPE_CHECKING:
    from hanlin.engines.schema_rewriting import Rewriting

MAX_CASES = 64
_MAX_DEPTH, _MAX_TOGETHER = 10, 4
_PROPERTIES, _ITEMS = "unevaluatedProperties", "unevaluatedItems"
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


@dataclass(frozen=True, slots=True)
class Case:
    """Attributes: asked: what holds in it; names, patterns, num_items: what is judged; has_all: of which keywords everything is."""

    asked: tuple[JsonValue, ...] = ()
    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    num_items: int = 0
    has_all: frozenset[str] = frozenset()

    def and_(self, other: Case) -> Case:
        """Both hold."""
        return Case(
            (*self.asked, *other.asked), self.names | other.names, self.patterns | other.patterns,
            max(self.num_items, other.num_items), self.has_all | other.has_all,
        )  # fmt: skip


_Judged = tuple[JsonValue, list[Case]]  # a schema, with the cases in which it holds


def plainer(schema: JsonObject, rewriting: Rewriting, path: str) -> tuple[JsonObject, list[tuple[JsonValue, str]]]:
    """The schema without the two keywords, and what has to hold beside it."""
    wanted = [key for key in (_PROPERTIES, _ITEMS) if schema.get(key) not in (None, True, {})]
    if not wanted:
        return schema, []
    left: JsonObject = {key: value for key, value in schema.items() if key not in (_PROPERTIES, _ITEMS)}
    more: list[tuple[JsonValue, str]] = []
    for key in wanted:
        cases = _cases(schema, rewriting, path, key, 0)
        asked = [_asked(case, key, schema[key]) for case in cases]
        if len(cases) == 1 and not cases[0].asked:
            left = _beside(left, asked[0])
        else:
            more.append(({"anyOf": [*asked]}, f"{path}/{key}"))
    return left, more


def _asked(case: Case, keyword: str, others: JsonValue) -> JsonObject:
    found: JsonObject = {"allOf": [*case.asked]} if case.asked else {}
    if keyword in case.has_all:
        return found
    if keyword == _ITEMS:
        return {**found, **({"prefixItems": [True] * case.num_items} if case.num_items else {}), "items": others}
    named: JsonObject = dict.fromkeys(sorted(case.names), True)
    patterns: JsonObject = dict.fromkeys(sorted(case.patterns), True)
    return {**found, **({"properties": named} if named else {}), **({"patternProperties": patterns} if patterns else {}),
            "additionalProperties": others}  # fmt: skip


def _beside(schema: JsonObject, asked: JsonObject) -> JsonObject:
    """The one case in the schema's own words, which keep the order of its properties."""
    found = {**asked, **schema}
    for key in ("properties", "patternProperties"):
        own, more = schema.get(key), asked.get(key)
        if isinstance(more, dict):
            found[key] = {**(own if isinstance(own, dict) else {}), **more, **(own if isinstance(own, dict) else {})}
    own_first, first = schema.get("prefixItems"), asked.get("prefixItems")
    if isinstance(own_first, list) and isinstance(first, list):
        found["prefixItems"] = [*own_first, *first[len(own_first) :]]
    return found


def _cases(schema: JsonValue, rewriting: Rewriting, path: str, keyword: str, depth: int) -> list[Case]:
    """The cases of one schema, in each of which it holds."""
    if not isinstance(schema, dict):
        return [Case()]
    if depth > _MAX_DEPTH:
        raise RefusedSchema(keyword, path, "beside $ref")
    if unread := [key for key in ("dependencies", *(["contains"] if keyword == _ITEMS else [])) if key in schema]:
        raise RefusedSchema(keyword, path, f"beside {unread[0]}")

    def inner(each: JsonValue) -> list[Case]:
        return _cases(each, rewriting, path, keyword, depth + 1)

    def all_hold(parts: Sequence[_Judged]) -> list[Case]:
        return _multiplied([[Case((schema,)).and_(case) for case in cases] for schema, cases in parts], keyword, path)

    own = _own(schema, depth)
    rewriting.count(path, 1 + len(own.names) + len(own.patterns))
    factors = [[own], *(inner(each) for each in _list(schema, "allOf"))]
    if schema.keys() & _REFERENCES:
        factors.append(inner(rewriting.named(schema, path)[0]))
    if "anyOf" in schema:
        choices: list[_Judged] = [(each, inner(each)) for each in _list(schema, "anyOf")]
        factors.append([case for some in _together(choices) for case in all_hold(some)])
    if "oneOf" in schema:
        factors.append([case for each in _list(schema, "oneOf") for case in all_hold([(each, inner(each))])])
    if "if" in schema:
        met = [(schema["if"], inner(schema["if"])), (schema.get("then", True), inner(schema.get("then", True)))]
        unmet: list[_Judged] = [({"not": schema["if"]}, [Case()]), (schema.get("else", True), inner(schema.get("else", True)))]
        factors.append([*all_hold(met), *all_hold(unmet)])
    dependent = schema.get("dependentSchemas")
    for name, each in dependent.items() if isinstance(dependent, dict) else ():
        there: JsonValue = {"required": [name]}
        factors.append([Case(({"properties": {name: False}},)), *all_hold([(there, [Case()]), (each, inner(each))])])
    return _multiplied(factors, keyword, path)


def _own(schema: JsonObject, depth: int) -> Case:
    named, patterns, first = schema.get("properties"), schema.get("patternProperties"), schema.get("prefixItems")
    of_objects = "additionalProperties" in schema or (depth and _PROPERTIES in schema)
    of_lists = "items" in schema or (depth and _ITEMS in schema)
    everything = frozenset(key for key, is_all in ((_PROPERTIES, of_objects), (_ITEMS, of_lists)) if is_all)
    return Case((), frozenset(named if isinstance(named, dict) else ()), frozenset(patterns if isinstance(patterns, dict) else ()),
                len(first) if isinstance(first, list) else 0, everything)  # fmt: skip


def _multiplied(factors: Iterable[list[Case]], keyword: str, path: str) -> list[Case]:
    found = [Case()]
    for cases in factors:
        if len(found) * len(cases) > MAX_CASES:
            raise RefusedSchema(keyword, path, f"more than {MAX_CASES} cases of what other schemas judge")
        found = [one.and_(other) for one, other in product(found, cases)]
    return found


def _together(choices: Sequence[_Judged]) -> Iterable[Sequence[_Judged]]:
    most = len(choices) if len(choices) <= _MAX_TOGETHER else 1
    return (some for size in range(1, most + 1) for some in combinations(choices, size))


def _list(schema: JsonObject, key: str) -> list[JsonValue]:
    value = schema.get(key, [])
    return value if isinstance(value, list) else [value]
