"""Which split a text belongs to, by its own hash alone: rows that are added later never move others."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from hanlin.tasks.text import fold_space, fold_width, simplify, strip_control

_SIGNS = re.compile(r"[\W_]+")

SPLITS = ("train", "validation", "test")


def split_of(text: str, rule: str = "80/10/10") -> str:
    """The split of `text`: the SHA-256 of its UTF-8 modulo 10.

    Args:
        rule: `80/10/10`: 0-7 train, 8 validation, 9 test. `80/20`: 8 and 9 are test, and validation is a tenth of
            train by a second, independent hash.
    """
    return SPLITS[split_index(hashlib.sha256(text.encode("utf-8")).digest(), text, rule)]


def split_index(digest: bytes, text: str, rule: str) -> int:
    """Position in `SPLITS` for a text whose SHA-256 is known."""
    bucket = int.from_bytes(digest, "big") % 10
    if rule == "80/10/10":
        return max(0, bucket - 7)
    if bucket >= 8:
        return 2
    second = hashlib.sha256(b"validation\0" + text.encode("utf-8")).digest()
    return int(int.from_bytes(second, "big") % 10 == 0)


def fold(text: str) -> str:
    """What near-twins have in common: letters and digits only, width, case and Chinese variant folded.

    A text without letters and digits (emoji, say) keeps its symbols.
    """
    composed = text if unicodedata.is_normalized("NFC", text) else fold_width(text)
    # Signs go first: they are most of what the slower steps would have to touch.
    if letters := _SIGNS.sub("", composed):
        return simplify(fold_width(letters)).casefold()
    return fold_space(fold_width(strip_control(text))).casefold()
