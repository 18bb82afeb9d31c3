"""Reads a pattern as the language of all texts that it is found in: looking ahead, bounds of words and anchors included.

What follows a place is handed to it: to look ahead is to ask more of that. Inside of what is repeated that is not known, and a look ahead
stands only where what it sees lies within the repeated part. Source: ECMA-262, 22.2.2, with the flag `u`.
"""

from __future__ import annotations

from functools import reduce

from hanlin.engines import pattern_sets as sets
from hanlin.engines.pattern_algebra import ALL, EMPTY, NONE, HardPattern, Term, Terms
from hanlin.engines.pattern_parsing import Node, Place, Ways, parsed, plain_part
from hanlin.engines.pattern_sets import Characters

_MAX_UNROLLED, _MAX_TERMS = 3, 4000


def language(pattern: str, terms: Terms) -> Term:
    """All texts that a pattern is found in. Raises HardPattern for what is not read."""
    found, reader = parsed(pattern, terms), _Reader(terms)
    begun = reader.ways(found, ALL, "start")
    if all(_is_anchored(way) for way in found.ways):
        return begun
    behind_word, behind_other = reader.ways(found, ALL, "word"), reader.ways(found, ALL, "other")
    if behind_word is behind_other:
        return terms.any_of([begun, terms.then(ALL, terms.one_of(sets.EVERY), behind_word)])
    of_word, of_other = (terms.one_of(each) for each in (sets.WORD, ~sets.WORD))
    return terms.any_of([begun, terms.then(ALL, of_word, behind_word), terms.then(ALL, of_other, behind_other)])


def _is_anchored(way: Node) -> bool:
    return bool(way) and isinstance(way[0], Place) and way[0].kind == "^"


class _Reader:
    """Puts places into what follows them."""

    def __init__(self, terms: Terms) -> None:
        self._terms, self._num_terms = terms, 0

    def ways(self, node: Ways, after: Term, before: str) -> Term:
        """Args: after: what may follow; before: what stands before: `start`, a `word` character, an `other` one, or `any`."""
        self._num_terms += 1
        if self._num_terms > _MAX_TERMS:
            raise HardPattern("too many parts")
        if (node.least, node.most) == (1, 1):
            return self._terms.any_of(self._sequence(way, after, before) for way in node.ways)
        once = Ways(node.ways)
        if (node.least, node.most) == (0, 1):
            return self._terms.any_of([after, self.ways(once, after, before)])
        if (local := self._local(once)) is not None:
            return self._terms.then(self._terms.times(local, node.least, node.most), after)
        if node.most is None or node.most > _MAX_UNROLLED or before != "any":
            raise HardPattern("looks ahead out of what is repeated")
        optional = Ways((((once, Ways(node.ways, max(0, node.least - 1), node.most - 1)) if node.most > 1 else (once,)),))
        return self.ways(optional, after, before) if node.least else self._terms.any_of([after, self.ways(optional, after, before)])

    def _sequence(self, way: Node, after: Term, before: str) -> Term:
        befores, run = [before], list[Term]()
        for part in way:
            befores.append(_before(part, befores[-1]))
        for part, where in zip(reversed(way), reversed(befores[:-1]), strict=True):
            if isinstance(part, Term):
                run.append(part)  # put before what follows all at once: one by one would take the square of their number
                continue
            after, run = self._terms.then(*reversed(run), after), []
            after = self.ways(part, after, where) if isinstance(part, Ways) else self._place(part, after, where)
        return self._terms.then(*reversed(run), after)

    def _place(self, place: Place, after: Term, before: str) -> Term:
        if place.kind == "$":
            return EMPTY if after.is_nullable else NONE
        if place.kind in "=!":
            (inner,) = place.ahead
            assert isinstance(inner, Ways)
            ahead = self.ways(inner, ALL, before)
            return self._terms.both(ahead if place.kind == "=" else self._terms.no(ahead), after)
        if before == "any":
            raise HardPattern("an anchor behind what may be nothing")
        if place.kind == "^":
            return after if before == "start" else NONE
        is_word = self._terms.then(self._terms.one_of(sets.WORD), ALL)
        return self._terms.both(after, self._terms.no(is_word) if (before == "word") == (place.kind == "b") else is_word)

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
                    after = self._terms.then(self._terms.times(inner, part.least, part.most), after)
                elif isinstance(part, Term):
                    after = self._terms.then(part, after)
                elif part.kind not in "=!" or not self._sees_only(part, after):
                    return None
                else:
                    after = self._place(part, after, "any")
            ways.append(after)
        return self._terms.any_of(ways)

    def _sees_only(self, place: Place, after: Term) -> bool:
        (inner,) = place.ahead
        assert isinstance(inner, Ways)
        seen = plain_part(inner, self._terms)
        most = None if seen is None else seen.longest
        return most is not None and most <= after.shortest


def _before(part: Term | Place | Ways, before: str) -> str:
    """What stands before the next part."""
    if isinstance(part, Place):
        return before
    if isinstance(part, Ways):
        return before if _is_place(part) else "any"
    last = _last(part)
    if part.is_nullable or last is None:
        return before if part is EMPTY else "any"
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
