"""Waiting texts of one key, in order of arrival and by length."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

_EDGES = (8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024, 1536, 2048, 4096, 8192)


@dataclass(slots=True)
class Item:
    """One text of a call. `is_gone` marks what was taken or dropped but still stands in a queue."""

    call: int
    index: int
    length: int
    arrived_s: float
    is_gone: bool = False


@dataclass(slots=True)
class KeyQueue:
    """Waiting items of one key in one lane: in order of arrival, and by length bucket."""

    order: deque[Item] = field(default_factory=deque)
    buckets: dict[int, deque[Item]] = field(default_factory=dict)

    def add(self, item: Item, bucket: int) -> None:
        """At the end of both."""
        self.order.append(item)
        self.buckets.setdefault(bucket, deque()).append(item)

    def oldest(self) -> Item | None:
        """The one that waits longest."""
        return _first(self.order)

    def oldest_in(self, bucket: int) -> Item | None:
        """The one that waits longest of a length bucket."""
        queue = self.buckets.get(bucket)
        item = _first(queue) if queue else None
        if item is None:
            self.buckets.pop(bucket, None)
        return item


NUM_BUCKETS = len(_EDGES) + 1  # of one kind


def bucket_of(length: int, call: int, *, is_suspect: bool, kind: int = 0) -> int:
    """Number of the length's bucket among those of its kind; a suspect call has a bucket of its own, below zero."""
    if is_suspect:
        return -1 - call
    return kind * NUM_BUCKETS + bisect_left(_EDGES, length)


def _first(queue: deque[Item]) -> Item | None:
    while queue and queue[0].is_gone:
        queue.popleft()
    return queue[0] if queue else None
