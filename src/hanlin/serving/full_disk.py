"""Whether the run folder takes no more bytes: then no routes to new workers can be written, and waiting for them is vain."""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hanlin.errors import HanlinError, NotReady

_PROBE = b"\0" * 8192
_FULL = {errno.ENOSPC, errno.EDQUOT}
_AGAIN_S = 1.0


class FullDisk:
    """Asked by calls that wait for a replica; tries a small write at most once a second.

    Args:
        folder: where the routes are written.
        clock: monotonic seconds.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._asked_s = -_AGAIN_S
        self._is_full = False

    def __call__(self) -> HanlinError | None:
        """NotReady (`storage_full`) while there is no room, else None."""
        if self._clock() - self._asked_s >= _AGAIN_S:
            self._asked_s = self._clock()
            self._is_full = self._has_no_room()
        return NotReady("storage_full", retry_after_s=10.0) if self._is_full else None

    def _has_no_room(self) -> bool:
        try:
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as probe:
                probe.write(_PROBE)
        except OSError as error:
            return error.errno in _FULL
        return False
