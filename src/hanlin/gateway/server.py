"""Runs the app on a socket that the supervisor owns: uvicorn with our protocol; SIGTERM drains.

At SIGTERM readiness turns false first; after `pre_stop_s`, in which calls are taken as before, nothing new is accepted (connections
wait at the supervisor's socket for another gateway, or are refused once it has let go of it), calls in flight end within
`drain_timeout_s` (answers that are still being told then end with an error event), and `serve` returns. Another SIGTERM changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

import uvicorn

from hanlin.gateway.acceptor import Acceptor, Connections, Tally
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.edge import Edge
from hanlin.gateway.http_protocol import strict_protocol
from hanlin.observe.memory import settle
from hanlin.settings import Settings

_LAST_WORDS_S = 0.5  # before the end, for the error events of streams that cannot be waited for


class Beside(Protocol):
    """Another server in the same process and loop, over the same dataplane."""

    async def start(self) -> None:
        """Take calls."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Take no more; those in flight have `grace_s` to end."""
        ...


def serve(
    app: Edge, sock: socket.socket, settings: Settings, *, dataplane: Dataplane | None = None, tally: Tally | None = None,
    beside: Beside | None = None,
) -> None:  # fmt: skip
    """Answer on `sock` until SIGTERM or SIGINT. Blocks; call it on the main thread.

    Args:
        tally: shared with the other gateways at this socket.
        beside: begins and ends with this one.
    """
    config = uvicorn.Config(
        app, http=strict_protocol(settings, app.valve), ws="none", lifespan="on",
        log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=65, timeout_graceful_shutdown=int(settings.drain_timeout_s) or 1, backlog=2048,
    )  # fmt: skip
    server = _Server(config, tally, beside, settings.drain_timeout_s)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        stopping: list[asyncio.Task[None]] = []

        def end() -> None:
            if not stopping:
                stopping.append(loop.create_task(_end(server, app, dataplane, settings)))

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        settle()
        await server.serve(sockets=[sock])

    with contextlib.suppress(KeyboardInterrupt):
        _run(run)


async def _end(server: uvicorn.Server, app: Edge, dataplane: Dataplane | None, settings: Settings) -> None:
    if dataplane is not None:
        dataplane.is_draining = True
        await asyncio.sleep(settings.pre_stop_s)
    server.should_exit = True
    await asyncio.sleep(settings.drain_timeout_s - min(_LAST_WORDS_S, settings.drain_timeout_s / 2))
    app.end_streams()


class _Server(uvicorn.Server):
    """Takes connections in turn with other gateways, and leaves signals to `serve`: uvicorn would raise them again after a clean end."""

    def __init__(self, config: uvicorn.Config, tally: Tally | None, beside: Beside | None, drain_timeout_s: float) -> None:
        super().__init__(config)
        self._tally = tally
        self._beside = beside
        self._drain_timeout_s = drain_timeout_s
        if tally is not None:
            self.server_state.connections = Connections(tally)  # type: ignore[assignment]  # all that uvicorn puts in are protocols

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, but for who takes connections."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit(1)
        make: Any = self.config.http_protocol_class

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
            return made

        self.servers: list[Any] = [Acceptor(listener, protocol, self._tally) for listener in sockets or []]
        if self._beside is not None:
            await self._beside.start()
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does; the dataplane, which ends with the lifespan, stays until the server beside has drained, too."""
        if self._beside is not None:
            ending = asyncio.ensure_future(self._beside.stop(self._drain_timeout_s))
            end_lifespan = self.lifespan.shutdown

            async def end() -> None:
                await ending
                await end_lifespan()

            self.lifespan.shutdown = end
        await super().shutdown(sockets)

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
