"""The parts of a talk as tokens: what a message says is never read as a special token, whatever it is made of."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Container, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from hanlin.tasks.alignment import Span
from hanlin.tasks.tokenizer import asking

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_LETTERS = 8  # that a token rarely has
_MARGIN = 64  # tokens that a cut behind them does not change


def encoded(tokenizer: Tokenizer, parts: Sequence[tuple[str, bool]], *, is_free: bool = False) -> tuple[list[int], list[Span]]:
    """Ids and places of the whole text; words that hold a special token's name are encoded apart, as the letters that they are.

    Args:
        is_free: words may stand beside anything, so that both together could be such a name.
    """
    if (whole := _at_once(tokenizer, parts, is_free=is_free)) is not None:
        return whole.ids, whole.offsets
    added = tokenizer.get_added_tokens_decoder()
    special = [token.content for token in added.values()]
    ids: list[int] = []
    spans: list[Span] = []
    at = 0
    for text, is_said in parts:
        pieces = [*reversed(_without(text, special))] if is_said else [text]
        while pieces:
            piece = pieces.pop()
            part = _encode(tokenizer, piece)
            if is_said and (cut := _first_special(part, added)):
                pieces += [piece[cut:], piece[:cut]]
                continue
            ids += part.ids
            spans += [(at + start, at + end) for start, end in part.offsets]
            at += len(piece)
    return ids, spans


def num_encoded(tokenizer: Tokenizer, parts: Sequence[tuple[str, bool]], *, is_free: bool = False) -> int:
    """How many tokens `encoded` gives: a megabyte's need not all become objects."""
    whole = _at_once(tokenizer, parts, is_free=is_free)
    return len(whole) if whole is not None else len(encoded(tokenizer, parts, is_free=is_free)[0])


def _encode(tokenizer: Tokenizer, text: str) -> Encoding:
    """By the batch, which lets other threads run meanwhile: `encode` alone held up a worker for the second that a megabyte takes."""
    with asking():
        return tokenizer.encode_batch([text], add_special_tokens=False)[0]


def encoded_so_far(
    tokenizer: Tokenizer, parts: Sequence[tuple[str, bool]], most: int, *, is_free: bool = False
) -> tuple[list[int], list[Span]]:  # fmt: skip
    """As `encoded`, or of the beginning where that alone has more than `most` tokens: a megabyte takes seconds."""
    left, beginning = _LETTERS * (most + _MARGIN), []
    for text, is_said in parts:
        beginning.append((text[:left], is_said))
        left -= len(text)
        if left < 0:
            found = encoded(tokenizer, beginning, is_free=is_free)
            if len(found[0]) > most + _MARGIN:
                return found
            break
    return encoded(tokenizer, parts, is_free=is_free)


def _at_once(tokenizer: Tokenizer, parts: Sequence[tuple[str, bool]], *, is_free: bool) -> Encoding | None:
    """All as one text; None where words would become special tokens."""
    added = tokenizer.get_added_tokens_decoder()
    special = [token.content for token in added.values()]
    if any(_holds(tokenizer, text, special) for text, is_said in parts if is_said):
        return None
    text = "".join(text for text, _ in parts)
    found = _encode(tokenizer, text)
    return None if is_free and _mixes(found, text, parts, added) else found


def _mixes(found: Encoding, text: str, parts: Sequence[tuple[str, bool]], special: Container[int]) -> bool:
    """Whether a special token, without the blanks that it may take with it, stands in words, or in more than one part."""
    ends = [*accumulate(len(part) for part, _ in parts)]
    for place, token in enumerate(found.ids):
        if token in special and (span := found.token_to_chars(place)) is not None:
            name = text[slice(*span)]
            start = span[0] + len(name) - len(name.lstrip())
            part = min(bisect_right(ends, start), len(ends) - 1)
            if parts[part][1] or start + len(name.strip()) > ends[part]:
                return True
    return False


def _holds(tokenizer: Tokenizer, text: str, special: Sequence[str]) -> bool:
    """Whether a special name stands in a text, or in what the tokenizer makes of it before it looks: wide letters may become a name."""
    if any(name in text for name in special):
        return True
    if (normalizer := tokenizer.normalizer) is None:
        return False
    with asking():
        plain, names = normalizer.normalize_str(text), [normalizer.normalize_str(name) for name in special]
    return any(name in plain for name in names if name)


def _first_special(part: Encoding, special: Container[int]) -> int:
    """Where to cut a piece so that its first special token falls apart: behind its first letter; 0: there is none that can."""
    places = ((start, end) for token, (start, end) in zip(part.ids, part.offsets, strict=True) if token in special)
    return next((start + 1 for start, end in places if end - start > 1), 0)


def _without(text: str, special: Sequence[str]) -> list[str]:
    """Pieces in none of which a special name stands whole: each name is cut behind its first letter."""
    names = "|".join(re.escape(name) for name in special if len(name) > 1)
    cuts = [found.start() + 1 for found in re.finditer(f"(?={names})", text)] if names else []
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
