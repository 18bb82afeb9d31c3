"""Waiting for signals without losing one: the wait ends when a signal comes, be it a moment before the wait begins."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Alarm:
    """Hears some signals while its block runs, instead of whoever heard them before. On the main thread."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers
        self._heard: set[int] = set()
        self._previous: dict[signal.Signals, Any] = {}

    def has_heard(self, *numbers: signal.Signals) -> bool:
        """Whether one of these has come since the block began."""
        return not self._heard.isdisjoint(numbers)

    def wait(self, timeout_s: float) -> None:
        """Returns when a signal comes, or has come since the last wait, or after `timeout_s`."""
        if select.select([self._reader], [], [], timeout_s)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 4096)

    def __enter__(self) -> Self:
        self._reader, self._writer = _pipe()
        self._old_fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._hear) for number in self._numbers}
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._reader)
        os.close(self._writer)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._heard.add(number)


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    return reader, writer
