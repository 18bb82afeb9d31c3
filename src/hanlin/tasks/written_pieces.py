"""Answers that stand in a text, word by word: the grammar that keeps a model to pieces of what it was given, and where a piece stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain

_CHUNK = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]")
# Signs that grammars are measured by before they are read (`engines/constraint_bounds.py`): words of a text are no part of the grammar.
_MARKS = re.compile(r"[*?{}|()&~%:]")


def quoted(text: str) -> str:
    """A text as a literal of a Lark grammar, or a string of JSON, without signs that mean something in grammars."""
    return _MARKS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(text, ensure_ascii=False))


def pieces_of(text: str, *, is_in_json: bool = False) -> str:
    """What a terminal is: any run of whole words, single characters of scripts without spaces, and marks, as they stand in `text`; or none.

    Args:
        is_in_json: as such a piece is written between the quotes of JSON.
    """
    words = _CHUNK.findall(text)
    words = [json.dumps(word, ensure_ascii=False)[1:-1] for word in words] if is_in_json else words
    return f'%regex {{"substring_chunks": [{", ".join(map(quoted, words))}]}}'


def place_of(piece: re.Pattern[str], text: str, *, is_cut: bool = False) -> tuple[int, int] | None:
    """Where a piece first stands in `text` as such a run, never in the middle of a word; None where it does not.

    Args:
        is_cut: the piece may end within a word, since its writing did: then, if need be, it may stand anywhere.
    """
    starts = {found.start() for found in _CHUNK.finditer(text)}
    places = list(_places(piece, text))
    whole = (place for place in places if place[0] in starts and place[1] in starts | {len(text)})
    begun = (place for place in places if is_cut and place[0] in starts)
    return next(chain(whole, begun, places if is_cut else ()), None)


def _places(piece: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """All of them, overlapping ones too."""
    found = piece.search(text)
    while found:
        yield found.span()
        found = piece.search(text, found.start() + 1)
