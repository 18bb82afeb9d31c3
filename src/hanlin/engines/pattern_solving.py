"""What terms with `and` and `not` say, in the words of regular expressions that have neither.

The derivative of a term by a character is what may follow that character; terms with `and` or `not` are spelt out as equations over their
derivatives, which are then solved. Parts without them stay as they are, so that counts remain counts. Source: Brzozowski, "Derivatives of
Regular Expressions", 1964; Owens, Reppy, Turon, "Regular-expression derivatives re-examined", 2009 (classes of characters); Arden's rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from hanlin.engines.pattern_algebra import EMPTY, NONE, HardPattern, Term, Work, any_of, both, no, one_of, then, times
from hanlin.engines.pattern_sets import EVERY, Characters

MAX_STATES = 120  # derivatives of one term
MAX_SIZE = 12_000  # characters of a pattern
MAX_DEPTH = 60  # groups within groups
_MAX_CLASSES = 60


class _Derivatives:
    """Of the terms that come of one. Attributes: classes: all characters, in sets that none of them tells apart."""

    def __init__(self, term: Term, work: Work) -> None:
        self._work = work
        self._known: dict[tuple[Term, int], Term] = {}
        self.classes: tuple[Characters, ...] = (EVERY,)
        for each in dict.fromkeys(_sets(term)):
            self.classes = tuple(met for one in self.classes for met in (one & each, one & ~each) if met)
            work.spend(len(self.classes))
            if len(self.classes) > _MAX_CLASSES:
                raise HardPattern("too many classes of characters")

    def of(self, term: Term, code: int) -> Term:
        """What may follow a character. Args: code: the first of one of the classes."""
        if term.kind == "set":
            return EMPTY if code in term.characters else NONE
        if term.kind in ("none", "empty"):
            return NONE
        if (term, code) not in self._known:
            self._work.spend(1)
            self._known[term, code] = self._of(term, code)
        return self._known[term, code]

    def _of(self, term: Term, code: int) -> Term:
        if term.kind == "or":
            return any_of(self.of(part, code) for part in term.parts)
        if term.kind == "and":
            return reduce(both, (self.of(part, code) for part in term.parts))
        if term.kind == "not":
            return no(self.of(term.parts[0], code))
        if term.kind == "times":
            more = times(term.parts[0], max(0, term.least - 1), None if term.most is None else term.most - 1)
            return then(self.of(term.parts[0], code), more)
        first, rest = term.parts[0], then(*term.parts[1:])
        found = then(self.of(first, code), rest)
        return any_of([found, self.of(rest, code)]) if first.is_nullable else found


def _sets(term: Term) -> Iterable[Characters]:
    if term.kind == "set":
        yield term.characters
    for part in term.parts:
        yield from _sets(part)


def plain(term: Term, work: Work) -> Term:
    """The same language without `and` and `not`. Raises HardPattern."""
    if term.is_plain:
        return term
    if term.kind == "and":
        return _solved(reduce(both, (_turned(part, work) for part in term.parts)), work)
    parts = tuple(plain(part, work) for part in term.parts)
    if term.kind == "then":
        return then(*parts)
    if term.kind == "or":
        return any_of(parts)
    if term.kind == "times":
        return times(parts[0], term.least, term.most)
    return _solved(no(parts[0]), work)


def _turned(term: Term, work: Work) -> Term:
    """A term of which no more than the whole is turned round."""
    return no(plain(term.parts[0], work)) if term.kind == "not" else plain(term, work)


def _solved(term: Term, work: Work) -> Term:
    if term.is_plain:
        return term
    derivatives = _Derivatives(term, work)
    order, ways = [term], list[dict[Term, Characters]]()
    seen = {term}
    for state in order:  # grows meanwhile
        found: dict[Term, Characters] = {}
        for each in derivatives.classes:
            if (target := derivatives.of(state, each.first)) != NONE:
                found[target] = found[target] | each if target in found else each
                if not target.is_plain and target not in seen:
                    seen.add(target)
                    order.append(target)
        ways.append(found)
        if len(order) > MAX_STATES:
            raise HardPattern("too many states")
    return _eliminated(order, ways, work)


def _eliminated(order: list[Term], ways: list[dict[Term, Characters]], work: Work) -> Term:
    """Each state as what leads to the others, and what ends; the last is put into those before it."""
    known = set(order)
    links = [{state: one_of(by) for state, by in found.items() if state in known} for found in ways]
    ends = []
    for state, found in zip(order, ways, strict=True):
        leaving = (then(one_of(by), target) for target, by in found.items() if target not in known)
        ends.append(any_of([EMPTY if state.is_nullable else NONE, *leaving]))
    for number in range(len(order) - 1, -1, -1):
        state = order[number]
        loop = links[number].pop(state, NONE)
        if loop != NONE:
            links[number] = {target: then(times(loop), by) for target, by in links[number].items()}
            ends[number] = then(times(loop), ends[number])
        for earlier in range(number):
            by = links[earlier].pop(state, NONE)
            if by == NONE:
                continue
            ends[earlier] = any_of([ends[earlier], then(by, ends[number])])
            for target, more in links[number].items():
                links[earlier][target] = any_of([links[earlier].get(target, NONE), then(by, more)])
                work.spend(20)
            if max(ends[earlier].depth, *(each.depth for each in links[earlier].values()), 0) > MAX_DEPTH:
                raise HardPattern("too many groups within groups")
    return ends[0]


def written(term: Term) -> str:
    """A pattern of whole texts for a plain term. Raises HardPattern where it would be too long."""
    assert term.is_plain
    found = f"^{_written(term)}$" if term.kind != "or" else f"^({_written(term)})$"
    if len(found) > MAX_SIZE:
        raise HardPattern("too long")
    return found


def _written(term: Term) -> str:
    if term.kind == "set":
        return term.characters.pattern
    if term.kind in ("none", "empty"):
        return "" if term.kind == "empty" else r"[^\s\S]"
    inside = [f"({_written(part)})" if part.kind == "or" and term.kind != "or" else _written(part) for part in term.parts]
    if sum(map(len, inside)) > MAX_SIZE:
        raise HardPattern("too long")
    if term.kind != "times":
        return ("|" if term.kind == "or" else "").join(inside)
    body = inside[0] if term.parts[0].kind in ("set", "or") else f"({inside[0]})"
    mark = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((term.least, term.most))
    return body + (mark or f"{{{term.least},{'' if term.most is None else term.most}}}")
