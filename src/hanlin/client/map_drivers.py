"""Runs a `map`: requests side by side on threads, or as tasks of an asyncio loop.

The source is read, and answers are handed out, by the caller alone: a cursor of a database may be a source.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hanlin.client.board import Piece
from hanlin.client.core import AsyncCore, Core
from hanlin.client.mapping import Heard, Mapping
from hanlin.errors import HanlinError

T = TypeVar("T")


def run(core: Core, begin: Callable[[], Mapping[T]], texts: Iterator[object], concurrency: int) -> Iterator[T | HanlinError]:
    """All answers in order. A generator that is closed early ends its requests first."""
    mapping = begin()
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="hanlin-map")
    try:
        while kept := mapping.kept():
            taken = [text for _, text in zip(kept.answers, texts, strict=False)]
            yield from mapping.replay(kept, taken)
        yield from _pump(core, mapping, texts, pool)
    finally:
        pool.shutdown(cancel_futures=True)
        mapping.close()


def _pump(core: Core, mapping: Mapping[T], texts: Iterator[object], pool: ThreadPoolExecutor) -> Iterator[T | HanlinError]:
    arrived: queue.SimpleQueue[tuple[Piece[T], Heard[T] | BaseException]] = queue.SimpleQueue()
    has_more = True

    def ask(piece: Piece[T]) -> None:
        try:
            arrived.put((piece, core.driver.run(mapping.ask(piece))))
        except BaseException as error:  # handed to the caller's thread, which raises it
            arrived.put((piece, error))

    while True:
        while not arrived.empty():
            mapping.settle(*arrived.get())
        while has_more and mapping.has_room:
            try:
                mapping.put(next(texts))
            except StopIteration:
                mapping.end()
                has_more = False
        while piece := mapping.take():
            pool.submit(ask, piece)
        if (rows := mapping.released()) is not None:
            yield from rows
        elif mapping.is_done and not has_more:
            return
        else:
            try:
                mapping.settle(*arrived.get(timeout=mapping.wait_s()))
            except queue.Empty:
                continue


async def arun(core: AsyncCore, begin: Callable[[], Mapping[T]], texts: AsyncIterator[object]) -> AsyncIterator[T | HanlinError]:
    """The same on the running loop."""
    mapping = begin()
    tasks: set[asyncio.Task[None]] = set()
    try:
        while kept := mapping.kept():
            taken = [text for _ in kept.answers if (text := await anext(texts, _END)) is not _END]
            for row in mapping.replay(kept, taken):
                yield row
        async for row in _apump(core, mapping, texts, tasks):
            yield row
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        mapping.close()


_END = object()


async def _apump(
    core: AsyncCore, mapping: Mapping[T], texts: AsyncIterator[object], tasks: set[asyncio.Task[None]]
) -> AsyncIterator[T | HanlinError]:
    arrived: asyncio.Queue[tuple[Piece[T], Heard[T] | BaseException]] = asyncio.Queue()
    has_more = True

    async def ask(piece: Piece[T]) -> None:
        try:
            arrived.put_nowait((piece, await core.driver.run(mapping.ask(piece))))
        except Exception as error:  # handed to the caller, who raises it
            arrived.put_nowait((piece, error))

    while True:
        while not arrived.empty():
            mapping.settle(*arrived.get_nowait())
        while has_more and mapping.has_room:
            if (text := await anext(texts, _END)) is _END:
                mapping.end()
                has_more = False
            else:
                mapping.put(text)
        while piece := mapping.take():
            task = asyncio.ensure_future(ask(piece))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if (rows := mapping.released()) is not None:
            for row in rows:
                yield row
        elif mapping.is_done and not has_more:
            return
        else:
            try:
                async with asyncio.timeout(mapping.wait_s()):
                    found = await arrived.get()
            except TimeoutError:
                continue
            mapping.settle(*found)
