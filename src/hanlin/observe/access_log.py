"""One log line a request, gathered for a moment and written together: a line alone cost more than all else a gateway does for a call.

The lines are those of `logs`, under the logger `hanlin.access`; a process that is killed loses the last tenth of a second of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from hanlin.observe import logs

LOGGER = "hanlin.access"
_WAIT_S = 0.1
_MAX_WAITING = 1000

_log = logging.getLogger(LOGGER)


@dataclass(frozen=True, slots=True)
class Access:
    """One request that was answered. `at_s` is Unix time."""

    at_s: float
    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    trace_id: str = ""


class AccessLog:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: list[Access] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, method: str, route: str, status: int, seconds: float, request_id: str, *, trace_id: str = "") -> None:
        """Note a request; it is written within a tenth of a second."""
        if not _log.isEnabledFor(logging.INFO):
            return
        self._waiting.append(Access(time.time(), method, route, status, seconds, request_id, trace_id))
        if len(self._waiting) >= _MAX_WAITING:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WAIT_S, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if waiting:
            _log.info("", extra={logs.READY_LINES: [_line(entry) for entry in waiting]})


def _line(entry: Access) -> dict[str, object]:
    message = f"{entry.method} {entry.route} {entry.status} {entry.seconds * 1000:.1f} ms"
    ids = {"request_id": entry.request_id} | ({"trace_id": entry.trace_id} if entry.trace_id else {})
    return {"at": entry.at_s, "level": "info", "logger": LOGGER, "message": message, **ids, "status": entry.status}
