"""C058, C059, C072: every call ends exactly once, whenever its deadline passes or its caller goes; the counts say which way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from hanlin.errors import DeadlineExceeded
from hanlin.serving.channel import Channel
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.place import Place
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions, WorkerProcess
from hanlin.serving.router import Request
from hanlin.serving.wire import Answer, Call, Cancel

pytestmark = pytest.mark.e2e
STEP_S = 1.0


@pytest.fixture
async def channel(tmp_path: Path, make_folder) -> AsyncIterator[Channel]:
    """A connection to a worker whose steps take long enough to do something meanwhile."""
    options = WorkerOptions(run_dir=tmp_path / "run")
    place = Place(options.run_dir)
    worker = await WorkerProcess.start(options)
    await worker.load("one", make_folder(step_ms=STEP_S * 1000), "fake-fp32", version="m:1", endpoint="e", threads=1, place=place)
    found = await Channel.connect(place.route.socket, place.route.token)
    yield found
    found.close()
    await found.lost
    await worker.stop()
    place.close()


def ask(channel: Channel, text: str, timeout_s: float = 20.0) -> asyncio.Task[Answer]:
    content = msgspec.msgpack.encode([text, {}])
    call = Call(channel.next_id(), msgspec.Raw(content), timeout_s)
    return asyncio.create_task(channel.call(call, len(content), timeout_s=timeout_s + 1.0))


async def in_a_step(channel: Channel) -> asyncio.Task[Answer]:
    """A call that the engine is at: what is sent now cannot go along."""
    call = ask(channel, "good")
    async with asyncio.timeout(20):
        while (values := await channel.report())["inflight_calls"] != 1 or values["queued_calls"]:
            await asyncio.sleep(0.002)
    return call


async def gone(call: asyncio.Task[Answer]) -> None:
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call


async def at_once(channel: Channel) -> None:
    call = ask(channel, "good")
    await asyncio.sleep(0)  # it is sent, and the cancellation right behind it
    await gone(call)


async def while_queued(channel: Channel) -> None:
    running, call = await in_a_step(channel), ask(channel, "bad")
    async with asyncio.timeout(20):
        while not (await channel.report())["queued_calls"]:
            await asyncio.sleep(0.002)
    await gone(call)
    await running


async def while_it_runs(channel: Channel) -> None:
    await gone(await in_a_step(channel))


async def after_the_answer(channel: Channel) -> None:
    await ask(channel, "good")
    channel._send(Cancel(channel._last_id))


async def twice(channel: Channel) -> None:
    await while_it_runs(channel)
    channel._send(Cancel(channel._last_id))


@pytest.mark.parametrize(
    ("act", "cancelled", "answered"),
    [(at_once, 1, 0), (while_queued, 1, 1), (while_it_runs, 1, 0), (after_the_answer, 0, 1), (twice, 1, 0)],
)
async def test_a_cancelled_call_is_counted_once_and_its_place_is_free(
    channel: Channel, act: Callable[[Channel], Awaitable[None]], cancelled: int, answered: int
) -> None:
    await act(channel)
    last = await ask(channel, "w9")
    assert json.loads(last.body), "the worker answers the next one"
    values = await channel.report()
    assert (values["cancelled_total"], values["answered_total"]) == (cancelled, answered + 1)
    assert (values["inflight_calls"], values["queued_tokens"], channel.num_pending, channel.pending_bytes) == (0, 0, 0, 0)


async def test_a_deadline_that_has_passed_on_arrival_costs_nothing(channel: Channel) -> None:
    with pytest.raises(DeadlineExceeded):
        await ask(channel, "good", timeout_s=0.0)
    values = await channel.report()
    assert (values["refused_total"], values["rows_total"], values["queued_calls"]) == (1, 0, 0)


async def test_a_deadline_that_passes_in_the_queue_is_told_and_never_computed(channel: Channel) -> None:
    running, late = await in_a_step(channel), ask(channel, "bad", timeout_s=STEP_S / 8)
    with pytest.raises(DeadlineExceeded):
        await late
    await running
    values = await channel.report()
    assert (values["expired_total"], values["rows_total"], values["answered_total"]) == (1, 1, 1)


async def test_the_same_text_has_the_same_answer_from_every_replica_alone_and_in_company(tmp_path: Path, make_folder) -> None:
    pool = LocalPool(WorkerOptions(run_dir=tmp_path / "run"), folders={"m:1": make_folder(step_ms=2)})
    texts = [f"w{number} " * (1 + number % 7) for number in range(10, 42)]
    try:
        await pool.ensure(DeploymentSpec("d1", "default", "e", "m", "m:1", "fake-fp32", replicas=2))
        async with asyncio.timeout(20):
            while len(channels := list(pool.router._targets["default/e"].channels.values())) < 2:
                await asyncio.sleep(0.01)
        first, second = [[json.loads((await ask(one, text)).body) for text in texts] for one in channels]
        together = await pool.submit("default", "e", Request(texts, {}, 20.0))
        assert first == second == json.loads(together.answer.body)
    finally:
        await pool.drain()
