"""Words that end an answer: the first that is complete does, also while the text still grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Stopped(NamedTuple):
    """Where a text ends because of `word`, which is no part of it."""

    place: int
    word: str


def first_stop(text: str, stops: Sequence[str], start: int = 0) -> Stopped | None:
    """The word of `stops` that is complete first, looked for from `start` on; of two that end together the longer."""
    found = [(place + len(word), place, word) for word in stops if (place := text.find(word, start)) >= 0]
    if not found:
        return None
    _, place, word = min(found)
    return Stopped(place, word)


def size_held_back(text: str, stops: Sequence[str]) -> int:
    """Characters at the end of `text` that one of `stops` may begin with."""
    longest = min(len(text), max(map(len, stops), default=1) - 1)
    return next((size for size in range(longest, 0, -1) if any(word.startswith(text[-size:]) for word in stops)), 0)
