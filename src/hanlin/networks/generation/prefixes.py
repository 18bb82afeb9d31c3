"""Prompts that were read lately, so that one which begins like them goes on from there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from hanlin.networks.generation.protocol import Writing

MIN_TOKENS = 32  # fewer are read as fast as they are found and copied


class Prefixes:
    """States of single rows by their ids; the one that was used longest ago goes first.

    Args:
        max_tokens: of all that are kept; 0 keeps none.
    """

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._kept: OrderedDict[tuple[int, ...], Writing] = OrderedDict()
        self.num_tokens = 0

    def find(self, row: Sequence[int]) -> tuple[int, Writing] | None:
        """How many of the row's first tokens need not be read again, and the state behind them; never all: the last must be scored."""
        best, key = MIN_TOKENS - 1, None
        for kept in self._kept:
            alike = min(common(kept, row), len(row) - 1)
            if alike > best and self._kept[kept].first(alike) is not None:
                best, key = alike, kept
        if key is None:
            return None
        self._kept.move_to_end(key)
        state = self._kept[key].first(best)
        assert state is not None, "it was there"
        return best, state

    def is_kept(self, row: Sequence[int]) -> bool:
        """Whether such a row would be remembered."""
        return MIN_TOKENS <= len(row) <= self._max_tokens

    def keep(self, row: Sequence[int], state: Writing) -> None:
        """Remember the state behind a whole row, of that row alone; it is not to be fed any more. In the place of its beginnings."""
        key = tuple(row)
        for beginning in [kept for kept in self._kept if kept == key[: len(kept)]]:
            self._drop(beginning)
        self._kept[key] = state
        self.num_tokens += len(key)
        while self.num_tokens > self._max_tokens:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[int, ...]) -> None:
        del self._kept[key]
        self.num_tokens -= len(key)


def common(kept: Sequence[int], row: Sequence[int]) -> int:
    """How many tokens two rows begin with alike."""
    length = min(len(kept), len(row))
    differs = np.flatnonzero(np.array(kept[:length]) != np.array(row[:length]))
    return int(differs[0]) if len(differs) else length
