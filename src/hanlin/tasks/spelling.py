"""The bytes that the tokens of a byte-level tokenizer stand for."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_PIECE = 64  # bytes of a token that is looked for


@dataclass(frozen=True, slots=True)
class Spelling:
    """The bytes of tokens. Every single byte is a token of its own, so that any value can be spelled.

    Args:
        ids: of each piece of bytes.
        pieces: the other way round.
    """

    ids: Mapping[bytes, int]
    pieces: Mapping[int, bytes]

    @classmethod
    def of(cls, vocabulary: Mapping[str, int]) -> Spelling:
        """Of a byte-level tokenizer's vocabulary: names such as `Ġbook`."""
        letters = _byte_letters()
        names = ((name, number) for name, number in vocabulary.items() if all(sign in letters for sign in name))
        ids = {bytes(letters[sign] for sign in name): number for name, number in names}
        return cls(ids, {number: piece for piece, number in ids.items()})

    @property
    def is_whole(self) -> bool:
        """Whether every byte is a token of its own."""
        return all(bytes([byte]) in self.ids for byte in range(256))

    def starts(self, rest: bytes) -> Iterator[tuple[bytes, int]]:
        """The tokens that `rest` may begin with."""
        for size in range(1, min(len(rest), MAX_PIECE) + 1):
            if (found := self.ids.get(rest[:size])) is not None:
                yield rest[:size], found


@functools.cache
def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte. Source: GPT-2's `bytes_to_unicode`."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(hidden)}
