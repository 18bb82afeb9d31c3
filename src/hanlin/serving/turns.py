"""Turns at the processor for the models of one process: only so many steps run at once, in the order of asking.

More steps than cores would finish none sooner: they push each other's weights out of the cache, and calls that come while a model waits for
its turn go along in its batch. Belongs to the process' event loop.
"""

from __future__ import annotations

from collections.abc import Callable


class Turns:
    """At most `limit` turns at a time.

    Args:
        limit: None for no limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._free = limit
        self._waiting: dict[Callable[[], None], None] = {}  # in order, each once
        self._members: set[Callable[[], None]] = set()

    @property
    def are_shared(self) -> bool:
        """Whether there is more than one who may ask."""
        return len(self._members) > 1

    @property
    def are_limited(self) -> bool:
        """Whether others may have to wait for who does not give back."""
        return self._free is not None and self.are_shared

    def join(self, again: Callable[[], None]) -> None:
        """This caller will ask, until it is forgotten."""
        self._members.add(again)

    def take(self, again: Callable[[], None]) -> bool:
        """Take a turn, to be given back. False: none is free; `again` is called when it is this caller's turn to ask anew."""
        if self._free is None:
            return True
        if self._free > 0:
            self._free -= 1
            self._waiting.pop(again, None)
            return True
        self._waiting.setdefault(again)
        return False

    def give_back(self) -> None:
        """The step is done; who waits longest is next, also before the one that gives back."""
        if self._free is None:
            return
        self._free += 1
        while self._free and self._waiting:
            again = next(iter(self._waiting))
            del self._waiting[again]
            again()

    def forget(self, again: Callable[[], None]) -> None:
        """This caller asks no more."""
        self._waiting.pop(again, None)
        self._members.discard(again)
