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
from collections.abc import Callable

TIMES_EXPECTED = 20  # work that is known to be slow may take this many times what it takes


class Watchdog:
    """Watches nothing before `start`. May be used on any thread."""

    def __init__(self) -> None:
        self._limit_s = 0.0
        self._ends: dict[int, float] = {}
        self._lock = threading.Lock()

    def start(self, limit_s: float) -> None:
        """From now on what takes longer than `limit_s`, and much longer than was to be expected, ends the process. 0 watches nothing."""
        self._limit_s = limit_s
        with contextlib.suppress(ValueError, OSError):  # a stderr without a descriptor
            faulthandler.register(signal.SIGALRM, file=sys.stderr, all_threads=True, chain=True)

    def watched(self, expected_s: float = 0.0) -> Watched:
        """A block that must end in time, or call what it is given, from which on it has the same time again.

        Args:
            expected_s: how long it takes as far as is known.
        """
        return Watched(self, max(self._limit_s, TIMES_EXPECTED * expected_s)) if self._limit_s else _UNWATCHED

    def begin(self, number: int, limit_s: float) -> None:
        """From now on, or once more, this work has so much time."""
        with self._lock:
            self._ends[number] = time.monotonic() + limit_s
            self._set_timer()

    def end(self, number: int) -> None:
        """It has come back."""
        with self._lock:
            del self._ends[number]
            self._set_timer()

    def _set_timer(self) -> None:
        """To the earliest end; off when nothing is watched."""
        left_s = max(0.001, min(self._ends.values()) - time.monotonic()) if self._ends else 0.0
        signal.setitimer(signal.ITIMER_REAL, left_s)


class Watched:
    """One piece of work. A class, not a generator: it is begun and ended twice for each call, and takes half the time so.

    Args:
        dog: who watches; None: nobody.
    """

    __slots__ = ("_dog", "_limit_s", "_number")

    def __init__(self, dog: Watchdog | None, limit_s: float) -> None:
        self._dog, self._limit_s, self._number = dog, limit_s, 0

    def __enter__(self) -> Callable[[], None]:
        if self._dog is not None:
            self._number = next(_numbers)
            self._dog.begin(self._number, self._limit_s)
        return self._renew

    def __exit__(self, *_: object) -> None:
        if self._dog is not None:
            self._dog.end(self._number)

    def _renew(self) -> None:
        if self._dog is not None:
            self._dog.begin(self._number, self._limit_s)


_numbers = itertools.count()
_UNWATCHED = Watched(None, 0.0)  # has no state that two threads could disturb
WATCHDOG = Watchdog()  # of this process: it has one such timer
