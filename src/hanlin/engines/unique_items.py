"""Lists whose items all differ, which no grammar can say: what was written is read along, and tokens that repeat an item are forbidden.

So are tokens behind which nothing but a repetition could come, as far as few tokens show it; where that was not far enough the row ends
with an error, never with a list that is wrong. Which lists are meant is judged by where they stand: one that some choice of the schema
wants so is written so. Knows tokens and masks; what else a schema says is the inner form's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from hanlin.engines.unique_reading import SPACE, Open, Reader, Spots
from hanlin.errors import InvalidInput
from hanlin.networks.generation.form import Bits, Form

_FEW = 24  # tokens that may follow; where there are more, one of them repeats nothing
MAX_ITEMS = 1000  # of a list whose items differ: they are gone through for each token
MAX_ITEM_BYTES = 10_000  # of one of them, which is read anew for each token that may end it
_MAX_TRIES = 300  # tokens that are looked behind for one mask: 10 ms


class Spelling:
    """The bytes of a tokenizer's tokens. Args: tokenizer: llguidance's."""

    def __init__(self, tokenizer: Any, num_tokens: int) -> None:
        self.bytes = [bytes(tokenizer.decode_bytes([token])) for token in range(num_tokens)]

    @cached_property
    def ids(self) -> dict[bytes, int]:
        """A token for each text."""
        return {text: token for token, text in enumerate(self.bytes)}

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest token."""
        return max(map(len, self.bytes), default=0)

    @cached_property
    def quotes(self) -> Bits:
        """Tokens that may end a text within an item."""
        return self._having(b'"')

    @cached_property
    def ends(self) -> Bits:
        """Tokens that may end an item."""
        return self._having(b'",]}el' + SPACE)

    def _having(self, marks: bytes) -> Bits:
        found = np.array([any(mark in text for mark in marks) for text in self.bytes], dtype=bool)
        return np.packbits(found, bitorder="little")


class UniqueForm:
    """See `Form`. Args: inner: the form of all that the schema says besides; matcher: a fresh copy of what that follows."""

    def __init__(self, inner: Form, matcher: Any, spots: Spots, spelling: Spelling) -> None:
        self._inner, self._matcher, self._spots, self._spelling = inner, matcher, spots, spelling
        self._reader, self._read = Reader(spots), list[int]()
        self._tries = 0

    def allowed(self, written: Sequence[int]) -> Bits:
        """See `Form.allowed`."""
        self._go_to(written)
        bits = self._inner.allowed(written)
        if not self._reader.watches:
            return bits
        if any(each.differs and self._is_much(each) for each in self._reader.open):
            raise InvalidInput("constraint_refused", reason="too many, or too long items that must differ (uniqueItems)")
        self._tries = _MAX_TRIES
        marks = self._spelling.quotes if self._reader.quote is not None else self._spelling.ends
        forbidden, crossing = list[int](), set[int]()
        for token in _tokens(bits[: len(marks)] & marks[: len(bits)]):
            after = self._reader.after(self._spelling.bytes[token])
            if after.repeats:
                forbidden.append(token)
            elif after.crosses:
                crossing.add(token)
        doubtful = crossing | {token for token in self._towards_used() if _has(bits, token)}
        forbidden += [token for token in doubtful if self._is_dead(self._matcher, self._reader, token)]
        found = _without(bits, forbidden)
        if not found.any() and not self._inner.may_end(written):
            raise InvalidInput("constraint_refused", reason="a list would have to repeat an item (uniqueItems)")
        return found

    def may_end(self, written: Sequence[int]) -> bool:
        """See `Form.may_end`."""
        return self._inner.may_end(written)

    def must_end(self, written: Sequence[int]) -> bool:
        """See `Form.must_end`."""
        return self._inner.must_end(written)

    def _go_to(self, written: Sequence[int]) -> None:
        if self._read != list(written[: len(self._read)]):
            self._matcher.rollback(len(self._read))
            self._reader, self._read = Reader(self._spots), []
        if more := list(written[len(self._read) :]):
            self._matcher.consume_tokens(more)
            for token in more:
                self._reader.read(self._spelling.bytes[token])
            self._reader.forget()
        self._read = list(written)

    def _is_much(self, each: Open) -> bool:
        return len(each.raw) > MAX_ITEMS or (each.begun is not None and len(self._reader.text) - each.begun > MAX_ITEM_BYTES)

    def _towards_used(self) -> set[int]:
        """Tokens that go on as an earlier item did."""
        seen: set[int] = set()
        for each in self._reader.open:
            if not each.differs:
                continue
            so_far = b"" if each.begun is None else bytes(self._reader.text[each.begun :])
            end = len(so_far) + self._spelling.longest
            for rest in {raw[len(so_far) : end] for raw in each.raw if raw.startswith(so_far)}:
                tokens = (self._spelling.ids.get(rest[:length]) for length in range(1, len(rest) + 1))
                seen |= {token for token in tokens if token is not None}
        return seen

    def _is_dead(self, matcher: Any, reader: Reader, token: int, depth: int = 0) -> bool:
        """Whether behind a token nothing can come but an item for the second time."""
        self._tries -= 1
        after = reader.after(self._spelling.bytes[token])
        if after.repeats:
            return True
        if depth > 6 or self._tries <= 0:
            return False
        further = matcher.deep_copy()
        if not further.consume_token(token):
            return False
        if forced := further.compute_ff_tokens():
            after.read(b"".join(self._spelling.bytes[each] for each in forced))
            if after.repeats:
                return True
            further.consume_tokens(forced)
        bits = np.frombuffer(further.compute_bitmask(), dtype=np.uint8)
        if further.is_accepting() or int(np.unpackbits(bits).sum()) > _FEW:
            return False
        found = _tokens(bits)
        return bool(found) and all(self._is_dead(further, after, each, depth + 1) for each in found)


def _tokens(bits: Bits) -> list[int]:
    return [int(token) for token in np.flatnonzero(np.unpackbits(bits, bitorder="little"))]


def _has(bits: Bits, token: int) -> bool:
    return bool(token >> 3 < len(bits) and bits[token >> 3] >> (token & 7) & 1)


def _without(bits: Bits, tokens: Sequence[int]) -> Bits:
    index = np.array([token for token in tokens if token >> 3 < len(bits)], dtype=np.int64)
    found = bits.copy()
    np.bitwise_and.at(found, index >> 3, ~(1 << (index & 7)).astype(np.uint8))
    return found
