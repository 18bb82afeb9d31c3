"""Careful reading of foreign JSON for display: wrong or missing parts become blanks, never a crash."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from hanlin.types import JsonValue

Json = object


def part(value: Json, *names: str) -> Json:
    """The value below `names`, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def items(value: Json) -> list[Json]:
    """The elements of a list, or none."""
    return list(value) if isinstance(value, list | tuple) else []


def pairs(value: Json) -> list[tuple[str, Json]]:
    """Names and values of an object, or none."""
    return [(str(name), item) for name, item in value.items()] if isinstance(value, Mapping) else []


def number(value: Json) -> float | None:
    """The number, or None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def words(value: Json) -> str:
    """The value as short text; blank for None."""
    return "" if value is None else str(value)


def percent(value: Json, digits: int = 1) -> str:
    """A share as percents."""
    found = number(value)
    return "" if found is None else f"{100 * found:.{digits}f} %"


def figure(value: Json, digits: int = 2) -> str:
    """A number with `digits` decimals; whole numbers with thousands separated."""
    found = number(value)
    if found is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{round(found, digits) + 0.0:,.{digits}f}"  # adding 0 makes -0.0 plain


def size(value: Json) -> str:
    """Bytes in a unit that reads well."""
    found = number(value)
    if found is None:
        return ""
    for unit in ("B", "KB", "MB", "GB"):
        if found < 1000 or unit == "GB":
            return f"{found:.0f} {unit}" if unit == "B" or found >= 100 else f"{found:.1f} {unit}"
        found /= 1000
    raise AssertionError


def moment(value: datetime | None) -> str:
    """A time in the local zone, to the minute."""
    return "" if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M")


__all__ = ["JsonValue", "figure", "items", "moment", "number", "pairs", "part", "percent", "size", "words"]
