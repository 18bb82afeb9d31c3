"""A batch, and how it is filled: what still fits, by rows, tokens and padding. Plain integers."""

from __future__ import annotations

from dataclasses import dataclass

from hanlin.serving.key_queue import Item

MAX_PADDING_SHARE = 0.2  # of a batch's tokens


@dataclass(frozen=True, slots=True)
class Batch:
    """What the engine runs at once: `items` padded to `width` tokens."""

    items: tuple[Item, ...]
    width: int
    is_alone: bool = False  # of a suspect: nothing else may run beside it

    @property
    def tokens(self) -> int:
        """Tokens without padding."""
        return sum(item.length for item in self.items)

    @property
    def padded_tokens(self) -> int:
        """Tokens the engine computes."""
        return self.width * len(self.items)


class Filling:
    """Begins with its head, which always fits.

    Args:
        max_rows: of the batch.
        is_padding_bounded: whether padding may be `MAX_PADDING_SHARE` at most.
    """

    __slots__ = ("_is_padding_bounded", "_max_rows", "_real", "items", "width")

    def __init__(self, head: Item, max_rows: int, *, is_padding_bounded: bool) -> None:
        self.items = [head]
        self.width = self._real = head.length
        self._max_rows = max_rows
        self._is_padding_bounded = is_padding_bounded

    def takes(self, item: Item, budget: int) -> bool:
        """Adds `item` when the batch stays within `budget` tokens, padding included; whether it did."""
        length = item.length
        wide, rows = max(self.width, length), len(self.items) + 1
        if rows > self._max_rows or wide * rows > budget:
            return False
        if self._is_padding_bounded and 1 - (self._real + length) / (wide * rows) > MAX_PADDING_SHARE:
            return False
        self.items.append(item)
        self._real, self.width = self._real + length, wide
        return True
