"""JSON as the inference API takes it: UTF-8, finite numbers, each key once, bounded depth and number of values, no lone surrogates.

Python's C scanner does the work and calls back per object and odd number only: about 4 µs for a short request.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import NoReturn

from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, JsonValue, nearest, shorten

MAX_DEPTH = 64
MAX_DIGITS = 400
MAX_MARKS = 120_000  # brackets, commas and colons: some 100 ms of parsing at worst
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(body: bytes) -> JsonValue:
    """The value of a JSON text.

    Raises:
        InvalidInput: `malformed_json` (400), `number_not_finite`, `duplicate_key`, `nested_too_deeply`,
            `too_many_values` (413), `invalid_unicode`.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput("malformed_json", position=error.start) from None
    _check_shape(text)
    try:
        value: JsonValue = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidInput("malformed_json", position=error.pos) from None
    except RecursionError:
        raise InvalidInput("nested_too_deeply", limit=MAX_DEPTH) from None
    if "\\u" in text:
        _check_unicode(value)
    return value


def parse_object(body: bytes, *, allowed: tuple[str, ...], required: tuple[str, ...]) -> JsonObject:
    """The JSON object of a body with `allowed` fields and all `required` ones.

    Raises:
        InvalidInput: as `parse`; `empty_body`, `body_not_an_object`, or as `check_fields`.
    """
    if not body:
        raise InvalidInput("empty_body")
    value = parse(body)
    if not isinstance(value, dict):
        raise InvalidInput("body_not_an_object")
    check_fields(value, allowed=allowed, required=required)
    return value


def check_fields(value: JsonObject, *, allowed: tuple[str, ...], required: tuple[str, ...]) -> None:
    """Raises InvalidInput (`unknown_field`, `missing_field`)."""
    for name in value:
        if name not in allowed:
            raise InvalidInput("unknown_field", name=shorten(name), near=nearest(name, allowed), choices=", ".join(allowed))
    for name in required:
        if name not in value:
            raise InvalidInput("missing_field", name=name)


def _object(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        times = Counter(name for name, _ in pairs)
        raise InvalidInput("duplicate_key", name=shorten(next(name for name in times if times[name] > 1)))
    return found


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidInput("number_not_finite")
    return number


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:  # far beyond any field of ours, and int() takes quadratic time
        raise InvalidInput("number_not_finite")
    number = int(text)
    if not -(2**63) <= number < 2**64:
        raise InvalidInput("number_not_finite")
    return number


def _constant(text: str) -> NoReturn:
    raise InvalidInput("number_not_finite")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant)


def _check_shape(text: str) -> None:
    """Refuse deep nesting before the recursive scanner sees it, and masses of small values, which hold up all other callers.

    Marks inside strings count too at first, hence the second look."""
    num_brackets = text.count("[") + text.count("{")
    if num_brackets <= MAX_DEPTH and num_brackets + text.count(",") <= MAX_MARKS // 4:  # at most four marks a value
        return
    depth = num_marks = 0
    for found in _STRUCTURE.finditer(text):
        mark = found[0]
        if mark[0] == '"':
            continue
        num_marks += 1
        if num_marks > MAX_MARKS:
            raise InvalidInput("too_many_values", limit=MAX_MARKS)
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidInput("nested_too_deeply", limit=MAX_DEPTH)
        elif mark in "]}":
            depth -= 1


# Possessive: no backtracking. A string without an end goes to the text's end, or each quote in it would be read anew.
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},:]', re.DOTALL)


def _check_unicode(value: JsonValue, index: int | None = None) -> None:
    if isinstance(value, str):
        if found := _SURROGATE.search(value):
            raise InvalidInput("invalid_unicode", index=index or 0, position=found.start())
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_unicode(item, number if index is None else index)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_unicode(name)
            _check_unicode(item, None if isinstance(item, list) else index)  # a list counts its own; a text is of the item it stands in
