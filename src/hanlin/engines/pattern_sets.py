"""Sets of characters, as classes of regular expressions name them: joined, met and turned round.

What lies in ASCII is held as bits, what lies beyond as ranges; a set that was named (`\\p{L}`) is written by its name again. Half a
surrogate pair is no character. Source: ECMA-262, 22.2.2.9, with the flag `u`.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby

Ranges = tuple[tuple[int, int], ...]
_ASCII = (1 << 128) - 1
_BEYOND: Ranges = ((0x80, 0xD7FF), (0xE000, 0x10FFFF))
_MAX_NAME = 100
_CATEGORIES = frozenset({
    "L", "LC", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
    "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Co", "Cn",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Characters:
    """A set of characters. Attributes: ascii: a bit for each of 128; beyond: the others; name: how a class says those, if told."""

    ascii: int
    beyond: Ranges = ()
    name: str = field(default="", compare=False)

    def __or__(self, other: Characters) -> Characters:
        beyond = self.beyond if self.beyond == other.beyond else _joined(sorted((*self.beyond, *other.beyond)))
        found = _told(self.ascii | other.ascii, beyond, self, other)
        if beyond and not found.name and (self.name or other.name) and len(self.name) + len(other.name) < _MAX_NAME:
            return Characters(found.ascii, beyond, (self.name or _inside(self.beyond)) + (other.name or _inside(other.beyond)))
        return found

    def __and__(self, other: Characters) -> Characters:
        beyond = self.beyond if self.beyond == other.beyond else _met(self.beyond, other.beyond)
        return _told(self.ascii & other.ascii, beyond, self, other)

    def __invert__(self) -> Characters:
        ends = [0x80, *(end for low, high in self.beyond for end in (low, high + 1)), 0x110000]
        gaps = tuple((low, high - 1) for low, high in zip(ends[::2], ends[1::2], strict=True) if low < high)
        return Characters(_ASCII ^ self.ascii, _met(gaps, _BEYOND), f"[^{self.name}]" if self.name else "")

    def __bool__(self) -> bool:
        return bool(self.ascii or self.beyond)

    def __contains__(self, code: int) -> bool:
        if code < 128:
            return bool(self.ascii >> code & 1)
        at = bisect_left(self.beyond, (code + 1,)) - 1
        return at >= 0 and code <= self.beyond[at][1]

    @property
    def first(self) -> int:
        """The least code point of a set that is not empty."""
        return (self.ascii & -self.ascii).bit_length() - 1 if self.ascii else self.beyond[0][0]

    @property
    def pattern(self) -> str:
        """A class of regular expressions."""
        if self == EVERY:
            return r"[\s\S]"
        inside = _inside(_joined([(code, code) for code in range(128) if self.ascii >> code & 1]))
        inside += f"[{self.name}&&[^\\x00-\\x7f]]" if self.name else _inside(self.beyond)
        return inside if len(inside) == 1 else f"[{inside}]" if inside else r"[^\s\S]"


def _told(bits: int, beyond: Ranges, *origins: Characters) -> Characters:
    return Characters(bits, beyond, next((each.name for each in origins if each.beyond == beyond and each.name), ""))


def _inside(ranges: Ranges) -> str:
    return "".join(_one(low) if low == high else f"{_one(low)}-{_one(high)}" for low, high in ranges)


def _one(code: int) -> str:
    return chr(code) if code < 0x80 and chr(code).isalnum() else f"\\x{{{code:x}}}"


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    """Args: ranges: by where they begin."""
    found: list[tuple[int, int]] = []
    for low, high in ranges:
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return tuple(found)


def _met(left: Ranges, right: Ranges) -> Ranges:
    found, one, two = list[tuple[int, int]](), 0, 0
    while one < len(left) and two < len(right):
        low, high = max(left[one][0], right[two][0]), min(left[one][1], right[two][1])
        if low <= high:
            found.append((low, high))
        if left[one][1] < right[two][1]:
            one += 1
        else:
            two += 1
    return tuple(found)


def between(low: int, high: int) -> Characters:
    """The characters of two code points and all that lie between."""
    bits = sum(1 << code for code in range(low, min(high, 127) + 1))
    return Characters(bits, _met(((max(low, 0x80), high),), _BEYOND) if high >= 0x80 else ())


def of(text: str) -> Characters:
    """Those of a text."""
    found = NONE
    for character in text:
        found |= between(ord(character), ord(character))
    return found


@lru_cache(maxsize=64)
def of_category(name: str) -> Characters | None:
    """Those of a general category of Unicode (`L`, `Lu`); None: there is no such."""
    if name not in _CATEGORIES:
        return None
    wanted = ("Lu", "Ll", "Lt") if name == "LC" else (name,)
    ranges = _joined([(low, high) for low, high, kind in _kinds() if kind.startswith(wanted)])
    first = bisect_left(ranges, (0x80, 0))
    bits = sum(between(low, min(high, 127)).ascii for low, high in ranges if low < 128)
    crossing = [(0x80, ranges[first - 1][1])] if first and ranges[first - 1][1] >= 0x80 else []
    return Characters(bits, _met((*crossing, *ranges[first:]), _BEYOND), f"\\p{{{name}}}")


@lru_cache(maxsize=1)
def _kinds() -> list[tuple[int, int, str]]:
    """Runs of one category, a third of a second's work."""
    found, begun = list[tuple[int, int, str]](), 0
    for kind, run in groupby(map(unicodedata.category, map(chr, range(0x110000)))):
        size = sum(1 for _ in run)
        found.append((begun, begun + size - 1, kind))
        begun += size
    return found


NONE, EVERY = Characters(0), Characters(_ASCII, _BEYOND)
DIGITS = between(0x30, 0x39)
WORD = between(0x41, 0x5A) | between(0x61, 0x7A) | DIGITS | of("_")
SPACES = of("\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff") | between(0x2000, 0x200A)
NO_LINES = ~of("\n\r\u2028\u2029")
