"""How values are written on a page: shares, sizes, times. Language enters only where words do."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hanlin.messages.figures import is_share
from hanlin.types import JsonValue

ABSENT = "–"


def share(value: float | None) -> str:
    """A figure of quality: percents, or a plain number where it is none of a whole, such as a perplexity."""
    return percent(value) if value is None or abs(value) <= 1 else number(value, 2)


def figure(value: float, name: str) -> str:
    """The figure of an evaluation by its name: percents where it is a share, else three decimals."""
    return percent(value) if is_share(name) else number(value, 3)


def percent(value: float | None, digits: int = 1) -> str:
    """A share of 1 as per cent."""
    return ABSENT if value is None else f"{value * 100:.{digits}f}\u202f%"


def number(value: float | None, digits: int = 1) -> str:
    """A figure with thin thousands spaces; small ones keep `digits` decimals, tiny ones their exponent."""
    if value is None:
        return ABSENT
    if value != 0 and abs(value) < 10**-digits / 2:
        return f"{value:.1e}"
    shown = f"{value:,.{0 if abs(value) >= 1000 or float(value).is_integer() else digits}f}"
    return shown.replace(",", "\u202f")


def milliseconds(value: float | None) -> str:
    """A time; below a twentieth of a millisecond it is called none."""
    return ABSENT if value is None else f"{number(0.0 if value < 0.05 else value)}\u202fms"


def size(value: int | None) -> str:
    """Bytes as MB or kB (decimal)."""
    if value is None:
        return ABSENT
    return f"{value / 1e6:,.1f}\u202fMB" if value >= 1e6 else f"{value / 1e3:,.1f}\u202fkB"


def moment(value: datetime | None) -> str:
    """A time to the minute, UTC; the page's script turns it into local time."""
    return ABSENT if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def iso(value: datetime | None) -> str:
    """The machine form of a time."""
    return "" if value is None else value.astimezone(UTC).isoformat(timespec="seconds")


def duration(start: datetime | None, end: datetime | None) -> str:
    """How long it took, such as `4:07`; to now when it has not ended."""
    if start is None:
        return ABSENT
    seconds = max(0, int(((end or datetime.now(UTC)) - start).total_seconds()))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def heat(part: int, whole: int) -> int:
    """Ten shades of a share, 0..10, for the confusion matrix."""
    return round(10 * part / whole) if whole else 0


def pretty(value: JsonValue) -> str:
    """JSON for people; half characters become question marks so that any stored text can be shown."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode()


def option(value: object) -> str:
    """A training option: a word as it is, a number with three digits."""
    return ABSENT if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


FILTERS = {
    "option": option,
    "pretty": pretty,
    "percent": percent,
    "share": share,
    "figure": figure,
    "number": number,
    "ms": milliseconds,
    "size": size,
    "moment": moment,
    "iso": iso,
}
