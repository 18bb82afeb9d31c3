"""What a decoder remembers of the tokens it has read, so that each is read once: keys and values of every block."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

_ROOM = 64  # tokens by which a cache grows: a copy of everything at each step would cost more than the step


@dataclass(slots=True)
class BlockCache:
    """Keys and values of one block, (rows, heads, tokens, size) each."""

    _keys: Tensor | None = None
    _values: Tensor | None = None
    _length: int = 0

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Remember those of further tokens. Returns all there are; views, to be read before the next change."""
        if self._keys is None or self._values is None:  # no copy: training and the reading of a prompt never come back
            self._keys, self._values, self._length = keys, values, keys.shape[2]
            return keys, values
        begin, end = self._length, self._length + keys.shape[2]
        self._keys, self._values = _with_room(self._keys, begin, end), _with_room(self._values, begin, end)
        self._keys[:, :, begin:end], self._values[:, :, begin:end] = keys, values
        self._length = end
        return self._keys[:, :, :end], self._values[:, :, :end]

    def reorder(self, index: Tensor) -> None:
        """Keep the rows of `index`, in its order; a row may come more than once."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys[index], self._values[index]


def _with_room(held: Tensor, begin: int, end: int) -> Tensor:
    """`held`, or a larger copy of its first `begin` tokens with room for `end`."""
    rows, heads, room, size = held.shape
    if end <= room:
        return held
    grown = held.new_empty(rows, heads, end + _ROOM, size)
    grown[:, :, :begin] = held[:, :, :begin]
    return grown


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

    def reorder(self, index: Tensor) -> None:
        """Keep the rows of `index`, in its order; a row may come more than once."""
        for block in self.blocks:
            block.reorder(index)
        self.mask = self.mask[index]
        self.source = [(keys[index], values[index]) for keys, values in self.source]
        if self.source_bias is not None:
            self.source_bias = self.source_bias[index]
