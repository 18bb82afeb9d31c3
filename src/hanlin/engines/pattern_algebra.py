"""Regular expressions with `and` and `not`: a term is a language of whole texts, put together so that what is alike is the same term."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, reduce

from hanlin.engines.pattern_sets import EVERY, Characters


class HardPattern(ValueError):
    """What is not spelt out: too many states, or more than this algebra knows."""


class Work:
    """What may be spent. Args: left: parts of terms that may yet be gone through."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, num: int) -> None:
        """Raises HardPattern when no more is left."""
        self.left -= num
        if self.left < 0:
            raise HardPattern("too much work")


@dataclass(frozen=True, eq=False)
class Term:
    """A language. Attributes: kind: `none` (no text), `empty` (the empty one), `set`, `then`, `or`, `times`, `and` or `not`."""

    kind: str
    parts: tuple[Term, ...] = ()
    characters: Characters = field(default=EVERY)
    least: int = 0
    most: int | None = None

    @cached_property
    def code(self) -> int:
        """Its hash, computed once."""
        return hash((self.kind, tuple(part.code for part in self.parts), self.characters, self.least, self.most))

    def __hash__(self) -> int:
        return self.code

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Term) and self.code == other.code and self._told == other._told)

    @cached_property
    def _told(self) -> tuple[object, ...]:
        return self.kind, self.characters, self.least, self.most, self.parts

    @cached_property
    def is_plain(self) -> bool:
        """Whether it has neither `and` nor `not`."""
        return self.kind not in ("and", "not") and all(part.is_plain for part in self.parts)

    @cached_property
    def is_nullable(self) -> bool:
        """Whether the empty text is in it."""
        if self.kind == "not":
            return not self.parts[0].is_nullable
        if self.kind == "times":
            return self.least == 0 or self.parts[0].is_nullable
        found = [part.is_nullable for part in self.parts]
        return self.kind == "empty" or (self.kind in ("then", "and") and all(found)) or (self.kind == "or" and any(found))

    @cached_property
    def depth(self) -> int:
        """Groups within groups."""
        return 1 + max((part.depth for part in self.parts), default=0)


@lru_cache(maxsize=20_000)
def _term(kind: str, parts: tuple[Term, ...] = (), characters: Characters = EVERY, least: int = 0, most: int | None = None) -> Term:
    """Those that are made again are the same object, as a rule: to compare them takes no time."""
    return Term(kind, parts, characters, least, most)


NONE, EMPTY = _term("none"), _term("empty")


def one_of(characters: Characters) -> Term:
    """One character."""
    return _term("set", (), characters) if characters else NONE


def then(*terms: Term) -> Term:
    """One after another."""
    found: list[Term] = []
    for term in terms:
        if term == NONE:
            return NONE
        found += term.parts if term.kind == "then" else [] if term == EMPTY else [term]
    kept: list[Term] = []
    for term in found:
        if not (kept and term == ALL == kept[-1]):
            kept.append(term)
    return kept[0] if len(kept) == 1 else _term("then", tuple(kept)) if kept else EMPTY


def any_of(terms: Iterable[Term]) -> Term:
    """One of them."""
    found: dict[Term, None] = {}
    sets: list[Characters] = []
    for term in terms:
        for each in term.parts if term.kind == "or" else (term,):
            if each.kind == "set":
                sets.append(each.characters)
            elif each != NONE:
                found[each] = None
    if sets:
        found[one_of(reduce(lambda left, right: left | right, sets))] = None
    if ALL in found:
        return ALL
    if EMPTY in found and any(each.is_nullable for each in found if each != EMPTY):
        del found[EMPTY]
    kept = sorted(found, key=lambda each: each.code)
    return kept[0] if len(kept) == 1 else _term("or", tuple(kept)) if kept else NONE


def times(term: Term, least: int = 0, most: int | None = None) -> Term:
    """So many of it. Args: most: None: any number."""
    if most == 0 or term == EMPTY:
        return EMPTY
    if term == NONE:
        return NONE if least else EMPTY
    if (least, most) == (1, 1):
        return term
    if term.kind == "times" and term.least == 0 and term.most is None:
        return term
    return _term("times", (term,), EVERY, least, most)


ALL = times(one_of(EVERY))


def both(one: Term, other: Term) -> Term:
    """What is in both."""
    if other in (one, ALL):
        return one
    if one == ALL:
        return other
    if NONE in (one, other):
        return NONE
    if EMPTY in (one, other):
        return EMPTY if one.is_nullable and other.is_nullable else NONE
    if (counts := _counts(one)) is not None and (others := _counts(other)) is not None:
        most = [each for each in (counts[2], others[2]) if each is not None]
        least = max(counts[1], others[1])
        return NONE if most and least > min(most) else times(one_of(counts[0] & others[0]), least, min(most, default=None))
    parts = {part: None for term in (one, other) for part in (term.parts if term.kind == "and" else (term,))}
    return _term("and", tuple(sorted(parts, key=lambda each: each.code)))


def _counts(term: Term) -> tuple[Characters, int, int | None] | None:
    """So many characters of one set, where a term is no more."""
    if term.kind == "set":
        return term.characters, 1, 1
    is_counted = term.kind == "times" and term.parts[0].kind == "set"
    return (term.parts[0].characters, term.least, term.most) if is_counted else None


def no(term: Term) -> Term:
    """Every other text."""
    if term.kind == "not":
        return term.parts[0]
    return NONE if term == ALL else ALL if term == NONE else _term("not", (term,))


def longest(term: Term) -> int | None:
    """Characters of its longest text; None: there is none, or it is not known."""
    if term.kind in ("empty", "none", "set"):
        return int(term.kind == "set")
    sizes = [longest(part) for part in term.parts]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes) or not term.is_plain or (term.kind == "times" and term.most is None):
        return None
    return max(known) if term.kind == "or" else known[0] * (term.most or 0) if term.kind == "times" else sum(known)


def shortest(term: Term) -> int:
    """Characters that each of its texts has at least."""
    if term.kind in ("empty", "none", "set", "not"):
        return int(term.kind == "set")
    sizes = [shortest(part) for part in term.parts]
    if term.kind == "times":
        return sizes[0] * term.least
    return min(sizes) if term.kind == "or" else max(sizes) if term.kind == "and" else sum(sizes)


def bounded(term: Term, most: int) -> Term | None:
    """A plain term whose repeated parts are repeated less, so that its texts are no longer than `most`; None: there is no such."""
    low, high, found = 0, most, None
    while low <= high:
        middle = (low + high) // 2
        tried = _repeated(term, middle)
        size = longest(tried)
        if size is not None and size <= most:
            found, low = tried, middle + 1
        else:
            high = middle - 1
    return found


def _repeated(term: Term, most: int) -> Term:
    parts = tuple(_repeated(part, most) for part in term.parts)
    if term.kind == "times":
        return times(parts[0], term.least, max(term.least, most) if term.most is None else term.most)
    return any_of(parts) if term.kind == "or" else then(*parts) if term.kind == "then" else term
