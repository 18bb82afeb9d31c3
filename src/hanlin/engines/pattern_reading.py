"""Reads a pattern as the language of all texts that it is found in: looking ahead, bounds of words and anchors included.

What follows a place is handed to it: to look ahead is to ask more of that. Inside of what is repeated that is not known, and a look ahead
stands only where what it sees lies within the repeated part. Source: ECMA-262, 22.2.2, with the flag `u`.
"""

from __future__ import annotations

from functools import reduce

from hanlin.engines import pattern_sets as sets
from hanlin.engines.pattern_algebra import ALL, EMPTY, NONE, HardPattern, Term, any_of, both, longest, no, one_of, shortest, then, times
from hanlin.engines.pattern_parsing import Node, Place, Ways, parsed, plain_part
from hanlin.engines.pattern_sets import Characters

_MAX_UNROLLED, _MAX_TERMS = 3, 4000


def language(pattern: str) -> Term:
    """All texts that a pattern is found in. Raises HardPattern for what is not read."""
    found, reader = parsed(pattern), _Reader()
    begun = reader.ways(found, ALL, "start")
    if all(_is_anchored(way) for way in found.ways):
        return begun
    behind_word = then(ALL, one_of(sets.WORD), reader.ways(found, ALL, "word"))
    behind_other = then(ALL, one_of(~sets.WORD), reader.ways(found, ALL, "other"))
    if behind_word.parts[2:] == behind_other.parts[2:]:
        return any_of([begun, then(ALL, one_of(sets.EVERY), *behind_word.parts[2:])]) if behind_word != NONE else begun
    return any_of([begun, behind_word, behind_other])


def _is_anchored(way: Node) -> bool:
    return bool(way) and isinstance(way[0], Place) and way[0].kind == "^"


class _Reader:
    """Puts places into what follows them."""

    def __init__(self) -> None:
        self._num_terms = 0

    def ways(self, node: Ways, after: Term, before: str) -> Term:
        """Args: after: what may follow; before: what stands before: `start`, a `word` character, an `other` one, or `any`."""
        self._num_terms += 1
        if self._num_terms > _MAX_TERMS:
            raise HardPattern("too many parts")
        if (node.least, node.most) == (1, 1):
            return any_of(self._sequence(way, after, before) for way in node.ways)
        once = Ways(node.ways)
        if (node.least, node.most) == (0, 1):
            return any_of([after, self.ways(once, after, before)])
        if (local := self._local(once)) is not None:
            return then(times(local, node.least, node.most), after)
        if node.most is None or node.most > _MAX_UNROLLED or before != "any":
            raise HardPattern("looks ahead out of what is repeated")
        optional = Ways((((once, Ways(node.ways, max(0, node.least - 1), node.most - 1)) if node.most > 1 else (once,)),))
        return self.ways(optional, after, before) if node.least else any_of([after, self.ways(optional, after, before)])

    def _sequence(self, way: Node, after: Term, before: str) -> Term:
        befores = [before]
        for part in way:
            befores.append(_before(part, befores[-1]))
        for part, where in zip(reversed(way), reversed(befores[:-1]), strict=True):
            if isinstance(part, Term):
                after = then(part, after)
            elif isinstance(part, Ways):
                after = self.ways(part, after, where)
            else:
                after = self._place(part, after, where)
        return after

    def _place(self, place: Place, after: Term, before: str) -> Term:
        if place.kind == "$":
            return EMPTY if after.is_nullable else NONE
        if place.kind in "=!":
            (inner,) = place.ahead
            assert isinstance(inner, Ways)
            ahead = self.ways(inner, ALL, before)
            return both(ahead if place.kind == "=" else no(ahead), after)
        if before == "any":
            raise HardPattern("an anchor behind what may be nothing")
        if place.kind == "^":
            return after if before == "start" else NONE
        is_word = then(one_of(sets.WORD), ALL)
        return both(after, no(is_word) if (before == "word") == (place.kind == "b") else is_word)

    def _local(self, node: Ways) -> Term | None:
        """A repeated part whose looks ahead see nothing but itself; None: they see more."""
        ways: list[Term] = []
        for way in node.ways:
            after: Term = EMPTY
            for part in reversed(way):
                if isinstance(part, Ways):
                    inner = self._local(Ways(part.ways))
                    if inner is None:
                        return None
                    after = then(times(inner, part.least, part.most), after)
                elif isinstance(part, Term):
                    after = then(part, after)
                elif part.kind not in "=!" or not self._sees_only(part, after):
                    return None
                else:
                    after = self._place(part, after, "any")
            ways.append(after)
        return any_of(ways)

    def _sees_only(self, place: Place, after: Term) -> bool:
        (inner,) = place.ahead
        assert isinstance(inner, Ways)
        seen = plain_part(inner)
        most = None if seen is None else longest(seen)
        return most is not None and most <= shortest(after)


def _before(part: Term | Place | Ways, before: str) -> str:
    """What stands before the next part."""
    if isinstance(part, Place):
        return before
    if isinstance(part, Ways):
        return before if _is_place(part) else "any"
    last = _last(part)
    if part.is_nullable or last is None:
        return before if part == EMPTY else "any"
    return "word" if last & sets.WORD == last else "other" if not last & sets.WORD else "any"


def _is_place(node: Ways) -> bool:
    """Whether a group consumes nothing."""
    return all(isinstance(part, Place) or (isinstance(part, Ways) and _is_place(part)) for way in node.ways for part in way)


def _last(term: Term) -> Characters | None:
    """Characters that a text of a plain term may end with; None: it is not known."""
    if term.kind == "set":
        return term.characters
    if term.kind in ("then", "times") and not term.parts[-1].is_nullable:
        return _last(term.parts[-1])
    if term.kind == "or" and not term.is_nullable:
        found = [_last(part) for part in term.parts]
        known = [each for each in found if each is not None]
        return reduce(lambda left, right: left | right, known) if len(known) == len(found) else None
    return None
