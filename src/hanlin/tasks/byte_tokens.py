"""Tokens that are a byte each, as SentencePiece's byte fallback has them: the text of a run of them does not change with what follows.

`tokenizers` makes every byte of a run a sign of its own when the run as a whole is no UTF-8, characters that were whole among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from hanlin.tasks.tokenizer import asking

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def bytes_of(tokenizer: Tokenizer) -> Mapping[int, int]:
    """The byte of each such token; empty: the tokenizer has none."""
    if tokenizer.decoder is None or tokenizer.decoder.decode(["<0x80>"]) == "<0x80>":
        return {}
    found = ((tokenizer.token_to_id(f"<0x{byte:02X}>"), byte) for byte in range(256))
    return {number: byte for number, byte in found if number is not None}


def has_broken_run(ids: Sequence[int], values: Mapping[int, int]) -> bool:
    """Whether bytes beside each other are no whole characters."""
    return any("\ufffd" in text for _, text in _runs(ids, values) if text is not None)


def spelled(tokenizer: Tokenizer, ids: Sequence[int], values: Mapping[int, int]) -> str:
    """The text of ids without special tokens, in which half a character is one sign."""
    added = tokenizer.get_added_tokens_decoder()
    kept = [number for number in ids if not (number in added and added[number].special)]
    names: list[str] = []
    for run, text in _runs(kept, values):
        names += [tokenizer.id_to_token(number) or "" for number in run] if text is None else [text]
    with asking():
        return str(tokenizer.decoder.decode(names))


def _runs(ids: Sequence[int], values: Mapping[int, int]) -> list[tuple[list[int], str | None]]:
    """Tokens that are bytes with their text, and others without."""
    found: list[tuple[list[int], str | None]] = []
    for is_byte, group in groupby(ids, values.__contains__):
        run = list(group)
        found.append((run, bytes(values[number] for number in run).decode("utf-8", "replace") if is_byte else None))
    return found
