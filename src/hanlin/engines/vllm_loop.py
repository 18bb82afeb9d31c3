"""vLLM's own asynchronous engine (`AsyncLLM`) on an event loop of its own: one task a request; what they hear, another thread takes.

Source: vLLM 0.32, `v1/engine/async_llm.py`, `v1/engine/core_client.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

Heard = tuple[int, Any]  # a request, and what was said of it: a `RequestOutput`, or the exception that ended it
CORE_DIED_STATUS = 4


class VllmLoop:
    """An engine, and the thread that its loop runs on. Its methods are called on one thread, which may be any other.

    Where vLLM's core dies this process does too, as if the engine had crashed in it: what was asked is told to the next worker, and an
    input that kills is found out.

    Args:
        make: makes an `AsyncLLM`; called on the loop's thread, which lives as long as the engine does: its processes die with that.

    Attributes:
        config: vLLM's, as it is once all is loaded.

    Raises:
        Exception: what `make` raises.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._heard: SimpleQueue[list[Heard]] = SimpleQueue()
        self._fresh: list[Heard] = []
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ending = asyncio.Event()
        made: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(make, made)), name="vllm", daemon=True)
        self._thread.start()
        try:
            made.result()
        except BaseException:
            self._thread.join()
            raise
        self.config = self._engine.vllm_config
        atexit.register(self.close)  # multiprocessing would wait for the core for ever

    def add(self, request: int, row: Sequence[int], parameters: Any) -> None:
        """Have a row written. `request` is the caller's name for it, of no earlier one."""
        self._loop.call_soon_threadsafe(self._begin, request, list(row), parameters)

    def leave(self, request: int) -> None:
        """Have it written no further; what was said of it by then may still be heard. Nothing for one that has ended."""
        self._loop.call_soon_threadsafe(self._cancel, request)

    def heard(self) -> list[Heard]:
        """What was said since this was called last; waits until something is. Each request ends once, unless it was left."""
        found = self._heard.get()
        while True:
            try:
                found += self._heard.get_nowait()
            except Empty:
                return found

    def close(self) -> None:
        """End vLLM's processes, which gives the processor's memory back. May be called again."""
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join()

    async def _live(self, make: Callable[[], Any], made: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self._engine = make()
        except BaseException as error:
            made.set_exception(error)
            return
        self._engine.output_handler.add_done_callback(lambda _: self._check_core())
        made.set_result(None)
        await self._ending.wait()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._engine.shutdown()
        del self._engine  # at the interpreter's end it cannot be freed any more

    def _begin(self, request: int, row: list[int], parameters: Any) -> None:
        task = self._tasks[request] = self._loop.create_task(self._follow(request, row, parameters))
        task.add_done_callback(lambda _: self._tasks.pop(request))

    def _cancel(self, request: int) -> None:
        if (task := self._tasks.get(request)) is not None:
            task.cancel()

    async def _follow(self, request: int, row: list[int], parameters: Any) -> None:
        try:
            async for output in self._engine.generate({"type": "token", "prompt_token_ids": row}, parameters, str(request)):
                self._say(request, output)
        except asyncio.CancelledError:
            await self._engine.abort(str(request))  # where it was telling the core of the row, `generate` does not
            raise
        except Exception as error:  # what it checks of a request, it says by exceptions of its own
            self._check_core()
            self._say(request, error.__cause__ if isinstance(error.__cause__, Exception) else error)

    def _say(self, request: int, what: Any) -> None:
        """All that is said of one step is heard together."""
        if not self._fresh:
            self._loop.call_soon(self._pass_on)
        self._fresh.append((request, what))

    def _pass_on(self) -> None:
        fresh, self._fresh = self._fresh, []
        self._heard.put(fresh)

    def _check_core(self) -> None:
        if not self._ending.is_set() and self._engine.errored:
            sys.stderr.write("vLLM's core has died: this worker ends, and another takes its place\n")
            sys.stderr.flush()
            os._exit(CORE_DIED_STATUS)
