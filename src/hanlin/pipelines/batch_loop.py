"""The loop of a batch: asks ahead, writes down in order, marks the place once a second. Holds a bounded number of rows."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hanlin.errors import Cancelled
from hanlin.pipelines.base import JobContext
from hanlin.pipelines.batch_calls import Caller
from hanlin.pipelines.batch_forms import Form, Lines
from hanlin.pipelines.batch_results import Results
from hanlin.pipelines.batch_spool import Row, Spool
from hanlin.types import utc_now

End = Literal["done", "cancelled", "expired", "stopped"]
_SAVE_S = 1.0
_SPEED_S = 20.0  # over which the speed is told
_AHEAD = 2  # groups beyond those that may be in flight


@dataclass(slots=True)
class _Asked:
    """A group on its way, and the byte of the spool behind it."""

    offset: int
    task: asyncio.Task[Lines]


class Loop:
    """One attempt's way through the spool."""

    def __init__(self, context: JobContext, form: Form, spool: Spool, results: Results, *, ends_at: datetime) -> None:
        self._context = context
        self._form = form
        self._spool = spool
        self._results = results
        self._ends_at = ends_at
        self._asked: deque[_Asked] = deque()
        self._stopped = asyncio.Event()
        self._speed = Speed()
        self._saved_s = 0.0

    async def run(self, caller: Caller) -> End:
        """Asks what is not done. Raises HanlinError: the batch cannot go on; all before that is written and saved."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stopped.set)
        groups = self._form.groups(self._spool.read(self._results.mark.offset))
        try:
            return await self._all(caller, groups)
        finally:
            await self._drop()
            caller.close()

    async def _all(self, caller: Caller, groups: Iterator[tuple[list[Row], int]]) -> End:
        while True:
            self._fill(caller, groups)
            if (end := await self._look()) is not None:
                return end
            if not self._asked:
                await asyncio.to_thread(self._save)
                return "done"
            await asyncio.wait([self._asked[0].task], timeout=_SAVE_S / 2)
            while self._asked and self._asked[0].task.done():
                first = self._asked.popleft()
                self._results.add(*first.task.result(), first.offset)

    def _fill(self, caller: Caller, groups: Iterator[tuple[list[Row], int]]) -> None:
        while len(self._asked) < caller.pace.allowed + _AHEAD and (found := next(groups, None)) is not None:
            rows, offset = found
            self._asked.append(_Asked(offset, asyncio.create_task(self._form.lines(caller, rows))))

    async def _look(self) -> End | None:
        """Once a second: the mark, the progress, and whether to go on."""
        is_stopped = self._stopped.is_set()
        if not is_stopped and time.monotonic() - self._saved_s < _SAVE_S:
            return None
        try:
            await asyncio.to_thread(self._save)
        except Cancelled:
            return "cancelled"
        finally:
            self._saved_s = time.monotonic()
        if is_stopped:
            is_cancelled = self._context.platform.jobs.is_cancel_requested(self._context.job.id)
            return "cancelled" if is_cancelled else "stopped"
        return "expired" if utc_now() >= self._ends_at else None

    def _save(self) -> None:
        self._results.save()
        mark, total = self._results.mark, self._spool.rows
        rate = self._speed.rate(mark.rows, time.monotonic())
        figures = {"completed": float(mark.completed), "failed": float(mark.failed)}
        if rate > 0:
            figures |= {"rows_per_s": rate, "eta_s": (total - mark.rows) / rate}
        self._context.progress.report(mark.rows, total, figures)
        self._context.progress.check_cancelled()

    async def _drop(self) -> None:
        """Gives up what is on its way; it was not written, so the next attempt asks again."""
        for asked in self._asked:
            asked.task.cancel()
        for asked in self._asked:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asked.task
        self._asked.clear()


class Speed:
    """Rows a second over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, rows: int, now_s: float) -> float:
        """With `rows` done by now; 0 while it is not known."""
        self._seen.append((now_s, rows))
        while len(self._seen) > 2 and now_s - self._seen[0][0] > _SPEED_S:
            self._seen.popleft()
        then_s, before = self._seen[0]
        return (rows - before) / (now_s - then_s) if now_s > then_s else 0.0
