"""Blocks of what a decoder remembers of its rows: which are free, which are shared, and which beginnings of rows are known already.

A full block is known by its tokens and by all before them, so that a row that begins like an earlier one takes over the blocks of that
beginning. Blocks that nobody uses stay known until their place is needed, the one that was left longest ago first.
Source: Kwon et al., Efficient Memory Management for Large Language Model Serving with PagedAttention (2023). Integers only.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

BLOCK_TOKENS = 32  # what OpenVINO's CPU plugin has built in


def num_blocks(tokens: int) -> int:
    """How many hold so many tokens."""
    return -(-tokens // BLOCK_TOKENS)


class BlockPool:
    """All blocks of one model.

    Args:
        size: how many there are.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._users = [0] * size
        self._blank = list(range(size - 1, -1, -1))
        self._idle: OrderedDict[int, None] = OrderedDict()  # known, of no row, the one that was left longest ago first
        self._known: dict[bytes, int] = {}
        self._names: dict[int, bytes] = {}

    @property
    def num_free(self) -> int:
        """Blocks that `take` can give."""
        return len(self._blank) + len(self._idle)

    def take(self, count: int) -> list[int]:
        """So many blocks with nothing in them; known ones that nobody uses are forgotten for it."""
        assert count <= self.num_free, "more blocks than are free"
        found = []
        for _ in range(count):
            if self._blank:
                block = self._blank.pop()
            else:
                block, _ = self._idle.popitem(last=False)
                del self._known[self._names.pop(block)]
            self._users[block] = 1
            found.append(block)
        return found

    def find(self, ids: Sequence[int]) -> list[int]:
        """The known blocks that hold the beginning of `ids`, one user more each; never its last token, for that says what follows."""
        found: list[int] = []
        for name in names_of(ids[: max(0, len(ids) - 1)]):
            if (block := self._known.get(name)) is None:
                break
            self._idle.pop(block, None)
            self._users[block] += 1
            found.append(block)
        return found

    def know(self, block: int, name: bytes) -> None:
        """A block is full: rows that begin like its own find it from now on. Nothing where another block holds the same."""
        if name not in self._known and block not in self._names:
            self._known[name], self._names[block] = block, name

    def leave(self, blocks: Sequence[int]) -> None:
        """One user less; of the blocks of a row the last ones will be forgotten first."""
        for block in reversed(blocks):
            self._users[block] -= 1
            if self._users[block] == 0:
                if block in self._names:
                    self._idle[block] = None
                else:
                    self._blank.append(block)

    def forget(self) -> None:
        """Nothing is known any more."""
        self._blank.extend(self._idle)
        self._idle.clear()
        self._known.clear()
        self._names.clear()

    def check_integrity(self) -> None:
        """Every block is used, idle or blank, and one of them only. Raises AssertionError."""
        used = {block for block, users in enumerate(self._users) if users}
        parts = (used, set(self._idle), set(self._blank))
        assert sum(map(len, parts)) == self.size == len(set().union(*parts)), "a block is lost, or in two places"
        assert {block: name for name, block in self._known.items()} == self._names, "names and blocks differ"
        assert set(self._idle) <= set(self._names), "an idle block that nobody would find"


def names_of(ids: Sequence[int]) -> list[bytes]:
    """The names of the full blocks of a row: each digests its tokens and the name before."""
    return _chain(b"", ids)


def further_names(last: bytes, ids: Sequence[int]) -> list[bytes]:
    """The names of the full blocks that follow the one called `last`."""
    return _chain(last, ids)


def _chain(last: bytes, ids: Sequence[int]) -> list[bytes]:
    found = []
    for begin, end in pairwise(range(0, len(ids) + 1, BLOCK_TOKENS)):
        last = hashlib.blake2b(last + np.asarray(ids[begin:end], dtype=np.int64).tobytes(), digest_size=16).digest()
        found.append(last)
    return found
