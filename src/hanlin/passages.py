"""Documents in passages: pieces of whole sentences that a reader takes at once, with their places. Rules only: no model, no tokenizer."""

from __future__ import annotations

import re
from itertools import pairwise

# A run of end marks with the quotes and brackets that close behind it; a Latin full stop ends a sentence only before a space.
SENTENCE_END = re.compile(r"[。！？；]+[”’』」）)\]]*|[.!?]+[\"'”’)\]]*(?=\s|$)|\n+")
MAX_DOCUMENTS = 4096  # that a question is asked about
PASSAGE_BYTES = 900  # of UTF-8: about 200 tokens, of English as of Chinese
_SHARE = 4  # a sentence that is too long is cut at a space in the last part of the room, else between characters


def cut_passages(text: str) -> list[tuple[int, int]]:
    """Where the passages of a document start and end, in characters and in order; those without a letter or digit are left out.

    A document that has none at all is one passage.
    """
    found: list[tuple[int, int]] = []
    for start, end in _pieces(text):
        if found and _fits(text, found[-1][0], end):
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    told = [_stripped(text, *place) for place in found if any(map(str.isalnum, text[slice(*place)]))]
    return told or [(0, len(text))]


def _pieces(text: str) -> list[tuple[int, int]]:
    """Sentences, none larger than a passage."""
    ends = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    found = []
    for begin, end in pairwise(ends):
        start = begin
        while not _fits(text, start, end):
            cut = start + len(text[start : start + PASSAGE_BYTES].encode("utf-8", "replace")[:PASSAGE_BYTES].decode("utf-8", "ignore"))
            space = text.rfind(" ", cut - (cut - start) // _SHARE, cut)
            cut = space + 1 if space >= 0 else cut
            found.append((start, cut))
            start = cut
        if start < end:
            found.append((start, end))
    return found


def _fits(text: str, start: int, end: int) -> bool:
    """Whether a piece makes a passage. A character is a byte or more, so that of a long text only the beginning is looked at."""
    return end - start <= PASSAGE_BYTES and len(text[start:end].encode("utf-8", "replace")) <= PASSAGE_BYTES


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())
