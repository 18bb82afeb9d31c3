"""What terms with `and` and `not` say, in the words of regular expressions that have neither.

The derivative of a term by a character is what may follow that character; terms with `and` or `not` are spelt out as equations over their
derivatives, which are then solved. Parts without them stay as they are, so that counts remain counts. Source: Brzozowski, "Derivatives of
Regular Expressions", 1964; Owens, Reppy, Turon, "Regular-expression derivatives re-examined", 2009 (classes of characters); Arden's rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from hanlin.engines.pattern_algebra import EMPTY, NONE, HardPattern, Term, Terms, Work
from hanlin.engines.pattern_sets import EVERY, Characters

MAX_STATES = 120  # derivatives of one term
MAX_SIZE = 12_000  # characters of a pattern
MAX_DEPTH = 60  # groups within groups
_MAX_CLASSES = 60
_PER_CHARACTER = 3  # terms at most that a character of a pattern stands for: itself, a group of several, a count


class _Derivatives:
    """Of the terms that come of one. Attributes: classes: all characters, in sets that none of them tells apart."""

    def __init__(self, term: Term, terms: Terms) -> None:
        self._terms = terms
        self._known: dict[tuple[Term, int], Term] = {}
        self.classes: tuple[Characters, ...] = (EVERY,)
        for each in dict.fromkeys(_sets(term, terms.work)):
            terms.work.spend(len(self.classes) * (1 + len(each.beyond)))
            others = ~each
            self.classes = tuple(met for one in self.classes for met in (one & each, one & others) if met)
            if len(self.classes) > _MAX_CLASSES:
                raise HardPattern("too many classes of characters")

    def of(self, term: Term, code: int) -> Term:
        """What may follow a character. Args: code: the first of one of the classes."""
        if term.kind == "set":
            return EMPTY if code in term.characters else NONE
        if term.kind in ("none", "empty"):
            return NONE
        if (term, code) not in self._known:
            self._terms.work.spend(1 + len(term.parts))
            self._known[term, code] = self._of(term, code)
        return self._known[term, code]

    def _of(self, term: Term, code: int) -> Term:
        terms = self._terms
        if term.kind == "or":
            return terms.any_of(self.of(part, code) for part in term.parts)
        if term.kind == "and":
            return reduce(terms.both, (self.of(part, code) for part in term.parts))
        first = self.of(term.parts[0], code)
        if term.kind == "not":
            return terms.no(first)
        if term.kind == "times":
            more = terms.times(term.parts[0], max(0, term.least - 1), None if term.most is None else term.most - 1)
            return terms.then(first, more)
        if not term.parts[0].is_nullable:
            return NONE if first is NONE else terms.then(first, *term.parts[1:])
        rest = terms.then(*term.parts[1:])
        return terms.any_of([terms.then(first, rest), self.of(rest, code)])


def _sets(term: Term, work: Work) -> Iterable[Characters]:
    """Those that it consists of; each part is looked at once."""
    left, seen = [term], {term}
    while left:
        each = left.pop()
        work.spend(1 + len(each.parts))
        if each.kind == "set":
            yield each.characters
        for part in each.parts:
            if part not in seen:
                seen.add(part)
                left.append(part)


def plain(term: Term, terms: Terms) -> Term:
    """The same language without `and` and `not`. Raises HardPattern."""
    if term.is_plain:
        return term
    if term not in terms.plain:
        terms.plain[term] = _plain(term, terms)
    return terms.plain[term]


def _plain(term: Term, terms: Terms) -> Term:
    if term.kind == "and":
        return _solved(reduce(terms.both, (_turned(part, terms) for part in term.parts)), terms)
    parts = tuple(plain(part, terms) for part in term.parts)
    if term.kind == "then":
        return terms.then(*parts)
    if term.kind == "or":
        return terms.any_of(parts)
    if term.kind == "times":
        return terms.times(parts[0], term.least, term.most)
    return _solved(terms.no(parts[0]), terms)


def _turned(term: Term, terms: Terms) -> Term:
    """A term of which no more than the whole is turned round."""
    return terms.no(plain(term.parts[0], terms)) if term.kind == "not" else plain(term, terms)


def _solved(term: Term, terms: Terms) -> Term:
    if term.is_plain:
        return term
    derivatives = _Derivatives(term, terms)
    order, ways = [term], list[dict[Term, Characters]]()
    seen = {term}
    for state in order:  # grows meanwhile
        found: dict[Term, Characters] = {}
        for each in derivatives.classes:
            if (target := derivatives.of(state, each.first)) is not NONE:
                found[target] = found[target] | each if target in found else each
                if not target.is_plain and target not in seen:
                    seen.add(target)
                    order.append(target)
        ways.append(found)
        if len(order) > MAX_STATES:
            raise HardPattern("too many states")
    return _eliminated(order, ways, terms)


def _eliminated(order: list[Term], ways: list[dict[Term, Characters]], terms: Terms) -> Term:
    """Each state as what leads to the others, and what ends; the last is put into those before it."""
    known = set(order)
    links = [{state: terms.one_of(by) for state, by in found.items() if state in known} for found in ways]
    ends = []
    for state, found in zip(order, ways, strict=True):
        leaving = (terms.then(terms.one_of(by), target) for target, by in found.items() if target not in known)
        ends.append(terms.any_of([EMPTY if state.is_nullable else NONE, *leaving]))
    for number in range(len(order) - 1, -1, -1):
        state = order[number]
        loop = links[number].pop(state, NONE)
        if loop is not NONE:
            links[number] = {target: terms.then(terms.times(loop), by) for target, by in links[number].items()}
            ends[number] = terms.then(terms.times(loop), ends[number])
        for earlier in range(number):
            by = links[earlier].pop(state, NONE)
            if by is NONE:
                continue
            ends[earlier] = terms.any_of([ends[earlier], terms.then(by, ends[number])])
            for target, more in links[number].items():
                links[earlier][target] = terms.any_of([links[earlier].get(target, NONE), terms.then(by, more)])
            if max(ends[earlier].depth, *(each.depth for each in links[earlier].values()), 0) > MAX_DEPTH:
                raise HardPattern("too many groups within groups")
    return ends[0]


def written(term: Term, work: Work) -> str:
    """A pattern of whole texts for a plain term. Raises HardPattern where it would be too long."""
    assert term.is_plain
    if term.size > _PER_CHARACTER * MAX_SIZE:
        raise HardPattern("too long")
    work.spend(term.size)
    found = f"^{_written(term)}$" if term.kind != "or" else f"^({_written(term)})$"
    if len(found) > MAX_SIZE:
        raise HardPattern("too long")
    return found


def _written(term: Term) -> str:
    if term.kind == "set":
        return term.pattern
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
