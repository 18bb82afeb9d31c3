"""Parses a pattern of ECMA's dialect: what consumes characters becomes terms, what looks at a place stays as it stands.

Looking behind, and references to groups, are not read. Source: ECMA-262, 22.2.1, with the flag `u`, as JSON Schema recommends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hanlin.engines import pattern_sets as sets
from hanlin.engines.pattern_algebra import HardPattern, Term, Terms
from hanlin.engines.pattern_sets import Characters

_MAX_LENGTH = 2000
_ESCAPES = {"d": sets.DIGITS, "w": sets.WORD, "s": sets.SPACES, "D": ~sets.DIGITS, "W": ~sets.WORD, "S": ~sets.SPACES}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_COUNT = re.compile(r"\{(\d{1,4})(?:(,)(\d{1,4})?)?\}")
_PAIR = re.compile(r"u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
_CODE = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}")
_GROUP = re.compile(r"\?(:|=|!|<[A-Za-z_]\w*>)")


@dataclass(frozen=True, slots=True)
class Place:
    """What consumes nothing. Attributes: kind: `^`, `$`, `b`, `B`, `=` or `!`; ahead: what is looked for, of the last two."""

    kind: str
    ahead: Node = ()


@dataclass(frozen=True, slots=True)
class Ways:
    """One of several sequences, so many times."""

    ways: tuple[Node, ...]
    least: int = 1
    most: int | None = 1


Node = tuple["Term | Place | Ways", ...]  # a sequence


def parsed(pattern: str, terms: Terms) -> Ways:
    """What a pattern consists of. Raises HardPattern for what is not read."""
    if len(pattern) > _MAX_LENGTH:
        raise HardPattern("too long")
    parser = _Parser(pattern, terms)
    found = parser.ways()
    if parser.at < len(pattern):
        raise HardPattern("unbalanced")
    return found


class _Parser:
    """Of one pattern. Attributes: at: where it reads."""

    def __init__(self, text: str, terms: Terms) -> None:
        self._text, self._terms, self.at = text, terms, 0

    def ways(self) -> Ways:
        """Alternatives, up to the end of their group."""
        found = [self._sequence()]
        while self._takes("|"):
            found.append(self._sequence())
        return Ways(tuple(found))

    def _takes(self, text: str) -> bool:
        if not self._text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def _sequence(self) -> Node:
        found: list[Term | Place | Ways] = []
        while self.at < len(self._text) and self._text[self.at] not in "|)":
            found.append(self._counted(self._atom()))
        return tuple(found)

    def _counted(self, atom: Term | Place | Ways) -> Term | Place | Ways:
        count = _COUNT.match(self._text, self.at)
        mark = self._text[self.at : self.at + 1]
        if count is None and mark not in ("*", "+", "?"):
            return atom
        self.at += len(count[0]) if count else 1
        if self._text[self.at : self.at + 1] in ("?", "+", "*") and not self._takes("?"):
            raise HardPattern("counted twice")
        if isinstance(atom, Place):
            raise HardPattern("counted places")
        least = int(count[1]) if count else int(mark == "+")
        most = (int(count[3]) if count[3] else None if count[2] else least) if count else 1 if mark == "?" else None
        if most is not None and most < least:
            raise HardPattern("a count that goes down")
        if isinstance(atom, Term):
            return self._terms.times(atom, least, most)
        term = plain_part(atom, self._terms)
        return Ways(atom.ways, least, most) if term is None else self._terms.times(term, least, most)

    def _atom(self) -> Term | Place | Ways:
        character = self._text[self.at]
        self.at += 1
        if character == "(":
            return self._group()
        if character in "^$":
            return Place(character)
        if character == "[":
            return self._terms.one_of(self._class())
        if character == "\\":
            if self._text[self.at : self.at + 1] in ("b", "B"):
                self.at += 1
                return Place(self._text[self.at - 1])
            return self._terms.one_of(self._escape())
        if character in "*+?{":
            raise HardPattern("nothing to repeat")
        return self._terms.one_of(sets.NO_LINES if character == "." else sets.of(character))

    def _group(self) -> Term | Place | Ways:
        mark = _GROUP.match(self._text, self.at)
        if mark is None and self._text.startswith("?", self.at):
            raise HardPattern("a group of another kind")
        self.at += len(mark[0]) if mark else 0
        inner = self.ways()
        if not self._takes(")"):
            raise HardPattern("unbalanced")
        return Place(mark[1], (inner,)) if mark and mark[1] in "=!" else plain_part(inner, self._terms) or inner

    def _escape(self) -> Characters:
        if (code := self._code()) is not None:
            return sets.between(code, code)
        character = self._text[self.at : self.at + 1]
        self.at += 1
        if character in ("p", "P"):
            name = re.compile(r"\{(?:General_Category=|gc=)?(\w+)\}").match(self._text, self.at)
            if name is None or (found := sets.of_category(name[1])) is None:
                raise HardPattern("an unknown property of characters")
            self.at += len(name[0])
            return found if character == "p" else ~found
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character in _CONTROLS and not (character == "0" and self._text[self.at : self.at + 1].isdigit()):
            return sets.of(_CONTROLS[character])
        if not character or character.isalnum():
            raise HardPattern("an unknown escape")
        return sets.of(character)

    def _code(self) -> int | None:
        """A code point by its number; two halves of a surrogate pair are one."""
        if (pair := _PAIR.match(self._text, self.at)) is not None:
            self.at += len(pair[0])
            return 0x10000 + ((int(pair[1], 16) - 0xD800) << 10) + int(pair[2], 16) - 0xDC00
        if (code := _CODE.match(self._text, self.at)) is None:
            return None
        self.at += len(code[0])
        return int(code[1] or code[2] or code[3], 16)

    def _class(self) -> Characters:
        is_turned, found = self._takes("^"), sets.NONE
        while not self._takes("]"):
            low = self._of_class()
            if self._text.startswith("-", self.at) and self._text[self.at + 1 : self.at + 2] not in ("", "]"):
                kept = self.at
                self.at += 1
                high = self._of_class()
                if isinstance(low, int) and isinstance(high, int):
                    if high < low:
                        raise HardPattern("a range that goes down")
                    found |= sets.between(low, high)
                    continue
                self.at = kept  # [\w-.]: a hyphen beside a class is one
                if not isinstance(low, int):
                    found |= low | sets.of("-")
                    self.at += 1
                    continue
            found |= low if isinstance(low, Characters) else sets.between(low, low)
        return ~found if is_turned else found

    def _of_class(self) -> int | Characters:
        """One member: a code point, which may begin a range, or a set."""
        if self.at >= len(self._text):
            raise HardPattern("unbalanced")
        character = self._text[self.at]
        self.at += 1
        if character != "\\":
            return ord(character)
        if self._takes("b"):
            return 8
        if (code := self._code()) is not None:
            return code
        begun = self.at
        found = self._escape()
        return found if self._text[begun] in "pPdDwWsS" else found.first


def plain_part(node: Ways, terms: Terms) -> Term | None:
    """The language of a part that asks nothing of what stands around it."""
    ways: list[Term] = []
    for way in node.ways:
        parts = [part if isinstance(part, Term) else plain_part(part, terms) if isinstance(part, Ways) else None for part in way]
        if any(part is None for part in parts):
            return None
        ways.append(terms.then(*(part for part in parts if part is not None)))
    return terms.times(terms.any_of(ways), node.least, node.most)
