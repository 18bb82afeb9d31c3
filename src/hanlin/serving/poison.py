"""Inputs under which workers died while they ran alone: remembered by a digest, and refused when they come again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from hanlin.errors import InvalidInput
from hanlin.serving.routes import EndpointRoute

POISON_DEATHS = 2
SUSPECT_BREAKS = 2  # streams of one input that broke; once may be the fault of any that shared the worker
_MEMORY = 10_000


class PoisonMemory:
    """The newest suspects of one gateway, by mark. Bounded."""

    def __init__(self) -> None:
        self._deaths: OrderedDict[bytes, int] = OrderedDict()
        self._breaks: OrderedDict[bytes, int] = OrderedDict()

    @property
    def has_any(self) -> bool:
        """Whether any worker died under a lone suspect or amid a stream: where none did, no call needs a mark."""
        return bool(self._deaths or self._breaks)

    def blame(self, mark: bytes) -> bool:
        """A worker died under the input of this mark. Whether that has just made it poison."""
        self._remember(mark, self._deaths.pop(mark, 0) + 1)
        return self._deaths[mark] == POISON_DEATHS

    def broke(self, mark: bytes) -> None:
        """A worker died amid a stream of this input, which cannot be sent again alone to see whether that was why."""
        self._breaks[mark] = self._breaks.pop(mark, 0) + 1
        while len(self._breaks) > _MEMORY:
            self._breaks.popitem(last=False)

    def is_suspect(self, mark: bytes) -> bool:
        """Whether an input is to be sent alone from the beginning."""
        return self._breaks.get(mark, 0) >= SUSPECT_BREAKS

    def refuse(self, mark: bytes) -> None:
        """Another gateway found out that the input of this mark is poison."""
        self._remember(mark, POISON_DEATHS)

    def check(self, mark: bytes) -> None:
        """Raises InvalidInput (`poison_input`)."""
        if self._deaths.get(mark, 0) >= POISON_DEATHS:
            raise InvalidInput("poison_input")

    def _remember(self, mark: bytes, deaths: int) -> None:
        self._deaths[mark] = deaths
        while len(self._deaths) > _MEMORY:
            self._deaths.popitem(last=False)


def mark_of(route: EndpointRoute, content: bytes) -> bytes:
    """Digest of a call's content and of who would answer it."""
    return hashlib.sha256(f"{route.version}\0{route.variant}\0".encode() + content).digest()
