"""Says a schema anew with keywords that can be followed token by token: what it says refuses nothing less than the schema as it came.

    not, if, oneOf                        cases, of which each says what it must not be (`schema_negation`)
    dependencies, min- and maxProperties  cases by which properties are there (`schema_objects`)
    propertyNames                         patternProperties, additionalProperties (`schema_objects`)
    unevaluatedProperties and -Items      cases by which of the other schemas hold (`schema_unevaluated`)
    contains                              cases by where the item stands (`schema_lists`)

Some documents are lost: items that `contains` asks for stand among the first of a list, and where choices of `oneOf` overlap, what keeps
to both is none. Names are looked up, so that nothing depends on where in the text a schema stood. Source: JSON Schema, drafts 4 to 2020-12.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from hanlin.engines import schema_lists, schema_objects, schema_unevaluated
from hanlin.engines.schema_disjoint import is_disjoint
from hanlin.engines.schema_formats import IDLE, KNOWN, NO_LEAP_SECOND, PATTERNS, SAME
from hanlin.engines.schema_negation import Negation
from hanlin.engines.schema_patterns import Patterns
from hanlin.engines.schema_places import MAX_CHAIN, References, RefusedSchema
from hanlin.types import JsonObject, JsonValue

MAX_NODES = 20_000  # schemas that are said anew; a second of Python
MAX_COMPARED = 100_000  # schemas, and what they list, that are compared two by two: a second or so
MAX_CASES = 12  # choices of which each says that it is none of the others
_KEPT = (
    "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
    "pattern", "minItems", "maxItems", "required", "minProperties", "maxProperties",
)  # fmt: skip
_UNKNOWN = ("extends", "disallow", "divisibleBy", "propertyDependencies", "x-guidance")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Rewriting:
    """Of one schema.

    Args:
        root: with what drafts say differently made the same (`json_schemas`).
        is_bounded: patterns bound their texts themselves, where `maxLength` stands beside them.
    """

    def __init__(self, root: JsonObject, *, is_bounded: bool = False) -> None:
        self._root, self._references, self._is_bounded = root, References(root), is_bounded
        self.patterns = Patterns()
        self._negation = Negation(self.named, self.patterns)
        self._names: dict[int, str] = {}
        self._todo: list[tuple[str, JsonValue, str]] = []
        self._num_nodes, self._num_compared = 0, 0
        self.texts: dict[int, tuple[JsonObject, frozenset[str]]] = {}  # of `schema_disjoint`

    def whole(self) -> JsonObject:
        """The schema said anew. Raises RefusedSchema."""
        found = self.schema(self._root, "#")
        defined: JsonObject = {}
        while self._todo:
            name, target, path = self._todo.pop()
            defined[name] = self.schema(target, path)
        if not isinstance(found, dict):
            raise RefusedSchema("schema", "#", "it allows no document") if found is False else RefusedSchema("schema", "#", "no object")
        return {**found, "$defs": defined} if defined else found

    def schema(self, schema: JsonValue, path: str) -> JsonValue:
        """One of them."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise RefusedSchema("schema", path, "neither an object nor true or false")
        self.count(path)
        if unknown := [key for key in _UNKNOWN if key in schema]:
            raise RefusedSchema(unknown[0], path, "no keyword of JSON Schema")
        origin, joined = schema, list[JsonValue]()
        schema, unevaluated = schema_unevaluated.plainer(schema, self, path)
        schema = schema_objects.plainer(schema, self, path)
        found: JsonObject = {key: schema[key] for key in _KEPT if key in schema}
        if self._is_bounded:
            self._bound(found)
        if isinstance(pattern := found.get("pattern"), str):
            found["pattern"], *more = self.patterns.plain(pattern)
            joined += [{"pattern": each} for each in more]
        joined += self._format(found, schema, path)
        joined += schema_lists.kept(found, schema, self, path)
        joined += schema_objects.kept(found, schema, self, path)
        cases = [*unevaluated, *self._cases(schema, path), *schema_objects.cases(schema, path), *schema_lists.cases(schema, path)]
        joined += [self.schema(each, where) for each, where in cases]
        return self._joined(found, origin, joined, path)

    def count(self, path: str, num: int = 1) -> None:
        """So many schemas more are gone through. Raises RefusedSchema after too many."""
        self._num_nodes += num
        if self._num_nodes > MAX_NODES:
            raise RefusedSchema("schema", path, f"more than {MAX_NODES} schemas once all cases are spelt out")

    def compare(self, num: int) -> None:
        """So much more is compared. Raises RefusedSchema after too much."""
        self._num_compared += num
        if self._num_compared > MAX_COMPARED:
            raise RefusedSchema("oneOf", "", "too much to compare")

    def named(self, schema: JsonObject, path: str) -> tuple[JsonValue, str]:
        """What the reference of a schema names, and where that stands."""
        target, chain = self._references.target(schema, path), 0
        while isinstance(target, dict) and target.keys() <= {"$ref"} and target:
            target, chain = self._references.target(target, path), chain + 1
            self.count(path)
            if chain > MAX_CHAIN:
                raise RefusedSchema("$ref", path, f"more than {MAX_CHAIN} references in a row")
        return target, str(schema.get("$ref", path))

    def looked_up(self, schema: JsonValue, path: str) -> JsonValue:
        """The schema itself, or what it names where it is but a reference."""
        is_name = (
            isinstance(schema, dict) and schema.keys() & set(_REFERENCES) and not schema.keys() - {*_REFERENCES, "title", "description"}
        )
        return self.named(schema, path)[0] if is_name and isinstance(schema, dict) else schema

    def turned(self, schema: JsonValue, path: str) -> JsonValue:
        """All that a schema refuses."""
        return self._negation.of(schema, path)

    def _joined(self, found: JsonObject, schema: JsonObject, joined: list[JsonValue], path: str) -> JsonValue:
        if schema.keys() & set(_REFERENCES):
            target, where = self.named(schema, path)
            if id(target) not in self._names:
                self._names[id(target)] = f"d{len(self._names)}"
                self._todo.append((self._names[id(target)], target, where))
            found["$ref"] = f"#/$defs/{self._names[id(target)]}"
        for number, each in enumerate(_list(schema, "allOf")):
            joined.append(self.schema(each, f"{path}/allOf/{number}"))
        if "anyOf" in schema:
            choices = [self.schema(each, f"{path}/anyOf/{number}") for number, each in enumerate(_list(schema, "anyOf"))]
            joined.append(_choice(choices))
        joined = [each for each in joined if each is not True and each != {}]
        if any(each is False for each in joined):
            return False
        if not found and len(joined) == 1:
            return joined[0]
        if len(joined) == 1 and isinstance(joined[0], dict) and joined[0].keys() == {"anyOf"}:
            return found | joined[0]
        return {**found, "allOf": joined} if joined else found

    def _bound(self, found: JsonObject) -> None:
        pattern, least, most = found.get("pattern"), found.get("minLength", 0), found.get("maxLength")
        if isinstance(pattern, str) and isinstance(least, int) and isinstance(most, int):
            bounds = self.patterns.bounded(pattern, least, most)
            if bounds is not None:
                found["pattern"] = bounds[0]
                for key in ("maxLength", *(["minLength"] if bounds[1] else [])):
                    found.pop(key, None)

    def _format(self, found: JsonObject, schema: JsonObject, path: str) -> list[JsonValue]:
        name = schema.get("format")
        if not isinstance(name, str) or name in IDLE:
            return []
        if name in PATTERNS:
            return [{"pattern": PATTERNS[name]}]
        if SAME.get(name, name) not in KNOWN:
            raise RefusedSchema("format", path, f"{name[:30]} is not known")
        found["format"] = SAME.get(name, name)
        return [{"pattern": NO_LEAP_SECOND}] if name in ("time", "date-time") else []

    def _cases(self, schema: JsonObject, path: str) -> list[tuple[JsonValue, str]]:
        found: list[tuple[JsonValue, str]] = []
        if "not" in schema:
            found.append((self.turned(schema["not"], f"{path}/not"), f"{path}/not"))
        if "if" in schema and ("then" in schema or "else" in schema):
            met: JsonValue = {"allOf": [schema["if"], schema.get("then", True)]}
            unmet: JsonValue = {"allOf": [self.turned(schema["if"], f"{path}/if"), schema.get("else", True)]}
            found.append(({"anyOf": [met, unmet]}, f"{path}/if"))
        if "oneOf" in schema:
            found.append((self._one_of(_list(schema, "oneOf"), schema, f"{path}/oneOf"), f"{path}/oneOf"))
        return found

    def _one_of(self, choices: list[JsonValue], schema: JsonObject, path: str) -> JsonValue:
        known = [self.looked_up(each, path) for each in choices]
        beside: list[list[JsonValue]] = [[] for _ in known]
        overlapping: set[int] = set()
        for one, two in combinations(range(len(known)), 2):
            if is_disjoint(known[one], known[two], self, schema):
                continue
            beside[one].append(known[two])
            beside[two].append(known[one])
            overlapping |= {one, two}
            if len(overlapping) > MAX_CASES:
                raise RefusedSchema("oneOf", path, "too many choices that do not shut each other out")
        turned: dict[int, JsonValue] = {}
        found: list[JsonValue] = []
        for choice, others in zip(choices, beside, strict=True):
            for other in others:
                turned.setdefault(id(other), self.turned(other, path))
            found.append({"allOf": [choice, *(turned[id(other)] for other in others)]} if others else choice)
        return {"anyOf": found}


def _choice(choices: Sequence[JsonValue]) -> JsonValue:
    left = [each for each in choices if each is not False]
    if any(each is True or each == {} for each in left):
        return True
    return {"anyOf": left} if len(left) > 1 else left[0] if left else False


def _list(schema: JsonObject, key: str) -> list[JsonValue]:
    value = schema.get(key, [])
    return value if isinstance(value, list) else [value]
