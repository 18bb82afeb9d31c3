"""What a decoder remembers of the tokens it has read, so that each is read once: keys and values of every block.

Rows of unlike lengths end at the same place; what stands before a shorter one is padding, which the mask hides:

    0 0 a b c      drop_first(1)    0 a b c     once the longest row has left
    d e f g h  →                    f g h i  …
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

_ROOM = 64  # tokens by which a cache grows: a copy of everything at each step would cost more than the step
UNSEEN = -1e4  # added to scores: their softmax is exactly 0 in fp32, and a row that sees nothing gives no NaN


@dataclass(slots=True)
class BlockCache:
    """Keys and values of one block, (rows, heads, tokens, size) each."""

    _keys: Tensor | None = None
    _values: Tensor | None = None
    length: int = 0

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Remember those of further tokens. Returns all there are; views, to be read before the next change."""
        if self._keys is None or self._values is None:  # no copy: training and the reading of a prompt never come back
            self._keys, self._values, self.length = keys, values, keys.shape[2]
            return keys, values
        begin, end = self.length, self.length + keys.shape[2]
        self._keys, self._values = _with_room(self._keys, begin, end), _with_room(self._values, begin, end)
        self._keys[:, :, begin:end], self._values[:, :, begin:end] = keys, values
        self.length = end
        return self.held()

    def held(self) -> tuple[Tensor, Tensor]:
        """Keys and values of all tokens so far; views."""
        assert self._keys is not None and self._values is not None, "nothing was read"
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

    def pick(self, index: Tensor, begin: int = 0) -> BlockCache:
        """A copy of the rows of `index`, in its order, without their first `begin` places; a row may come more than once."""
        if self._keys is None or self._values is None:
            return BlockCache()
        return BlockCache(self._keys[index, :, begin:], self._values[index, :, begin:], self.length - begin)  # room for more stays

    def first(self, count: int) -> BlockCache:
        """The first `count` tokens; no copy, and yet what either side takes up the other does not see."""
        keys, values = self.held()
        return BlockCache(keys[:, :, :count], values[:, :, :count], count)  # without room: the next token makes a copy

    def join(self, other: BlockCache) -> BlockCache:
        """The rows of both, padded on the left to the longer."""
        length = max(self.length, other.length)
        pairs = zip(self.held(), other.held(), strict=True)
        keys, values = (_stacked(mine, theirs, length) for mine, theirs in pairs)
        return BlockCache(keys, values, length)

    @property
    def size_bytes(self) -> int:
        """Of what is remembered, without the room that is kept for more."""
        return sum(part.nbytes for part in self.held()) if self._keys is not None else 0


def _with_room(held: Tensor, begin: int, end: int) -> Tensor:
    """`held`, or a larger copy of its first `begin` tokens with room for `end`."""
    rows, heads, room, size = held.shape
    if end <= room:
        return held
    grown = held.new_empty(rows, heads, end + _ROOM, size)
    grown[:, :, :begin] = held[:, :, :begin]
    return grown


def _stacked(mine: Tensor, theirs: Tensor, length: int) -> Tensor:
    """Rows of both with room for more; padding is zero: what is not looked at must still be a number."""
    rows, heads, _, size = mine.shape
    found = mine.new_empty(rows + len(theirs), heads, length + _ROOM, size)
    for begin, part in ((0, mine), (rows, theirs)):
        fill, place = length - part.shape[2], found[begin : begin + len(part)]
        place[:, :, :fill] = 0
        place[:, :, fill:length] = part
    return found


@dataclass(slots=True)
class DecoderCache:
    """What a decoder with `blocks` remembers between steps.

    Attributes:
        mask: (rows, tokens) 1 or 0, of every token read so far.
        source: keys and values of the source for each block, where there is one.
        source_bias: (rows, 1, 1, source tokens), 0 for real tokens, very negative for padding.
    """

    blocks: list[BlockCache]
    mask: Tensor
    source: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    source_bias: Tensor | None = None

    @classmethod
    def empty(cls, num_blocks: int, num_rows: int) -> DecoderCache:
        """Before the first token."""
        return cls([BlockCache() for _ in range(num_blocks)], torch.ones(num_rows, 0, dtype=torch.long))

    def pick(self, index: Tensor) -> DecoderCache:
        """A copy of the rows of `index`, in its order, without padding that all of them have; a row may come more than once."""
        mask = self.mask[index]
        begin = int(mask.any(0).int().argmax()) if mask.numel() else 0
        source = [(keys[index], values[index]) for keys, values in self.source]
        bias = None if self.source_bias is None else self.source_bias[index]
        return DecoderCache([block.pick(index, begin) for block in self.blocks], mask[:, begin:], source, bias)

    def first(self, count: int) -> DecoderCache:
        """The first `count` tokens of a row without padding or source; see `BlockCache.first`."""
        assert not self.source and bool(self.mask.all()), "a row that continues itself, alone"
        return DecoderCache([block.first(count) for block in self.blocks], self.mask[:, :count])

    def join(self, other: DecoderCache) -> DecoderCache:
        """The rows of both, those of `other` behind ours."""
        blocks = [mine.join(theirs) for mine, theirs in zip(self.blocks, other.blocks, strict=True)]
        mask = stack_rows(self.mask, other.mask, 1, is_left=True)
        sides = zip(self.source, other.source, strict=True)
        source = [(stack_rows(ours[0], theirs[0], 2), stack_rows(ours[1], theirs[1], 2)) for ours, theirs in sides]
        if self.source_bias is None or other.source_bias is None:
            return DecoderCache(blocks, mask)
        return DecoderCache(blocks, mask, source, stack_rows(self.source_bias, other.source_bias, 3, fill=UNSEEN))

    @property
    def size_bytes(self) -> int:
        """Of all keys and values."""
        return sum(block.size_bytes for block in self.blocks) + sum(part.nbytes for pair in self.source for part in pair)


def stack_rows(mine: Tensor, theirs: Tensor, dim: int, *, fill: float = 0, is_left: bool = False) -> Tensor:
    """Rows of both, the shorter filled along `dim` to the longer."""
    length = max(mine.shape[dim], theirs.shape[dim])
    return torch.cat([_filled(part, dim, length - part.shape[dim], fill, is_left=is_left) for part in (mine, theirs)])


def _filled(part: Tensor, dim: int, count: int, fill: float, *, is_left: bool) -> Tensor:
    ahead = [0, 0] * (part.dim() - 1 - dim)  # functional.pad counts from the last dimension
    return functional.pad(part, [*ahead, count, 0] if is_left else [*ahead, 0, count], value=fill) if count else part
