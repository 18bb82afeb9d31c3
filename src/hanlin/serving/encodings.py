"""Long requests become tokens on a thread of their own, a call at a time, in turns between keys: one that sends many holds up itself."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True, slots=True)
class _Encoding:
    encode: Callable[[], Any]
    done: Callable[[asyncio.Future[Any]], None]


class Encodings:
    """Of one replica. Belongs to an event loop; only what is to be done is on the other thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoding")
        self._calls: dict[int, _Encoding] = {}
        self._turns: dict[str, deque[int]] = {}  # calls that wait by key; whose turn is next stands first
        self._is_busy = False

    def __len__(self) -> int:
        """Calls that wait or are being encoded."""
        return len(self._calls)

    def start(self, call: int, key: str, encode: Callable[[], Any], done: Callable[[asyncio.Future[Any]], None]) -> None:
        """Run `encode` when it is its turn, then `done` on the loop, unless the call was dropped."""
        self._calls[call] = _Encoding(encode, done)
        self._turns.setdefault(key, deque()).append(call)
        self._next()

    def drop(self, call: int) -> bool:
        """Forget a call. True if it was there."""
        return self._calls.pop(call, None) is not None

    def close(self) -> None:
        """End the thread once it has done what it is at."""
        self._turns.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        while self._turns and not self._is_busy:
            key = next(iter(self._turns))
            waiting = self._turns.pop(key)
            call = waiting.popleft()
            if waiting:
                self._turns[key] = waiting  # behind all others
            if (found := self._calls.get(call)) is not None:
                self._is_busy = True
                future = self._loop.run_in_executor(self._thread, found.encode)
                future.add_done_callback(partial(self._ended, call))

    def _ended(self, call: int, future: asyncio.Future[Any]) -> None:
        self._is_busy = False
        self._next()
        if (found := self._calls.pop(call, None)) is not None:
            found.done(future)
        elif not future.cancelled():
            future.exception()  # nobody waits for it: it is not to be told as lost
