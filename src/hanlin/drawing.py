"""Pieces of SVG that pictures are made of: no scripts, no fonts from elsewhere, light and dark by the reader's setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

STYLE = """
svg{font:13px system-ui,-apple-system,"Segoe UI","Noto Sans","PingFang SC","Microsoft YaHei",sans-serif;
--ink:#1d2433;--soft:#667085;--line:#e4e7ec;--paper:#fff;--a:#2f6fde;--b:#e0702b;--c:#159570;--on:#fff}
@media(prefers-color-scheme:dark){svg{--ink:#e7eaf0;--soft:#98a2b3;--line:#323a4a;--paper:#151a23;
--a:#6ea3ff;--b:#f59a5f;--c:#4ccf9f;--on:#0e1320}}
text{fill:var(--ink)}.soft{fill:var(--soft);font-size:12px}.title{font-size:15px;font-weight:600}
.num{font-variant-numeric:tabular-nums}.on{fill:var(--on)}.small{font-size:11px;opacity:.75}
"""


def polyline(points: Sequence[tuple[float, float]], colour: str, *, width: float = 2.0, dots: bool = False) -> str:
    """A line through `points`, with a dot on each when asked."""
    if not points:
        return ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'
    return line + "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points if dots)


def bounds(values: Sequence[float], *, from_zero: bool) -> tuple[float, float]:
    """A scale with room: from zero for losses, cut at three times the median so that one spike does not flatten the rest."""
    finite = sorted(value for value in values if math.isfinite(value))
    if not finite:
        return 0.0, 1.0
    if from_zero:
        return 0.0, max(min(finite[-1], 3 * finite[len(finite) // 2]), 1e-6) * 1.05
    room = max(finite[-1] - finite[0], 0.02) * 0.15
    return max(0.0, finite[0] - room), min(1.0, finite[-1] + 2 * room)


def text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> str:
    """A line of text; `kind` are classes of the style."""
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    """The whole picture on a rounded sheet."""
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(title)}</title><style>{STYLE}</style>'
    return head + '<rect width="100%" height="100%" rx="10" fill="var(--paper)"/>' + "".join(parts) + "</svg>\n"


def text_width(words: str) -> float:
    """Width in letters; an ideograph counts for two."""
    return sum(2.0 if ord(character) > 0x2E80 else 1.0 for character in words)


def clip(words: str, limit: int) -> str:
    """At most `limit` characters of `words`."""
    return words if len(words) <= limit else words[: limit - 1] + "…"
