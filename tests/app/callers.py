"""Threads that call a server again and again while a test does something to it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

PAUSE_S = 0.005  # between calls: enough to leave the cores to what the test waits for


class Threads(ABC):
    """`call` runs in each of them between entering and leaving the block; it ends when `goes_on` says so."""

    def __init__(self, count: int = 4) -> None:
        self.is_over = threading.Event()
        self._threads = [threading.Thread(target=self.call) for _ in range(count)]

    @abstractmethod
    def call(self) -> None:
        """Asks while it `goes_on`."""

    def goes_on(self) -> bool:
        """Whether to ask once more; after a pause."""
        return not self.is_over.wait(PAUSE_S)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.is_over.set()
        for thread in self._threads:
            thread.join()
