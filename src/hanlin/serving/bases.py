"""The bases in a worker's memory and the adapters that stand on them: the first brings its base in, the last takes it away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hanlin.engines.sharing import Seat, SharedSession, SharedWriter
from hanlin.serving.loaded import Loaded
from hanlin.serving.shared import SharedQueue
from hanlin.serving.shared_writing import SharedGenerationQueue


@dataclass(slots=True)
class SharedBase:
    """A base in memory and who stands on it.

    Attributes:
        queue: before it, once there is one; made and read on the worker's event loop.
        num_served: adapters that ever stood on it.
    """

    session: SharedSession | SharedWriter
    queue: SharedQueue | SharedGenerationQueue | None = None
    num_users: int = 0
    num_served: int = 0


@dataclass(slots=True)
class Bases:
    """The bases of a process, by what tells them apart. Safe on any thread."""

    _bases: dict[str, SharedBase] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, key: str, load: Callable[[], SharedSession | SharedWriter], folder: Path) -> tuple[SharedBase, Seat]:
        """The base, loaded when it is not there, with the adapter of `folder` in it. `leave` it."""
        with self._lock:
            if (base := self._bases.get(key)) is None:
                base = self._bases[key] = SharedBase(load())
            base.num_users += 1
            base.num_served += 1
        try:
            return base, base.session.take(folder)
        except BaseException:
            self._end(key, base)
            raise

    def leave(self, key: str, base: SharedBase, seat: Seat) -> None:
        """An adapter goes; with the last one its base does."""
        base.session.leave(seat.number)
        self._end(key, base)

    def _end(self, key: str, base: SharedBase) -> None:
        with self._lock:
            base.num_users -= 1
            if base.num_users:
                return
            del self._bases[key]
        if base.queue is not None:
            base.queue.close()  # its session, too
        else:
            base.session.close()


@dataclass(frozen=True, slots=True)
class Standing:
    """An adapter on its base, ready to answer."""

    loaded: Loaded
    base: SharedBase
    seat: Seat
