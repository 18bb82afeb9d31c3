"""Patterns of ECMA's dialect in the words of one without look-ahead, their opposites, and names that several patterns match.

Source: ECMA-262, 22.2, as JSON Schema recommends it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hanlin.engines.pattern_algebra import ALL, NONE, HardPattern, Term, Work, any_of, both, bounded, no, one_of, shortest, then, times
from hanlin.engines.pattern_reading import language
from hanlin.engines.pattern_sets import EVERY, of
from hanlin.engines.pattern_solving import plain, written
from hanlin.types import JsonObject, JsonValue

MAX_WORK = 100_000  # derivatives that one schema's patterns may need: a second or so
MAX_CELLS = 16  # sets of names that patterns judge alike
_LOOKS = re.compile(r"\(\?[=!]|\\[bB]|\\u[dD][89A-Fa-f]")
_CODE = re.compile(r"(\\\\)|\\u([0-9A-Fa-f]{4})|\\u\{([0-9A-Fa-f]+)\}")
Join = Callable[[list[JsonValue]], JsonValue]


class Patterns:
    """Of one schema: what they cost is counted together."""

    def __init__(self) -> None:
        self._work = Work(MAX_WORK)

    def plain(self, pattern: str) -> list[str]:
        """Patterns that a text matches all of when it matches this one; only it, where nothing in it looks around, or none can be found."""
        if _LOOKS.search(pattern) is None:
            return [_codes(pattern)]
        try:
            term = self._language(pattern)
            try:
                return [written(plain(term, self._work))]
            except HardPattern:
                return [written(plain(part, self._work)) for part in term.parts] if term.kind == "and" else [_codes(pattern)]
        except HardPattern:
            return [_codes(pattern)]

    def bounded(self, pattern: str, least: int, most: int) -> tuple[str, bool] | None:
        """A pattern that no longer text matches, and whether no shorter one does; None: there is none.

        Texts are lost of which one part is much longer than the others: each may be repeated as often as any other.
        """
        try:
            found = bounded(plain(self._language(pattern), self._work), most)
            return None if found is None else (written(found), shortest(found) >= least)
        except HardPattern:
            return None

    def one(self, pattern: str) -> str | None:
        """A single one; None: there is none."""
        found = self.plain(pattern)
        return found[0] if len(found) == 1 and not re.search(r"\(\?[=!]", found[0]) else None

    def opposite(self, pattern: str) -> str | None:
        """A pattern of all texts that do not match; None: it is too long, or not found."""
        try:
            return written(plain(no(self._language(pattern)), self._work))
        except HardPattern:
            return None

    def are_apart(self, one: JsonObject, other: JsonObject) -> bool:
        """Whether no text keeps to both schemas; False as well where that is not found out."""
        try:
            return plain(both(self._texts(one), self._texts(other)), self._work) == NONE
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
                if (shared := plain(both(term, left), self._work)) == NONE:
                    more.append((term, spelt, asked))
                    continue
                more += [(shared, None, [*asked, schema]), (plain(both(term, no(left)), self._work), None, asked)]
                left, name = plain(both(left, no(term)), self._work), ""
            cells = [each for each in (*more, (left, name or None, [schema])) if each[0] != NONE]
            if len(cells) > MAX_CELLS:
                raise HardPattern("too many sets of names")
        return {spelt or written(term): asked[0] if len(asked) == 1 else join(asked) for term, spelt, asked in cells}

    def _texts(self, schema: JsonObject) -> Term:
        """Those that patterns, lengths and listed values leave."""
        least, most, values = schema.get("minLength", 0), schema.get("maxLength"), schema.get("enum")
        found = ALL
        if isinstance(least, int) and (most is None or isinstance(most, int)) and (least or most is not None):
            found = times(one_of(EVERY), least, most) if most is None or least <= most else NONE
        if isinstance(pattern := schema.get("pattern"), str):
            found = both(found, self._language(pattern))
        if "const" in schema or isinstance(values, list):
            listed = [schema["const"]] if "const" in schema else values if isinstance(values, list) else []
            self._work.spend(sum(len(each) for each in listed if isinstance(each, str)))
            found = both(found, any_of(then(*map(one_of, map(of, each))) for each in listed if isinstance(each, str)))
        return found

    def _language(self, pattern: str) -> Term:
        self._work.spend(500 + len(pattern))
        return language(pattern)


def _codes(pattern: str) -> str:
    return _CODE.sub(lambda found: found[1] or f"\\x{{{found[2] or found[3]}}}", pattern)
