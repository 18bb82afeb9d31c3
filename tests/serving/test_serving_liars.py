"""C133: what a worker that lies can do to a gateway, and what comes of it; stand-ins at real sockets, and real workers that are accused."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.demand import DemandListener, DemandSender
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request, Router
from hanlin.serving.routes import EndpointRoute, ReplicaRoute, Routes
from hanlin.serving.wire import Answer, Call, FrameReader, Hello, Part, ReplicaInfo, Report, Welcome, pack, unpack_from_gateway

INFO = ReplicaInfo("m:1", "fake-fp32", "text-classification", ("a",), 64, 32, 1024, ("en",))
KEY = "default/e"
LIES: dict[str, Callable[[Call], bytes]] = {
    "garbage": lambda _: b"\x00\x00\x00\x05hello",
    "not frames": lambda _: b"GET / HTTP/1.1\r\n\r\n",
    "2 GB": lambda _: (2**31).to_bytes(4, "big") + b"\x81" * 1000,
    "another call's id": lambda call: pack(Answer(call.id + 1000, b"[]", 1, 1, 0, 0, 0)),
    "a pickle": lambda _: b"\x00\x00\x00\x0b\x80\x04\x8c\x02os\x8c\x06sys.",
    "a report instead of an answer": lambda call: pack(Report(call.id, {})),
    "a second welcome": lambda _: pack(Welcome(INFO)),
    "what gateways say": lambda _: pack(Hello("token")),
    "a part nobody asked for": lambda call: pack(Part(call.id, 0, b"[]", 1)),
    "broken text": lambda call: pack(Answer(call.id, b"[]", 1, 1, 0, 0, 0))[:-4] + b"\xff\xff\xff\xff",
}


@contextlib.asynccontextmanager
async def worker(path: Path, say: Callable[[Call], bytes]) -> AsyncIterator[list[Call]]:
    """Something that greets like a worker and answers a call with `say`."""
    calls: list[Call] = []
    serving: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())  # type: ignore[arg-type]
        frames = FrameReader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                for frame in map(unpack_from_gateway, frames.feed(data)):
                    if isinstance(frame, Call):
                        calls.append(frame)
                    writer.write(say(frame) if isinstance(frame, Call) else pack(Welcome(INFO)))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_unix_server(serve, str(path))
    try:
        yield calls
    finally:
        server.close()
        await asyncio.gather(*serving)


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_refused_its_teller_accused_and_the_call_answered_elsewhere(tmp_path: Path, lie: str) -> None:
    accused: list[str] = []
    router = Router(accuse=accused.append)
    liar, honest = ReplicaRoute(str(tmp_path / "liar"), "t"), ReplicaRoute(str(tmp_path / "honest"), "t")

    def publish(*replicas: ReplicaRoute) -> None:
        router.update(Routes({KEY: EndpointRoute("m", "m:1", "fake-fp32", "ready", replicas)}))

    async with worker(Path(liar.socket), LIES[lie]) as lied, worker(Path(honest.socket), answer):
        publish(liar)
        call = asyncio.create_task(router.submit(KEY, Request("good", {}, 20.0)))
        async with asyncio.timeout(10):
            while not accused:
                await asyncio.sleep(0.01)
        publish(honest)
        assert (await call).answer.body == b'["honest"]'
        assert set(accused) == {liar.socket}
        assert lied, "it was asked"
        await router.close()
        await asyncio.sleep(0.05)  # what is hung up has closed


def answer(call: Call) -> bytes:
    return pack(Answer(call.id, b'["honest"]', 1, 1, 0, 0, 0))


async def test_an_accused_worker_is_replaced(tmp_path: Path, make_folder) -> None:
    found = LocalPool(WorkerOptions(run_dir=tmp_path / "run"), folders={"m:1": make_folder()})
    try:
        await found.ensure(DeploymentSpec("d1", "default", "e", "m", "m:1", "fake-fp32"))
        (pid,) = found.pids("default", "e")
        (route,) = found._sets[KEY].routes
        found.router._accuse(str(tmp_path / "nobody"))
        assert found.pids("default", "e") == (pid,)
        found.router._accuse(route.socket)
        assert json.loads((await found.submit("default", "e", Request("good", {}, 20.0))).answer.body)
        assert found.pids("default", "e") not in {(), (pid,)}
    finally:
        await found.drain()


async def test_gateways_tell_the_reconciler_of_calls_and_of_lies(tmp_path: Path) -> None:
    woken, accused = [], []
    listener = DemandListener(tmp_path, woken.append, accused.append)
    sender = DemandSender(tmp_path)
    sender(KEY)
    sender.accuse("/run/w1.sock")
    async with asyncio.timeout(5):
        while not (woken and accused):
            await asyncio.sleep(0.01)
    assert (woken, accused) == ([KEY], ["/run/w1.sock"])
    sender.close()
    listener.close()
