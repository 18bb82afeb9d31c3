"""The gateway's side of a worker's socket, against workers that say nothing, something odd, or too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from hanlin.serving import channel as channel_module
from hanlin.serving.channel import Channel, WorkerLost
from hanlin.serving.wire import Answer, Call, Cancel, FrameReader, FromGateway, Hello, ReplicaInfo, Welcome, pack, unpack_from_gateway

INFO = ReplicaInfo("m:1", "fake-fp32", "text-classification", ("a", "b"), 64, 32, 1000, ())
CONTENT = msgspec.Raw(msgspec.msgpack.encode(["good", {}]))


class Silent(asyncio.Protocol):
    """A worker that greets and then does as it is told."""

    def __init__(self, received: list[FromGateway], answer: Callable[[Call], bytes]) -> None:
        self._received, self._answer, self._reader = received, answer, FrameReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for payload in self._reader.feed(data):
            frame = unpack_from_gateway(payload)
            self._received.append(frame)
            said = pack(Welcome(INFO)) if isinstance(frame, Hello) else self._answer(frame) if isinstance(frame, Call) else b""
            self._transport.write(said)  # type: ignore[attr-defined]


@asynccontextmanager
async def worker(folder: Path, answer: Callable[[Call], bytes] = lambda call: b"") -> AsyncIterator[tuple[Channel, list[FromGateway]]]:
    received: list[FromGateway] = []
    server = await asyncio.get_running_loop().create_unix_server(lambda: Silent(received, answer), str(folder / "s"))
    found = await Channel.connect(str(folder / "s"), "t")
    try:
        yield found, received
    finally:
        found.close()
        server.close()


def call(channel: Channel) -> Call:
    return Call(channel.next_id(), CONTENT, 30.0)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


async def test_a_worker_that_says_nothing_is_given_up_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "_SWEEP_S", 0.01)
    async with worker(tmp_path) as (found, received):
        patient = asyncio.create_task(found.call(call(found), 5, timeout_s=60.0))
        with pytest.raises(TimeoutError):
            await found.call(call(found), 7, timeout_s=0.02)
        await until(lambda: Cancel(2) in received)
        assert (found.num_pending, found.pending_bytes) == (1, 5)
        assert not patient.done()
        patient.cancel()
        await until(lambda: Cancel(1) in received)
        assert (found.num_pending, found.pending_bytes) == (0, 0)


async def test_an_answer_after_the_end_of_patience_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "_SWEEP_S", 0.01)
    held: list[bytes] = []

    def late(frame: Call) -> bytes:
        held.append(pack(Answer(frame.id, b"[]", 1, 1, 0.0, 0.0, 0.0)))
        return held.pop(0) if len(held) > 1 else b""  # the first answer goes out with the second call

    async with worker(tmp_path, late) as (found, _):
        with pytest.raises(TimeoutError):
            await found.call(call(found), 5, timeout_s=0.0)
        second = asyncio.create_task(found.call(call(found), 5, timeout_s=60.0))
        third = asyncio.create_task(found.call(call(found), 5, timeout_s=60.0))
        assert (await second).id == 2
        assert found.is_open
        third.cancel()


async def test_a_lost_worker_ends_every_call_and_its_timer(tmp_path: Path) -> None:
    async with worker(tmp_path, lambda frame: b"\xff\xff\xff\xff") as (found, _):
        with pytest.raises(WorkerLost):
            await found.call(call(found), 5, timeout_s=60.0)
        assert not found.is_open
        with pytest.raises(WorkerLost):
            await found.call(call(found), 5, timeout_s=60.0)


async def test_a_greeting_that_is_given_up_leaves_no_connection_open(tmp_path: Path) -> None:
    begun, lost = asyncio.Event(), asyncio.Event()

    class Mute(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            begun.set()

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    server = await asyncio.get_running_loop().create_unix_server(Mute, str(tmp_path / "s"))
    greeting = asyncio.create_task(Channel.connect(str(tmp_path / "s"), "t"))
    async with asyncio.timeout(20):
        await begun.wait()
        greeting.cancel()
        await lost.wait()
    with pytest.raises(asyncio.CancelledError):
        await greeting
    server.close()
