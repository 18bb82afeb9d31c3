"""Patterns of ECMA's dialect in the words of one without look-ahead, their opposites, and names that several patterns match.

Source: ECMA-262, 22.2, as JSON Schema recommends it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hanlin.engines.pattern_algebra import ALL, NONE, HardPattern, Term, Terms, Work
from hanlin.engines.pattern_reading import language
from hanlin.engines.pattern_sets import EVERY, of
from hanlin.engines.pattern_solving import plain, written
from hanlin.types import JsonObject, JsonValue

MAX_WORK = 1_500_000  # parts of terms that one schema's patterns may go through: about a second
MAX_CELLS = 16  # sets of names that patterns judge alike
MAX_TEXT = 300  # characters of a listed text that is compared with patterns
_LOOKS = re.compile(r"\(\?[=!]|\\[bB]|\\u[dD][89A-Fa-f]")
_CODE = re.compile(r"(\\\\)|\\u([0-9A-Fa-f]{4})|\\u\{([0-9A-Fa-f]+)\}")
Join = Callable[[list[JsonValue]], JsonValue]


class Patterns:
    """Of one schema. Args: work: what they may cost all together; None: the usual."""

    def __init__(self, work: Work | None = None) -> None:
        self._terms = Terms(work or Work(MAX_WORK))

    def plain(self, pattern: str) -> list[str]:
        """Patterns that a text matches all of when it matches this one; only it, where nothing in it looks around, or none can be found."""
        if _LOOKS.search(pattern) is None:
            return [_codes(pattern)]
        try:
            term = self._language(pattern)
            try:
                return [self._written(self._plain(term))]
            except HardPattern:
                return [self._written(self._plain(part)) for part in term.parts] if term.kind == "and" else [_codes(pattern)]
        except HardPattern:
            return [_codes(pattern)]

    def bounded(self, pattern: str, least: int, most: int) -> tuple[str, bool] | None:
        """A pattern that no longer text matches, and whether no shorter one does; None: there is none.

        Texts are lost of which one part is much longer than the others: each may be repeated as often as any other.
        """
        try:
            found = self._terms.bounded(self._plain(self._language(pattern)), most)
            return None if found is None else (self._written(found), found.shortest >= least)
        except HardPattern:
            return None

    def one(self, pattern: str) -> str | None:
        """A single one; None: there is none."""
        found = self.plain(pattern)
        return found[0] if len(found) == 1 and not re.search(r"\(\?[=!]", found[0]) else None

    def opposite(self, pattern: str) -> str | None:
        """A pattern of all texts that do not match; None: it is too long, or not found."""
        try:
            return self._written(self._plain(self._terms.no(self._language(pattern))))
        except HardPattern:
            return None

    def are_apart(self, one: JsonObject, other: JsonObject) -> bool:
        """Whether no text keeps to both schemas; False as well where that is not found out."""
        try:
            return self._met(self._texts(one), self._texts(other)) is NONE
        except HardPattern:
            return False

    def apart(self, schemas: Mapping[str, JsonValue], join: Join) -> dict[str, JsonValue]:
        """Patterns of names of which none matches what another does, with what they ask; as they came where that is not found."""
        try:
            return self._cells(schemas, join)
        except HardPattern:
            return dict(schemas)

    def _cells(self, schemas: Mapping[str, JsonValue], join: Join) -> dict[str, JsonValue]:
        cells: list[tuple[Term, str | None, list[JsonValue]]] = []
        for pattern, schema in schemas.items():
            left, name, more = self._language(pattern), pattern, list[tuple[Term, str | None, list[JsonValue]]]()
            for term, spelt, asked in cells:
                if (shared := self._met(term, left)) is NONE:
                    more.append((term, spelt, asked))
                    continue
                more += [(shared, None, [*asked, schema]), (self._met(term, self._terms.no(left)), None, asked)]
                left, name = self._met(left, self._terms.no(term)), ""
            cells = [each for each in (*more, (left, name or None, [schema])) if each[0] is not NONE]
            if len(cells) > MAX_CELLS:
                raise HardPattern("too many sets of names")
        return {spelt or self._written(term): asked[0] if len(asked) == 1 else join(asked) for term, spelt, asked in cells}

    def _texts(self, schema: JsonObject) -> Term:
        """Those that patterns, lengths and listed values leave."""
        terms, least, most, values = self._terms, schema.get("minLength", 0), schema.get("maxLength"), schema.get("enum")
        found = ALL
        if isinstance(least, int) and (most is None or isinstance(most, int)) and (least or most is not None):
            found = terms.times(terms.one_of(EVERY), least, most) if most is None or least <= most else NONE
        if isinstance(pattern := schema.get("pattern"), str):
            found = terms.both(found, self._language(pattern))
        if "const" in schema or isinstance(values, list):
            listed = [schema["const"]] if "const" in schema else values if isinstance(values, list) else []
            found = terms.both(found, terms.any_of(self._text(each) for each in listed if isinstance(each, str)))
        return found

    def _text(self, text: str) -> Term:
        if len(text) > MAX_TEXT:
            raise HardPattern("too long a text")
        return self._terms.then(*(self._terms.one_of(of(each)) for each in text))

    def _language(self, pattern: str) -> Term:
        self._terms.work.spend(500 + len(pattern))
        return language(pattern, self._terms)

    def _plain(self, term: Term) -> Term:
        return plain(term, self._terms)

    def _met(self, one: Term, other: Term) -> Term:
        """What is in both, as a plain term."""
        return plain(self._terms.both(one, other), self._terms)

    def _written(self, term: Term) -> str:
        return written(term, self._terms.work)


def _codes(pattern: str) -> str:
    return _CODE.sub(lambda found: found[1] or f"\\x{{{found[2] or found[3]}}}", pattern)
