"""Forms whose making would take minutes or gigabytes are refused by their text: once begun, llguidance cannot be stopped.

Its fuel counts expressions, and misses some things. Parts of a regular expression that may each be nothing take the square of their number
(8,000 times `.*`: 12 s and 1.1 GB). Whether several expressions have a text in common takes longer with each of them (10 short patterns of
which all must match one text: 0.13 s, 12: 1.8 s, 16: minutes). Knows no tokenizer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from hanlin.generation import ConstraintKind
from hanlin.types import JsonObject, JsonValue

MAX_OPEN = 2000  # marks of parts that may be nothing: 0.6 s and 90 MB
MAX_SHARED = 10  # expressions that one text may have to match
MAX_WAYS = 200_000  # combinations of choices that a value may have to keep to at once: a second or three
_CHEAP, _DEARER = 4, 4  # expressions that are joined in no time, and how much longer it takes with each one more
MAX_LARK_FUEL = 30_000  # rules that double one another reach thousands of open parts in a few lines
_OPEN = re.compile(r"[*?{]|\|\)|\(\||\|\||\(\)")
_IN_LARK = re.compile(r"[&~]")
_MAX_IN_LARK = 4
MAX_MULTIPLE = 10_000  # digits without zeros at their ends: a state each; 9,973 takes 0.2 s, 999,983 half a minute
_MULTIPLE = re.compile(r'"multipleOf"\s*:\s*([^\s,}]+)')
MAX_COUNTED = 16  # times, of counted parts that & or ~ stand beside: each may double what is to be tried
_COUNTED = re.compile(r"\{(?:[0-9]*,)?([0-9]*)\}")


def check_constraint(kind: ConstraintKind, text: str) -> None:
    """Raises ValueError with a reason that may be shown. A schema is one that `json_schemas.plainer` has said anew."""
    if kind == "json_schema":
        _check_schema(json.loads(text))
        return
    _check_open([text])
    if kind == "lark":
        for found in _MULTIPLE.findall(text):
            _check_multiple(found)
        if _IN_LARK.search(text) and sum(int(count[:9] or 0) for count in _COUNTED.findall(text)) > MAX_COUNTED:
            raise ValueError(f"parts repeated more than {MAX_COUNTED} times together, beside & or ~")
        if len(_IN_LARK.findall(text)) > _MAX_IN_LARK:
            raise ValueError(f"more than {_MAX_IN_LARK} of & and ~")
        if "%json" in text and len(re.findall("pattern|format", text)) > _MAX_IN_LARK:
            raise ValueError(f"more than {_MAX_IN_LARK} patterns beside %json")


def _check_multiple(value: object) -> None:
    try:
        digits = Decimal(str(value)).normalize().as_tuple().digits
    except InvalidOperation:
        return  # no number: llguidance says so
    if len(digits) > len(str(MAX_MULTIPLE)) or int("".join(map(str, digits)) or "0") > MAX_MULTIPLE:
        raise ValueError(f"multipleOf with more than {MAX_MULTIPLE} in its digits")


def _check_open(patterns: Iterable[str]) -> None:
    if sum(len(_OPEN.findall(pattern)) for pattern in patterns) > MAX_OPEN:
        raise ValueError(f"more than {MAX_OPEN} repeated or optional parts in regular expressions")


def _check_schema(root: JsonObject) -> None:
    defined = root.get("$defs")
    work = _Work(defined if isinstance(defined, dict) else {})
    found = [work.of(root), *(work.of(each) for each in work.defined.values())]
    _check_open(work.patterns)
    if max(shared for shared, _ in found) > MAX_SHARED:
        raise ValueError(f"more than {MAX_SHARED} patterns and formats that one text must match, by allOf or schemas joined otherwise")
    if max(ways * _DEARER ** max(0, shared - _CHEAP) for shared, ways in found) > MAX_WAYS:
        raise ValueError(f"more than {MAX_WAYS} combinations of choices (anyOf, oneOf) that one value must keep to, by allOf")


class _Work:
    """How much a schema asks of one value: at most so many expressions, in so many ways."""

    def __init__(self, defined: JsonObject) -> None:
        self.defined = defined
        self.patterns: list[str] = []
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, schema: JsonValue) -> tuple[int, int]:
        if not isinstance(schema, dict):
            return 0, 1
        if "multipleOf" in schema:
            _check_multiple(schema["multipleOf"])
        own = int("pattern" in schema) + int("format" in schema)
        if isinstance(pattern := schema.get("pattern"), str):
            self.patterns.append(pattern)
        inside = [self.of(each) for each in self._inside(schema)]
        shared, ways = max([own, *(each[0] for each in inside)]), max([1, *(each[1] for each in inside)])
        for more, factor in self._beside(schema):
            shared, ways = shared + more, min(ways * factor, MAX_WAYS + 1)
        return shared, ways

    def _inside(self, schema: JsonObject) -> Iterable[JsonValue]:
        for key in ("properties", "patternProperties"):
            if isinstance(value := schema.get(key), dict):
                self.patterns += value if key == "patternProperties" else []
                yield from value.values()
        yield from (schema[key] for key in ("items", "additionalProperties") if key in schema)
        if isinstance(first := schema.get("prefixItems"), list):
            yield from first

    def _beside(self, schema: JsonObject) -> Iterable[tuple[int, int]]:
        joined = schema.get("allOf")
        yield from map(self.of, joined if isinstance(joined, list) else [])
        if isinstance(choices := schema.get("anyOf"), list):
            found = [self.of(each) for each in choices]
            yield max((each[0] for each in found), default=0), max(1, sum(each[1] for each in found))
        if isinstance(reference := schema.get("$ref"), str):
            yield self._named(reference)

    def _named(self, reference: str) -> tuple[int, int]:
        """Of a definition that names itself, nothing more: llguidance refuses to join what goes round."""
        if reference not in self._known:
            self._known[reference] = (0, 1)
            self._known[reference] = self.of(self.defined.get(reference.removeprefix("#/$defs/")))
        return self._known[reference]
