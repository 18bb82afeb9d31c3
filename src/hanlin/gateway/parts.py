"""The parts of one streamed call on their way from its worker to its door: what was hidden is shown again, what is told is counted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from hanlin.gateway.ports import Unmasking
from hanlin.serving.wire import Part


class Parts:
    """Belongs to one call.

    Args:
        on_part: the door's; must not raise.
        unmasking: what shows the hidden; None: nothing was hidden.

    Attributes:
        written: tokens that were told.
        rows: of which something was told.
    """

    def __init__(self, on_part: Callable[[Part], None], unmasking: Unmasking | None) -> None:
        self._on_part = on_part
        self._unmasking = unmasking
        self._error: Exception | None = None
        self.written = 0
        self.rows: set[int] = set()

    def hear(self, part: Part) -> None:
        """From the worker. Where showing the hidden fails nothing is told any more: `end` raises it."""
        if self._unmasking is None:
            self._tell(part)
        elif self._error is None:
            try:
                found = self._unmasking.push(part)
            except Exception as error:
                self._error = error
                return
            if found is not None:
                self._tell(found)

    def end(self) -> None:
        """There are no more: what was held back is told. Raises as the mask does."""
        if self._error is not None:
            raise self._error
        if self._unmasking is not None:
            for part in self._unmasking.end():
                self._tell(part)

    def account(self, record: Callable[..., None]) -> int:
        """Write down what was told of a call that has failed, or was given up. Returns how many tokens that is."""
        if self.rows:
            with contextlib.suppress(Exception):  # what broke the call is told, not this
                record(items=len(self.rows), tokens=0, written=self.written, is_cached=False, is_broken=True)
        return self.written

    def _tell(self, part: Part) -> None:
        self.written += part.written
        self.rows.add(part.row)
        self._on_part(part)
