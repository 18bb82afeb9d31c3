"""A gateway without its workers and without a network, for what it costs itself: routers that answer at once, a transport that drops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from hanlin.errors import Overloaded
from hanlin.gateway.edge import Edge
from hanlin.gateway.http_protocol import strict_protocol
from hanlin.serving.router import Request, Result, Router
from hanlin.serving.routes import EndpointRoute
from hanlin.serving.wire import Answer, ReplicaInfo
from hanlin.settings import Settings

TOGETHER = 32  # calls that a busy worker finds waiting
LABELS = ("negative", "positive")
INFO = ReplicaInfo("m:1", "fake-fp32", "text-classification", LABELS, 256, 256, 2**20, ("en",))
ANSWER = b'[{"label":"positive","score":0.98},{"label":"negative","score":0.02}]'


class NoRouter(Router):
    """Answers at the next turn of the loop."""

    def route(self, key: str) -> EndpointRoute:
        return EndpointRoute("m", "m:1", "fake-fp32", "ready")

    async def submit(self, key: str, request: Request) -> Result:
        await asyncio.sleep(0)
        return Result(Answer(1, ANSWER, 1, 20, 0.1, 0.1, 1.0), INFO)


class FullRouter(NoRouter):
    """Has too much to do."""

    async def submit(self, key: str, request: Request) -> Result:
        await asyncio.sleep(0)
        raise Overloaded("endpoint_overloaded", retry_after_s=1.0)


class NoTransport(asyncio.Transport):
    """Takes what is written and tells when an answer has come."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: Callable[[], None] = lambda: None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.answered()

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)}.get(name)


async def through_protocol(app: Edge | Callable[..., object], settings: Settings, requests: list[bytes]) -> float:
    """Microseconds of a request through our HTTP protocol and `app`."""
    import uvicorn
    from uvicorn.server import ServerState

    http = strict_protocol(settings, getattr(app, "valve", None))
    config = uvicorn.Config(app, http=http, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False)
    config.load()
    connections = []
    for _ in range(TOGETHER):
        made = config.http_protocol_class(config=config, server_state=ServerState(), app_state={})  # type: ignore[call-arg,operator]
        transport = NoTransport()
        made.connection_made(transport)  # type: ignore[arg-type]
        connections.append((made, transport))
    best = float("inf")
    for _ in range(300):
        waiting = len(connections)
        done = asyncio.get_running_loop().create_future()

        def answered(done: asyncio.Future[None] = done) -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                done.set_result(None)

        began_s = time.process_time()
        for (made, transport), request in zip(connections, requests, strict=False):
            transport.answered = answered
            made.data_received(request)
        await done
        await asyncio.sleep(0)
        best = min(best, time.process_time() - began_s)
    return best / len(connections) * 1e6
