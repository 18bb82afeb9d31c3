"""Forms whose making would take minutes or gigabytes are refused by their text: once begun, llguidance cannot be stopped.

Its fuel counts expressions, and misses two things. Parts of a regular expression that may each be nothing take the square of their number
(8,000 times `.*`: 12 s and 1.1 GB). Whether several expressions have a text in common is looked for without an end (`allOf` of 16 short
patterns: minutes). Knows no tokenizer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from hanlin.generation import ConstraintKind

MAX_OPEN = 2000  # marks of parts that may be nothing: 0.6 s and 90 MB
MAX_SHARED = 4  # expressions that one text may have to match
MAX_LARK_FUEL = 30_000  # rules that double one another reach thousands of open parts in a few lines
_OPEN = re.compile(r"[*?{]|\|\)|\(\||\|\||\(\)")
_IN_LARK = re.compile(r"[&~]")
_CHOICES = ("allOf", "anyOf", "oneOf")


def check_constraint(kind: ConstraintKind, text: str) -> None:
    """Raises ValueError with a reason that may be shown. A schema is JSON, and not nested without end."""
    if kind == "json_schema":
        _check_schema(text)
        return
    _check_open([text])
    if kind == "lark":
        if len(_IN_LARK.findall(text)) > MAX_SHARED:
            raise ValueError(f"more than {MAX_SHARED} of & and ~")
        if "%json" in text and len(re.findall("pattern|format", text)) > MAX_SHARED:
            raise ValueError(f"more than {MAX_SHARED} patterns beside %json")


def _check_open(patterns: list[str]) -> None:
    if sum(len(_OPEN.findall(pattern)) for pattern in patterns) > MAX_OPEN:
        raise ValueError(f"more than {MAX_OPEN} repeated or optional parts in regular expressions")


def _check_schema(text: str) -> None:
    parts = list(_parts(json.loads(text)))
    patterns = [pattern for part in parts for pattern in _patterns(part)]
    _check_open(patterns)
    if len(patterns) + sum("format" in part for part in parts) > MAX_SHARED and any(map(_is_joined, parts)):
        raise ValueError(f"more than {MAX_SHARED} patterns and formats in a schema with allOf, or that joins schemas otherwise")


def _parts(schema: object) -> Iterator[dict[str, object]]:
    """All objects of it, whatever they are there for."""
    if isinstance(schema, dict):
        yield schema
    if isinstance(schema, dict | list):
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from _parts(part)


def _patterns(part: dict[str, object]) -> Iterator[str]:
    if isinstance(pattern := part.get("pattern"), str):
        yield pattern
    if isinstance(named := part.get("patternProperties"), dict):
        yield from named


def _is_joined(part: dict[str, object]) -> bool:
    """Whether one value has to be of several schemas at once."""
    several = [found for name in _CHOICES if isinstance(found := part.get(name), list) and found]
    joined = part.get("allOf")
    count = len(several) + ("$ref" in part) + ("pattern" in part or "format" in part)
    return count > 1 or (isinstance(joined, list) and len(joined) > 1)
