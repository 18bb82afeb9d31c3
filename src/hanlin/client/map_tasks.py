"""Runs a `map` on an asyncio loop: a task for each request in flight, a source that may be asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from hanlin.client.board import Piece
from hanlin.client.core import AsyncCore
from hanlin.client.mapping import Heard, Mapping
from hanlin.errors import HanlinError

T = TypeVar("T")


async def run(core: AsyncCore, begin: Callable[[], Mapping[T]], texts: AsyncIterator[object]) -> AsyncIterator[T | HanlinError]:
    """All answers in order. A generator that is closed early ends its requests first."""
    mapping = begin()
    tasks: set[asyncio.Task[None]] = set()
    try:
        while kept := mapping.kept():
            taken = [text for _ in kept.answers if (text := await anext(texts, _END)) is not _END]
            for row in mapping.replay(kept, taken):
                yield row
        async for row in _pump(core, mapping, texts, tasks):
            yield row
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        mapping.close()


_END = object()


async def _pump(
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
                has_more, group = False, mapping.rest() or None
            else:
                group = mapping.gather(text)
            if group:
                mapping.add(group)
        while piece := mapping.take():
            task = asyncio.ensure_future(ask(piece))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if (released := mapping.release()) is not None:
            for row in mapping.hand_out(released):
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
