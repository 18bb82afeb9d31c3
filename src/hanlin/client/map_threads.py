"""Runs a `map` on threads: each sends a request, settles its answer and takes the next one, without waiting for the caller.

The source is read, and answers are handed out, by the caller alone: a cursor of a database may be a source. The board and the pace belong
to whoever holds the one lock; nothing is sent, read or written to a file under it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from hanlin.client.board import Group, Piece
from hanlin.client.core import Core
from hanlin.client.mapping import Heard, Mapping
from hanlin.errors import HanlinError

T = TypeVar("T")


def run(core: Core, begin: Callable[[], Mapping[T]], texts: Iterator[object], concurrency: int) -> Iterator[T | HanlinError]:
    """All answers in order. A generator that is closed early ends its requests first."""
    mapping = begin()
    try:
        while kept := mapping.kept():
            taken = [text for _, text in zip(kept.answers, texts, strict=False)]
            yield from mapping.replay(kept, taken)
        crew = _Crew(core, mapping, concurrency)
        try:
            yield from _rows(crew, mapping, texts)
        finally:
            crew.close()
    finally:
        mapping.close()


def _rows(crew: _Crew[T], mapping: Mapping[T], texts: Iterator[object]) -> Iterator[T | HanlinError]:
    has_more = True
    while has_more or not mapping.is_done:
        while has_more and mapping.has_room:
            try:
                group = mapping.gather(next(texts))
            except StopIteration:
                has_more, group = False, mapping.rest()
            if group:
                crew.add(group)
        if not mapping.is_done:
            yield from mapping.hand_out(crew.wait())


class _Crew(Generic[T]):
    """The threads of one `map`, and the lock over its state."""

    def __init__(self, core: Core, mapping: Mapping[T], size: int) -> None:
        self._core = core
        self._mapping = mapping
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._news = threading.Condition(self._lock)
        self._is_over = False
        self._failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._serve, name="hanlin-map", daemon=True) for _ in range(size)]
        for thread in self._threads:
            thread.start()

    def add(self, group: list[object]) -> None:
        """More to ask."""
        with self._lock:
            self._mapping.add(group)
            self._work.notify()

    def wait(self) -> Group[T]:
        """The next group in order, once it is answered. Raises what ended the whole."""
        with self._lock:
            while self._failure is None:
                if (group := self._mapping.release()) is not None:
                    return group
                self._news.wait()
            raise self._failure

    def close(self) -> None:
        """No more requests; waits for those in flight."""
        with self._lock:
            self._is_over = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while (piece := self._next()) is not None:
            outcome = self._ask(piece)
            with self._lock:
                self._settle(piece, outcome)
                if self._mapping.is_ready or self._failure is not None:
                    self._news.notify()

    def _next(self) -> Piece[T] | None:
        """What to send now; None when all is over."""
        with self._lock:
            while not self._is_over:
                piece = self._mapping.take()
                wait_s = self._mapping.wait_s()
                if piece is not None:
                    if wait_s == 0.0:  # there is room for another one
                        self._work.notify()
                    return piece
                self._work.wait(wait_s)
            return None

    def _ask(self, piece: Piece[T]) -> Heard[T] | BaseException:
        try:
            return self._core.driver.run(self._mapping.ask(piece))
        except BaseException as error:  # the caller's thread raises it
            return error

    def _settle(self, piece: Piece[T], outcome: Heard[T] | BaseException) -> None:
        try:
            self._mapping.settle(piece, outcome)
        except BaseException as error:  # ends the whole
            self._failure = self._failure or error
            self._is_over = True
            self._work.notify_all()
