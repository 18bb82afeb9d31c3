"""Threads that call a server without pause while a test does something to it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Threads(ABC):
    """`call` runs in each of them between entering and leaving the block; it ends when `is_over` is set."""

    def __init__(self, count: int = 4) -> None:
        self.is_over = threading.Event()
        self._threads = [threading.Thread(target=self.call) for _ in range(count)]

    @abstractmethod
    def call(self) -> None:
        """Asks on and on until `is_over`."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.is_over.set()
        for thread in self._threads:
            thread.join()
