"""Progress of one attempt, its steps written at most once a second: the sink that training and compression report to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType

from hanlin.errors import Cancelled, HanlinError, NotReady
from hanlin.jobs.queue import JobQueue
from hanlin.jobs.values import Job
from hanlin.messages.said import Plain, Said


class ProgressWriter:
    """Gathers steps and metrics, and stores the newest of them once a second, and messages at once; use it as a context manager.

    May be called from any thread. Of the steps within one second the last is kept, with the newest value of every metric.

    Args:
        queue: where to.
        job: the claimed job.
        clock: monotonic seconds; tests pass their own.
        interval_s: shortest time between two writes of steps.
    """

    def __init__(self, queue: JobQueue, job: Job, *, clock: Callable[[], float] = time.monotonic, interval_s: float = 1.0) -> None:
        self._queue = queue
        self._job = job
        self._clock = clock
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._position: tuple[int, int] | None = None
        self._metrics: dict[str, float] = {}
        self._messages: list[Said] = []
        self._written_at = self._checked_at = -float("inf")
        self._is_cancelled = False

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        """Notes progress. Raises Conflict (`lease_lost`) when the job belongs to another runner by now."""
        with self._lock:
            self._position = (step, total)
            self._metrics.update(metrics)
            self._flush_if_due()

    def message(self, code: str, /, **params: Plain | Said) -> None:
        """Writes a line for people by its code in the catalogue, at once: what it tells of may last. Raises Conflict (`lease_lost`)."""
        with self._lock:
            self._messages.append(Said(code, params))
            with suppress(NotReady):  # told with the next report then
                self._queue.message(self._job, *self._messages)
                self._messages = []

    def check_cancelled(self) -> None:
        """Raises Cancelled (`job_cancelled`) when somebody gave the job up; asks the database at most once a second."""
        with self._lock:
            now = self._clock()
            if not self._is_cancelled and now - self._checked_at >= self._interval_s:
                self._checked_at = now
                self._is_cancelled = self._queue.is_cancel_requested(self._job.id)
            if self._is_cancelled:
                raise Cancelled("job_cancelled")

    def close(self) -> None:
        """Stores what is left."""
        with self._lock:
            self._flush()

    def __enter__(self) -> ProgressWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except HanlinError:
            if error is None:  # otherwise the error that ends the block is the one to show
                raise

    def _flush_if_due(self) -> None:
        if self._clock() - self._written_at >= self._interval_s:
            try:
                self._flush()
            except NotReady:  # a full disk or a busy database must not end a long training: it is tried again with the next report
                self._written_at = self._clock()

    def _flush(self) -> None:
        if self._position is not None:
            step, total = self._position
            self._queue.report(self._job, step=step, total=total, metrics=self._metrics, messages=self._messages)
        elif self._messages:
            self._queue.message(self._job, *self._messages)
        else:
            return
        self._written_at = self._clock()
        self._position, self._metrics, self._messages = None, {}, []
