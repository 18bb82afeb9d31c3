"""Runs the app on a socket that the supervisor owns: uvicorn with our protocol; SIGTERM drains.

At SIGTERM readiness turns false first, then nothing new is accepted (the supervisor's socket keeps connections waiting for the
next gateway), calls in flight end within `drain_timeout_s`, and `serve` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator

import uvicorn
from starlette.types import ASGIApp

from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.http_protocol import strict_protocol
from hanlin.observe.memory import settle
from hanlin.settings import Settings

_NOTICE_S = 0.5  # between "not ready" and the closed door, for load balancers that ask


def serve(app: ASGIApp, sock: socket.socket, settings: Settings, *, dataplane: Dataplane | None = None) -> None:
    """Answer on `sock` until SIGTERM or SIGINT. Blocks; call it on the main thread."""
    config = uvicorn.Config(
        app, http=strict_protocol(settings), ws="none", lifespan="on",
        log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=65, timeout_graceful_shutdown=int(settings.drain_timeout_s) or 1, backlog=2048,
    )  # fmt: skip
    server = _Server(config)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        stopping: list[asyncio.Task[None]] = []

        def end() -> None:
            if not stopping:
                stopping.append(loop.create_task(_end(server, dataplane)))

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        settle()
        await server.serve(sockets=[sock])

    with contextlib.suppress(KeyboardInterrupt):
        _run(run)


async def _end(server: uvicorn.Server, dataplane: Dataplane | None) -> None:
    if dataplane is not None:
        dataplane.is_draining = True
        await asyncio.sleep(_NOTICE_S)
    server.should_exit = True


class _Server(uvicorn.Server):
    """Leaves signals to `serve`: uvicorn would raise them again after a clean end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def _run(main: Callable[[], Coroutine[None, None, None]]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
