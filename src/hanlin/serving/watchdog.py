"""Ends this process when native code does not come back: a timer of the kernel's, which needs neither Python nor its lock.

    with WATCHDOG.watched():
        session.run(…)

SIGALRM, which nobody handles, ends the process; before that the stacks of all threads go to stderr. One timer for the process, set to the
earliest of the ends that are awaited: two system calls for a watched piece of work.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

TIMES_EXPECTED = 20  # work that is known to be slow may take this many times what it takes


class Watchdog:
    """Watches nothing before `start`. May be used on any thread."""

    def __init__(self) -> None:
        self._limit_s = 0.0
        self._ends: dict[int, float] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def start(self, limit_s: float) -> None:
        """From now on what takes longer than `limit_s`, and much longer than was to be expected, ends the process. 0 watches nothing."""
        self._limit_s = limit_s
        with contextlib.suppress(ValueError, OSError):  # a stderr without a descriptor
            faulthandler.register(signal.SIGALRM, file=sys.stderr, all_threads=True, chain=True)

    @contextlib.contextmanager
    def watched(self, expected_s: float = 0.0) -> Iterator[Callable[[], None]]:
        """The block must end in time, or call what it is given, from which on it has the same time again.

        Args:
            expected_s: how long it takes as far as is known.
        """
        if not self._limit_s:
            yield _nothing
            return
        limit_s = max(self._limit_s, TIMES_EXPECTED * expected_s)
        number = self._begin(limit_s)
        try:
            yield lambda: self._renew(number, limit_s)
        finally:
            self._end(number)

    def _renew(self, number: int, limit_s: float) -> None:
        with self._lock:
            self._ends[number] = time.monotonic() + limit_s
            self._set_timer()

    def _begin(self, limit_s: float) -> int:
        with self._lock:
            number = next(self._numbers)
            self._ends[number] = time.monotonic() + limit_s
            self._set_timer()
            return number

    def _end(self, number: int) -> None:
        with self._lock:
            del self._ends[number]
            self._set_timer()

    def _set_timer(self) -> None:
        """To the earliest end; off when nothing is watched."""
        left_s = max(0.001, min(self._ends.values()) - time.monotonic()) if self._ends else 0.0
        signal.setitimer(signal.ITIMER_REAL, left_s)


def _nothing() -> None:
    """There is no limit."""


WATCHDOG = Watchdog()  # of this process: it has one such timer
