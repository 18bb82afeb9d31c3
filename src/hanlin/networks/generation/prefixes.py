"""Prompts that were read lately, so that one which begins like them goes on from there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from hanlin.networks.generation.protocol import Writing

_Key = tuple[int | None, tuple[int, ...]]
MIN_TOKENS = 32  # fewer are read as fast as they are found and copied


class Prefixes:
    """States of single rows by their ids and who read them; the one that was used longest ago goes first.

    What one adapter of a shared network has read another never sees.

    Args:
        max_tokens: of all that are kept; 0 keeps none.
    """

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._kept: OrderedDict[_Key, Writing] = OrderedDict()
        self.num_tokens = 0

    def find(self, row: Sequence[int], adapter: int | None = None) -> tuple[int, Writing] | None:
        """How many of the row's first tokens need not be read again, and the state behind them; never all: the last must be scored."""
        best, key = MIN_TOKENS - 1, None
        for kept, state in self._kept.items():
            alike = min(common(kept[1], row), len(row) - 1) if kept[0] == adapter else 0
            if alike > best and state.first(alike) is not None:
                best, key = alike, kept
        if key is None:
            return None
        self._kept.move_to_end(key)
        found = self._kept[key].first(best)
        assert found is not None, "it was there"
        return best, found

    def is_kept(self, row: Sequence[int]) -> bool:
        """Whether such a row would be remembered."""
        return MIN_TOKENS <= len(row) <= self._max_tokens

    def keep(self, row: Sequence[int], state: Writing, adapter: int | None = None) -> None:
        """Remember the state behind a whole row, of that row alone; it is not to be fed any more. In the place of its beginnings."""
        key = (adapter, tuple(row))
        for beginning in [kept for kept in self._kept if kept[0] == adapter and kept[1] == key[1][: len(kept[1])]]:
            self._drop(beginning)
        self._kept[key] = state
        self.num_tokens += len(row)
        while self.num_tokens > self._max_tokens:
            self._drop(next(iter(self._kept)))

    def forget(self, adapter: int) -> None:
        """Forget all that an adapter has read."""
        for key in [kept for kept in self._kept if kept[0] == adapter]:
            self._drop(key)

    def _drop(self, key: _Key) -> None:
        del self._kept[key]
        self.num_tokens -= len(key[1])


def common(kept: Sequence[int], row: Sequence[int]) -> int:
    """How many tokens two rows begin with alike."""
    length = min(len(kept), len(row))
    differs = np.flatnonzero(np.array(kept[:length]) != np.array(row[:length]))
    return int(differs[0]) if len(differs) else length
