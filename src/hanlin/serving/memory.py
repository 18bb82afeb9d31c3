"""The guardian of this machine's memory: a worker starts only when its model's weights fit into what is free.

A lower bound: what an engine needs beside the weights is not known before it runs. Nothing that serves is ever evicted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from hanlin.errors import NotReady
from hanlin.observe.memory import Memory, read_memory

_MIB = 2**20
_WORKER_BYTES, _COPIES = 4 * 2**30, 8  # seen with MiniLM and steps of 4,096 tokens: 0.2 GiB (int8) to 0.8 GiB (torch); long texts take more


class MemoryGuard:
    """Admits workers that load. One for all workers of a process; lives on its loop."""

    def __init__(self, read: Callable[[], Memory] = read_memory) -> None:
        self._read = read
        self._loading_bytes = 0
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def room_for(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold room while a model of `size_bytes` is loaded; waits for others that load when it might fit after them.

        Raises:
            NotReady: `insufficient_memory`.
        """
        while self._loading_bytes and self._lacks(size_bytes + self._loading_bytes):
            self._changed.clear()
            await self._changed.wait()
        if self._lacks(size_bytes):
            free = self._read().available_bytes or 0
            raise NotReady("insufficient_memory", needed_mib=-(-size_bytes // _MIB), free_mib=free // _MIB)
        self._loading_bytes += size_bytes
        try:
            yield
        finally:
            self._loading_bytes -= size_bytes
            self._changed.set()

    def _lacks(self, size_bytes: int) -> bool:
        free = self._read().available_bytes
        return free is not None and size_bytes > free


def most_bytes(sum_weights_bytes: int) -> int:
    """Most memory of its own that a worker with such models may hold: several times what it needs, and less than the machine has.

    What is asked for beyond it is refused to the worker, before the machine runs short and others are killed.
    """
    wanted = _WORKER_BYTES + _COPIES * sum_weights_bytes
    return min(wanted, most_bytes_of_all() or wanted)


def most_bytes_of_all() -> int:
    """Most memory that any worker may hold; 0: unknown."""
    return (read_memory().total_bytes or 0) * 3 // 4


def weights_bytes(folder: Path, variant: str, *, has_base: bool = False) -> int:
    """Size of the files that `variant` loads from an artifact folder, with those of a draft model. Absent ones are the engine's to tell of.

    Args:
        has_base: the folder's adapter finds its base in memory.
    """
    from hanlin.engines import TRAINED_FILES, variant_files  # here, for it loads numpy: the gateway reads our types without it
    from hanlin.tasks.spec import DRAFT_FOLDER

    names = [name for name in variant_files(variant) or TRAINED_FILES if not (has_base and name.startswith("base/"))]
    paths = [*(folder / name for name in names), *(folder / DRAFT_FOLDER / "variants").rglob("*")]
    return sum(path.stat().st_size for path in paths if path.is_file())
