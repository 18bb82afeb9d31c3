"""The stored findings of a check as the values of `views_check.py`. Whatever is absent or odd is left out, never an error."""

from __future__ import annotations

from hanlin.console.reading import child, objects, real, text, whole
from hanlin.console.views_check import CheckView, DoubtfulRow, DoubtsView, LabelProfile, LengthBar, NearPair, RowText, Share
from hanlin.types import JsonObject

SHOWN = 20  # pairs, doubts, labels


def read_check(found: JsonObject | None) -> CheckView | None:
    """None where nobody has looked yet."""
    if not found:
        return None
    twins, tokens, rows = child(found, "twins"), child(found, "tokens"), whole(found, "rows") or 0
    leaks = child(twins, "leaks")
    return CheckView(
        rows=rows,
        likeness=real(found, "likeness") or 0.0,
        near_rows=whole(twins, "rows") or 0,
        groups=whole(twins, "groups") or 0,
        largest=whole(twins, "largest_group") or 0,
        other_labels=whole(twins, "other_labels") or 0,
        leaks=whole(leaks, "total") or 0,
        leak_splits=tuple((name, count) for name in ("validation", "test") if (count := whole(leaks, name))),
        pairs=tuple(_pair(item) for item in objects(twins.get("pairs"))[:SHOWN]),
        doubts=_doubts(child(found, "doubts")),
        limit=whole(tokens, "limit") or 0,
        cut=whole(tokens, "cut") or 0,
        counted_by=text(tokens, "by"),
        bars=_bars(tokens),
        languages=_shares(found, rows),
        labels=tuple(_label(item) for item in objects(found.get("labels"))[:SHOWN]),
    )


def _row(item: JsonObject) -> RowText:
    return RowText(text(item, "split"), whole(item, "row") or 0, text(item, "text"))


def _pair(item: JsonObject) -> NearPair:
    return NearPair(real(item, "likeness") or 0.0, _row(child(item, "first")), _row(child(item, "second")))


def _doubts(found: JsonObject) -> DoubtsView | None:
    if not found:
        return None
    first = tuple(
        DoubtfulRow(_row(item), text(item, "given"), text(item, "seems"), text(item, "words"))
        for item in objects(found.get("first"))[:SHOWN]
    )
    return DoubtsView(
        whole(found, "rows") or 0, whole(found, "suspects") or 0, real(found, "right") or 0.0, real(found, "plain") or 0.0, first
    )  # fmt: skip


def _bars(tokens: JsonObject) -> tuple[LengthBar, ...]:
    """A bar counts as cut when all of its texts are too long."""
    limit, bars, before = whole(tokens, "limit") or 0, objects(tokens.get("bars")), 0
    highest = max((whole(bar, "rows") or 0 for bar in bars), default=0) or 1
    found = []
    for bar in bars:
        edge, rows = whole(bar, "up_to") or 0, whole(bar, "rows") or 0
        found.append(LengthBar(f"≤ {edge}" if edge else f"> {before}", rows, 100 * rows / highest, before >= limit > 0))
        before = edge
    return tuple(found)


def _shares(found: JsonObject, rows: int) -> tuple[Share, ...]:
    languages = [(text(item, "language"), whole(item, "rows") or 0) for item in objects(found.get("languages"))]
    return tuple(Share(name, count, count / (rows or 1)) for name, count in languages)


def _label(item: JsonObject) -> LabelProfile:
    rows, sizes = whole(item, "rows") or 0, child(item, "characters")
    return LabelProfile(
        text(item, "label"), rows, whole(sizes, "p50") or 0, whole(sizes, "p95") or 0, whole(item, "cut") or 0, _shares(item, rows)[:3]
    )  # fmt: skip
