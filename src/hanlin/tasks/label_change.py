"""A warning for when another version has other labels: callers and models that go by their names would not expect it."""

from __future__ import annotations

from collections.abc import Collection

from hanlin.messages.said import Said

MAX_NAMED = 10


def label_change(former: str, before: Collection[str], now: Collection[str]) -> Said | None:
    """Which labels are new and which are gone since `former`, the name of a version; None when they are the same, in whatever order."""
    new, gone = _named(set(now) - set(before)), _named(set(before) - set(now))
    if new and gone:
        return Said("labels_changed", {"former": former, "new": new, "gone": gone})
    if new:
        return Said("labels_new", {"former": former, "new": new})
    return Said("labels_gone", {"former": former, "gone": gone}) if gone else None


def _named(labels: Collection[str]) -> str:
    shown = sorted(labels)[:MAX_NAMED]
    return ", ".join(label[:60] for label in shown) + (", …" if len(labels) > MAX_NAMED else "")
