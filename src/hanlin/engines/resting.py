"""What sessions may offer beside the contract: to give memory back while nobody asks them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from hanlin.engines.base import Session


@runtime_checkable
class RestingSession(Session, Protocol):
    """A session that can give up memory until its next step."""

    def rest(self) -> None:
        """Free the buffers of steps; the next one makes them anew. On any thread, also while a step runs, whose buffers stay."""
        ...
