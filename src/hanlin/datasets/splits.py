"""Which split a text belongs to, by its own hash alone: rows that are added later never move others."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata

from hanlin.errors import InvalidInput
from hanlin.tasks.text import fold_space, fold_width, simplify, strip_control
from hanlin.types import shorten

_SIGNS = re.compile(r"[\W_]+")
_RULE = re.compile(r"[1-9][0-9]?(/[1-9][0-9]?){1,2}", re.ASCII)

SPLITS = ("train", "validation", "test")


def split_of(text: str, rule: str = "80/10/10") -> str:
    """The split of `text`, by the SHA-256 of its UTF-8: modulo 10 where all shares are tens, else modulo 100.

    Args:
        rule: shares in percent, see `shares_of`. `80/10/10`: 0-7 train, 8 validation, 9 test. `80/20`: 8 and 9 are test, and
            validation is a tenth of train by a second, independent hash.

    Raises:
        InvalidInput: `invalid_dataset_split`.
    """
    return SPLITS[split_index(hashlib.sha256(text.encode("utf-8")).digest(), text, rule)]


def split_index(digest: bytes, text: str, rule: str) -> int:
    """Position in `SPLITS` for a text whose SHA-256 is known."""
    train, validation, buckets = _bounds(rule)
    bucket = int.from_bytes(digest, "big") % buckets
    if bucket >= validation:
        return 2
    if bucket >= train:
        return 1
    if train < validation:
        return 0
    second = hashlib.sha256(b"validation\0" + text.encode("utf-8")).digest()
    return int(int.from_bytes(second, "big") % 10 == 0)


def shares_of(rule: str) -> tuple[int, ...]:
    """Percents of train, validation and test (`70/15/15`), or of train and test (`70/30`). Raises InvalidInput: `invalid_dataset_split`."""
    shares = tuple(int(part) for part in rule.split("/")) if _RULE.fullmatch(rule) else ()
    if sum(shares) != 100:
        raise InvalidInput("invalid_dataset_split", value=shorten(rule))
    return shares


@functools.cache
def _bounds(rule: str) -> tuple[int, int, int]:
    """The first bucket behind train, the first behind validation, and how many there are; equal where validation comes from train."""
    shares = shares_of(rule)
    unit = 10 if all(share % 10 == 0 for share in shares) else 1
    return shares[0] // unit, sum(shares[:-1]) // unit, 100 // unit


def fold(text: str) -> str:
    """What near-twins have in common: letters and digits only, width, case and Chinese variant folded.

    A text without letters and digits (emoji, say) keeps its symbols.
    """
    composed = text if unicodedata.is_normalized("NFC", text) else fold_width(text)
    # Signs go first: they are most of what the slower steps would have to touch.
    if letters := _SIGNS.sub("", composed):
        return simplify(fold_width(letters)).casefold()
    return fold_space(fold_width(strip_control(text))).casefold()
