"""Figures and foreign JSON in a model card: what is missing or of the wrong kind becomes a dash or nothing."""

from __future__ import annotations

import json
from datetime import datetime

from hanlin.types import JsonObject, JsonValue

NONE = "–"


def as_object(value: JsonValue) -> JsonObject:
    """The value when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: JsonValue) -> list[JsonValue]:
    """The value when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def number(value: JsonValue, *path: str) -> float | None:
    """The number below the names of `path`, or None."""
    for name in path:
        value = as_object(value).get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def percent(value: JsonValue) -> str:
    """A share as percents."""
    return f"{value * 100:.2f} %" if isinstance(value, int | float) else NONE


def figure(value: float | None, *, digits: int = 2) -> str:
    """A number with `digits` decimals."""
    return NONE if value is None else f"{round(value, digits) + 0.0:,.{digits}f}"  # adding 0 makes -0.0 plain


def megabytes(value: float | None) -> str:
    """Bytes as decimal megabytes."""
    return NONE if value is None else f"{value / 1e6:,.1f}"


def plain(value: JsonValue) -> str:
    """A setting on one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def moment(value: datetime) -> str:
    """A time to the minute, in UTC."""
    return value.strftime("%Y-%m-%d %H:%M UTC")
