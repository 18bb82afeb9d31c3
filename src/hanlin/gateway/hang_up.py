"""Callers who hang up: what is done for them ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Receive, Scope

from hanlin.errors import Cancelled

T = TypeVar("T")


async def until_gone(work: Awaitable[T], scope: Scope, receive: Receive) -> T:
    """What comes of `work`, which is cancelled as soon as the caller hangs up. Raises Cancelled (`client_gone`)."""
    register: Callable[[Callable[[], object]], None] | None = scope.get("hanlin.on_disconnect")
    if register is not None:  # our own server tells: no second task a request
        task = asyncio.current_task()
        assert task is not None
        register(task.cancel)
        try:
            return await work
        finally:
            register(_nothing)
    doing = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Cancelled("client_gone")
        return doing.result()
    finally:
        gone.cancel()
        doing.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _nothing() -> None:
    """Stands where no task is to be cancelled."""
