"""Threads that make forms: one at a time, and none waits for one that takes too long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from hanlin.errors import as_exception

STACK_BYTES = 128 * 2**20  # rules that name rules are followed by recursion: 3,000 of them overran the usual 8 MiB, and ended the process
PATIENCE_S = 5.0  # forms are bounded by their text to about 2 s; on a machine that others keep busy it is more
MAX_LOST = 2  # threads that go on with what nobody waits for any more

_STACK = threading.Lock()  # the size of new stacks is the whole process's

T = TypeVar("T")


class FormThreads:
    """Runs one call after another. Native code cannot be stopped: what overruns its time is answered for, and left to a thread of its own.

    Args:
        late: the error of a call that took too long, or that comes while too many of those go on.
    """

    def __init__(self, late: Callable[[], Exception], *, patience_s: float = PATIENCE_S) -> None:
        self._late, self._patience_s = late, patience_s
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._queue: list[tuple[Future[object], Callable[[], object]]] = []
        self._is_running = self._is_closed = False
        self._num_lost = 0

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """What the call returns, or its error, or `late`."""
        found: Future[T] = Future()
        found.set_running_or_notify_cancel()
        with self._lock:
            if not self._is_closed:
                self._queue.append((found, call))  # type: ignore[arg-type]
                self._go_on()
                return found
        found.set_exception(self._late())
        return found

    @property
    def num_lost(self) -> int:
        """Calls that took too long and still go on."""
        return self._num_lost

    def close(self) -> None:
        """Begin nothing more; calls that wait are `late`, and so are those that come."""
        with self._lock:
            self._is_closed = True
            waiting, self._queue = self._queue, []
            if self._thread is not None:
                self._thread.shutdown(wait=False)
                self._thread = None
        for future, _ in waiting:
            _fail(future, self._late())

    def _go_on(self) -> None:
        """Begin the next call. Under the lock."""
        while self._queue and not self._is_running:
            future, call = self._queue.pop(0)
            if self._num_lost >= MAX_LOST:
                _fail(future, self._late())
            else:
                self._begin(future, call)

    def _begin(self, future: Future[object], call: Callable[[], object]) -> None:
        if self._thread is None:
            self._thread = _thread_with_stack()
        self._is_running = True
        work = _Work(future, call)
        timer = threading.Timer(self._patience_s, self._lose, [work, self._thread])
        timer.daemon = True
        timer.start()
        self._thread.submit(self._run, work, timer)

    def _run(self, work: _Work, timer: threading.Timer) -> None:
        work.run()
        timer.cancel()
        with self._lock:
            if work.is_lost:
                self._num_lost -= 1
            else:
                self._is_running = False
            self._go_on()

    def _lose(self, work: _Work, thread: ThreadPoolExecutor) -> None:
        with self._lock:
            if work.future.done() or not self._is_running:
                return
            work.is_lost = True
            self._num_lost += 1
            self._is_running = False
            thread.shutdown(wait=False)
            if self._thread is thread:
                self._thread = None
            _fail(work.future, self._late())
            self._go_on()


class _Work:
    """One call. Attributes: is_lost: whether it took too long."""

    def __init__(self, future: Future[object], call: Callable[[], object]) -> None:
        self.future, self._call, self.is_lost = future, call, False

    def run(self) -> None:
        try:
            found = self._call()
        except BaseException as error:  # whoever asked is told, of a native panic too; this thread goes on
            _fail(self.future, as_exception(error))
        else:
            with suppress(InvalidStateError):
                self.future.set_result(found)


def _fail(future: Future[object], error: Exception) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)


def _thread_with_stack() -> ThreadPoolExecutor:
    with _STACK:
        before = threading.stack_size(STACK_BYTES)
        try:
            thread = ThreadPoolExecutor(1, thread_name_prefix="constraints")
            thread.submit(int).result()  # it is there from now on
        finally:
            threading.stack_size(before)
    return thread
