"""A stand-in server that speaks the contract over real sockets, with faults to order."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from . import blobs, jobs, models, serving, talks
from .records import COMPRESSION, FILE, KEY, METRICS, NOW
from .world import Gate, World

__all__ = ["COMPRESSION", "FILE", "KEY", "METRICS", "NOW", "World", "serve"]


class Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """A thread has no signals to handle."""


@contextmanager
def serve(world: World, port: int = 0) -> Iterator[World]:
    """The stand-in on a free port (or `port`), in a thread."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    world.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    routes = [route for room in (jobs, blobs, models, serving, talks) for route in room.routes(world)]
    server = Server(
        uvicorn.Config(Gate(Starlette(routes=routes), world), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield world
    finally:
        world.gate.set()
        server.should_exit = True
        thread.join(10)
        listener.close()
