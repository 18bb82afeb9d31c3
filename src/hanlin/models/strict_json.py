"""A stranger's JSON file read strictly: no NaN or Infinity, no name twice, no number beyond a double, no half of a surrogate
pair, wherever it stands."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, JsonValue, shorten


def read_object(path: Path, *, max_bytes: int) -> JsonObject:
    """The JSON object in `path`. Raises InvalidInput (`not_strict_json`) as `read` does."""
    found = read(path, max_bytes=max_bytes)
    if not isinstance(found, dict):
        raise InvalidInput("not_strict_json", file=path.name, problem=f"{type(found).__name__}, {{…}}?")
    return found


def read(path: Path, *, max_bytes: int) -> JsonValue:
    """The JSON value in `path`. Raises InvalidInput (`not_strict_json`) naming the file and what is wrong in it.

    Source: RFC 8259, sections 4 (names should be unique) and 6 (Infinity and NaN are not permitted).
    """
    if path.stat().st_size > max_bytes:
        raise InvalidInput("not_strict_json", file=path.name, problem=f"> {max_bytes:,} bytes")
    try:
        text = path.read_bytes().decode("utf-8")
        found = json.loads(
            text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique
        )  # fmt: skip
        if "\\u" in text:  # only an escape can hide half a pair: the file itself is UTF-8
            _check_unicode(found)
    except _Refused as error:
        raise InvalidInput("not_strict_json", file=path.name, problem=error.what) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput("not_strict_json", file=path.name, problem="JSON, UTF-8?") from error
    return cast("JsonValue", found)


class _Refused(ValueError):
    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def _check_unicode(found: object) -> None:
    try:
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _Refused("\\ud800…\\udfff?") from error


def _refuse(word: str) -> object:
    raise _Refused(word)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Refused(shorten(digits))
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise _Refused(f"{shorten(name)} × 2")
        found[name] = value
    return found
