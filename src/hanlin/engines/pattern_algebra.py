"""Regular expressions with `and` and `not`: a term is a language of whole texts, put together so that what is alike is the same term."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, reduce

from hanlin.engines.pattern_sets import EVERY, Characters

MAX_TIME_S = 2.0  # of one schema's patterns, on processors so slow that the bound of parts comes later
_COST = 5  # of a term, in parts: what is gone through whatever its size


class HardPattern(ValueError):
    """What is not spelt out: too many states, or more than this algebra knows."""


class Work:
    """What may be spent.

    Args:
        left: parts of terms that may yet be gone through.
        clock: seconds; by itself those that this thread has computed, so that nothing depends on what else the machine does.
    """

    def __init__(self, left: int, clock: Callable[[], float] = time.thread_time) -> None:
        self.left, self._clock = left, clock
        self._end = clock() + MAX_TIME_S

    def spend(self, num: int) -> None:
        """Raises HardPattern when no more is left, or the time is over."""
        self.left -= num
        if self.left < 0 or self._clock() > self._end:
            raise HardPattern("too much work")


@dataclass(frozen=True, eq=False)
class Term:
    """A language, the same as another where it is the same object.

    Attributes:
        kind: `none` (no text), `empty` (the empty one), `set`, `then`, `or`, `times`, `and` or `not`.
        number: how many were made before it: an order that is the same in every process.
    """

    kind: str
    number: int
    parts: tuple[Term, ...] = ()
    characters: Characters = field(default=EVERY)
    least: int = 0
    most: int | None = None

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

    @cached_property
    def size(self) -> int:
        """Terms that are gone through when it is written: a part that stands at several places counts at each."""
        return 1 + sum(part.size for part in self.parts)

    @cached_property
    def longest(self) -> int | None:
        """Characters of its longest text; None: there is none, or it is not known."""
        if self.kind in ("empty", "none", "set"):
            return int(self.kind == "set")
        known = [size for part in self.parts if (size := part.longest) is not None]
        if len(known) < len(self.parts) or not self.is_plain or (self.kind == "times" and self.most is None):
            return None
        return max(known) if self.kind == "or" else known[0] * (self.most or 0) if self.kind == "times" else sum(known)

    @cached_property
    def shortest(self) -> int:
        """Characters that each of its texts has at least."""
        if self.kind in ("empty", "none", "set", "not"):
            return int(self.kind == "set")
        sizes = [part.shortest for part in self.parts]
        if self.kind == "times":
            return sizes[0] * self.least
        return min(sizes) if self.kind == "or" else max(sizes) if self.kind == "and" else sum(sizes)

    @cached_property
    def pattern(self) -> str:
        """How a set is written."""
        return self.characters.pattern


NONE, EMPTY, _ANY = Term("none", 0), Term("empty", 1), Term("set", 2)  # the same of all schemas
ALL = Term("times", 3, (_ANY,))


class Terms:
    """Those of one schema. What is alike is made once, so that to compare takes no time, and is forgotten with the schema.

    Args:
        work: what they may cost all together; it bounds how many are kept as well.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.plain: dict[Term, Term] = {}  # of `pattern_solving`
        shared = NONE, EMPTY, _ANY, ALL
        self._known = {_key(each.kind, each.parts, each.characters, each.least, each.most): each for each in shared}

    def _term(
        self, kind: str, parts: tuple[Term, ...] = (), characters: Characters = EVERY, least: int = 0, most: int | None = None
    ) -> Term:
        self.work.spend(_COST + len(parts) + len(characters.beyond))
        key = _key(kind, parts, characters, least, most)
        if (found := self._known.get(key)) is None:
            found = self._known[key] = Term(kind, len(self._known), parts, characters, least, most)
        return found

    def one_of(self, characters: Characters) -> Term:
        """One character."""
        return _ANY if characters == EVERY else self._term("set", (), characters) if characters else NONE

    def then(self, *terms: Term) -> Term:
        """One after another."""
        if NONE in terms:
            return NONE
        found: list[Term] = []
        for term in terms:
            for each in term.parts if term.kind == "then" else () if term is EMPTY else (term,):
                if not (found and each is ALL is found[-1]):
                    found.append(each)
        return found[0] if len(found) == 1 else self._term("then", tuple(found)) if found else EMPTY

    def any_of(self, terms: Iterable[Term]) -> Term:
        """One of them."""
        found: dict[Term, None] = {}
        sets: list[Characters] = []
        for term in terms:
            for each in term.parts if term.kind == "or" else (term,):
                if each.kind == "set":
                    sets.append(each.characters)
                elif each is not NONE:
                    found[each] = None
        if sets:
            self.work.spend(sum(len(each.beyond) for each in sets))
            found[self.one_of(reduce(lambda left, right: left | right, sets))] = None
        if ALL in found:
            return ALL
        if EMPTY in found and any(each.is_nullable for each in found if each is not EMPTY):
            del found[EMPTY]
        kept = sorted(found, key=lambda each: each.number)
        return kept[0] if len(kept) == 1 else self._term("or", tuple(kept)) if kept else NONE

    def times(self, term: Term, least: int = 0, most: int | None = None) -> Term:
        """So many of it. Args: most: None: any number."""
        if most == 0 or term is EMPTY:
            return EMPTY
        if term is NONE:
            return NONE if least else EMPTY
        if (least, most) == (1, 1):
            return term
        if term.kind == "times" and term.least == 0 and term.most is None:
            return term
        return self._term("times", (term,), EVERY, least, most)

    def both(self, one: Term, other: Term) -> Term:
        """What is in both."""
        if other in (one, ALL):
            return one
        if one is ALL:
            return other
        if NONE in (one, other):
            return NONE
        if EMPTY in (one, other):
            return EMPTY if one.is_nullable and other.is_nullable else NONE
        if (counts := _counts(one)) is not None and (others := _counts(other)) is not None:
            most = [each for each in (counts[2], others[2]) if each is not None]
            least = max(counts[1], others[1])
            return NONE if most and least > min(most) else self.times(self.one_of(counts[0] & others[0]), least, min(most, default=None))
        parts = {part: None for term in (one, other) for part in (term.parts if term.kind == "and" else (term,))}
        return self._term("and", tuple(sorted(parts, key=lambda each: each.number)))

    def no(self, term: Term) -> Term:
        """Every other text."""
        if term.kind == "not":
            return term.parts[0]
        return NONE if term is ALL else ALL if term is NONE else self._term("not", (term,))

    def bounded(self, term: Term, most: int) -> Term | None:
        """A plain term whose repeated parts are repeated less, so that its texts are no longer than `most`; None: there is no such."""
        low, high, found = 0, most, None
        while low <= high:
            middle = (low + high) // 2
            tried = self._repeated(term, middle)
            size = tried.longest
            if size is not None and size <= most:
                found, low = tried, middle + 1
            else:
                high = middle - 1
        return found

    def _repeated(self, term: Term, most: int) -> Term:
        self.work.spend(1 + len(term.parts))
        parts = tuple(self._repeated(part, most) for part in term.parts)
        if term.kind == "times":
            return self.times(parts[0], term.least, max(term.least, most) if term.most is None else term.most)
        return self.any_of(parts) if term.kind == "or" else self.then(*parts) if term.kind == "then" else term


def _key(kind: str, parts: tuple[Term, ...], characters: Characters, least: int, most: int | None) -> tuple[object, ...]:
    """What makes a term itself; of a set its name as well, by which it is written."""
    return kind, parts, characters, characters.name, least, most


def _counts(term: Term) -> tuple[Characters, int, int | None] | None:
    """So many characters of one set, where a term is no more."""
    if term.kind == "set":
        return term.characters, 1, 1
    is_counted = term.kind == "times" and term.parts[0].kind == "set"
    return (term.parts[0].characters, term.least, term.most) if is_counted else None
