"""Text that remembers where each character comes from: the template, an answer of the assistant, or anybody else.

Only what the template itself says may become special tokens. A plain `str` is nobody's: whatever an operation forgets to trace is words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import SupportsIndex

WORDS, FRAME, FIRST_ANSWER = 0, 1, 2
_CODES = 254  # that answers have by turns, so that neighbours differ


class Traced(str):
    """A text and the origin of each of its characters: `WORDS`, `FRAME`, or the code of an answer."""

    __slots__ = ("origin",)
    origin: bytes

    def __new__(cls, text: str, origin: bytes) -> Traced:  # noqa: D102 - as the class says
        self = super().__new__(cls, text)
        assert len(origin) == len(text), "an origin a character"
        self.origin = origin
        return self

    @classmethod
    def of(cls, text: str, code: int) -> Traced:
        """All of one origin."""
        return cls(text, bytes((code,)) * len(text))

    def __str__(self) -> str:
        return self

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, key: SupportsIndex | slice) -> Traced:
        found = super().__getitem__(key)
        return Traced(found, self.origin[key] if isinstance(key, slice) else bytes((self.origin[key],)))


def code_of(number: int) -> int:
    """Of the answer with this number."""
    return FIRST_ANSWER + number % _CODES


def origin_of(text: str) -> bytes:
    """Of each character."""
    return text.origin if isinstance(text, Traced) else bytes(len(text))


def joined(pieces: Iterable[str], between: str = "") -> Traced:
    """One behind the other."""
    kept = [*pieces]
    return Traced(str.join(between, kept), origin_of(between).join(map(origin_of, kept)))


def stripped(text: str, chars: str | None, *, left: bool = True, right: bool = True) -> str:
    """As `str.strip`."""
    start = len(text) - len(str.lstrip(text, chars)) if left else 0
    end = len(str.rstrip(text, chars)) if right else len(text)
    return text[start : max(start, end)]


def located(text: str, pieces: Sequence[str], gap: int = 0) -> list[str]:
    """Pieces of the text that stand in it in this order, with their origins; `gap` characters, or blanks, between them."""
    found, at = [], 0
    for piece in pieces:
        start = at if gap else str.find(text, piece, at)
        found.append(text[start : start + len(piece)])
        at = start + len(piece) + gap
    return found


def split(text: str, separator: str | None, most: int, *, is_right: bool = False) -> list[str]:
    """As `str.split` and `str.rsplit`."""
    pieces = str.rsplit(text, separator, most) if is_right else str.split(text, separator, most)
    return located(text, pieces, len(separator or ""))


def replaced(text: str, old: str, new: str, most: int = -1) -> str:
    """As `str.replace` of what is not empty."""
    return joined(split(text, old, most), new)


def changed(text: str, change: Callable[[str], str]) -> str:
    """What a change of case gives: where letters become several, nobody knows whose they are."""
    found = change(text)
    return Traced(found, origin_of(text)) if len(found) == len(text) else found
