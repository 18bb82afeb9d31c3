"""A canary answers its share and costs no call when it fails; a shadow sees copies and is never heard. Real workers, the fake engine."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from hanlin.errors import NotFound
from hanlin.serving.latency import EDGES_S, bucket, new_histogram, percentile_s
from hanlin.serving.mirror import MAX_COPIES, Mirror
from hanlin.serving.place import Place
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request, Router
from hanlin.serving.routes import EndpointRoute, Routes, TrialRoute
from hanlin.serving.wire import Call, Report
from hanlin.serving.workers import Wanted, Workers

KEY = "default/e"


class Worker:
    """A model in a process of its own, and the place where it listens."""

    @classmethod
    async def start(cls, folder: Path, version: str, run_dir: Path) -> Worker:
        worker = cls()
        worker.place = Place(run_dir)
        worker.route = worker.place.route
        wanted = Wanted("default", version, folder, "fake-fp32", version, "e")
        worker.model = await Workers(WorkerOptions(run_dir=run_dir)).start(wanted, worker.place)
        return worker

    def kill(self) -> None:
        os.kill(self.model.pid, signal.SIGKILL)

    async def stop(self) -> None:
        await self.model.stop()
        self.place.close()


class World:
    """A router over version 1 and a trial of version 2 beside it; `draws` says what chance will say."""

    def __init__(self, live: Worker, other: Worker) -> None:
        self.live, self.other = live, other
        self.draws: list[float] = []
        self.router = Router(draw=lambda: self.draws.pop(0) if self.draws else 0.99)

    def show(self, role: str | None, weight: int = 50) -> None:
        trials = ()
        if role is not None:
            route = EndpointRoute("m", "m:2", "fake-fp32", "ready", (self.other.route,), deployment_id="d2")
            trials = (TrialRoute(role, weight, route),)  # type: ignore[arg-type]
        live = EndpointRoute("m", "m:1", "fake-fp32", "ready", (self.live.route,), deployment_id="d1", trials=trials)
        self.router.update(Routes({KEY: live}))

    async def connected(self) -> None:
        async with asyncio.timeout(20):
            while not all(target.idlest() for target in self.router._targets.values()):
                await asyncio.sleep(0.005)

    async def call(self, text: str = "good") -> str:
        return (await self.router.submit(KEY, Request(text, {}, 20.0))).info.version

    async def seen(self, version: str) -> float:
        """Calls that reached the workers of a version."""
        return sum(values["calls_total"] for _, info, values in await self.router.reports() if info.version == version)

    async def report(self, deployment_key: str) -> Report:
        channel = self.router._targets[deployment_key].idlest()
        assert channel is not None
        return await channel.full_report()


@pytest.fixture
async def world(tmp_path: Path, make_folder: Callable[..., Path]) -> AsyncIterator[World]:
    workers = [await Worker.start(make_folder(name), name, tmp_path / "run") for name in ("m:1", "m:2")]
    found = World(*workers)
    yield found
    await found.router.close()
    await asyncio.gather(*(worker.stop() for worker in workers))


async def test_a_canary_answers_its_share_and_says_so(world) -> None:
    world.show("canary", 50)
    await world.connected()
    world.draws = [0.1, 0.5, 0.49, 0.9]
    assert [await world.call() for _ in range(4)] == ["m:2", "m:1", "m:2", "m:1"]
    world.show("canary", 100)
    assert await world.call() == "m:2", "the weight has changed while it ran"
    world.show(None)
    assert await world.call() == "m:1"


async def test_a_canary_that_dies_fails_or_is_not_there_costs_no_call(world) -> None:
    world.show("canary", 100)
    await world.connected()
    world.other.kill()
    world.draws = [0.0] * 10
    assert [await world.call() for _ in range(5)] == ["m:1"] * 5
    assert world.router.retries_total == 0, "the version that serves is asked once, as if there were no canary"


async def test_errors_of_a_canary_are_counted_there_and_answered_by_the_other(world, make_folder, tmp_path: Path) -> None:
    broken = await Worker.start(make_folder("m:3", fail_token=2), "m:3", tmp_path / "run")
    world.other = broken  # it fails at the word `good`
    world.show("canary", 100)
    await world.connected()
    world.draws = [0.0] * 3
    assert [await world.call("good") for _ in range(3)] == ["m:1"] * 3
    assert world.router.spared_total == 3
    assert (await world.report(f"{KEY}#d2")).values["failed_total"] == 3
    await broken.stop()


async def test_a_shadow_gets_copies_and_is_never_heard(world) -> None:
    world.show("shadow", 100)
    await world.connected()
    world.draws = [0.0] * 4
    assert [await world.call() for _ in range(4)] == ["m:1"] * 4
    async with asyncio.timeout(20):
        while await world.seen("m:2") < 4:
            await asyncio.sleep(0.01)
    assert (world.router.mirror.sent_total, world.router.mirror.dropped_total) == (4, 0)
    world.other.kill()
    world.draws = [0.0] * 4
    assert [await world.call() for _ in range(4)] == ["m:1"] * 4


async def test_copies_are_bounded(world) -> None:
    world.show("shadow", 100)
    await world.connected()
    mirror = Mirror()
    channel = world.router._targets[f"{KEY}#d2"].idlest()
    assert channel is not None
    for _ in range(MAX_COPIES + 5):
        if mirror.has_room(channel, 6):
            mirror.send(channel, Call(channel.next_id(), msgspec.Raw(b"\x92\xa4good\x80"), 5.0), 6)
    assert not mirror.has_room(None, 6)
    assert (mirror.sent_total, mirror.dropped_total) == (MAX_COPIES, 6)
    mirror.close()


async def test_an_endpoint_that_is_withdrawn_takes_its_trial_with_it(world) -> None:
    world.show("canary", 100)
    await world.connected()
    assert world.router.keys() == [KEY]
    world.router.withdraw(KEY, ["d1", "d2"])
    world.show("canary", 100)
    with pytest.raises(NotFound):
        await world.call()
    assert world.router.keys() == []


async def test_workers_report_labels_and_latency(world) -> None:
    world.show(None)
    await world.connected()
    for text in ("good", "good", "bad"):
        await world.call(text)
    report = await world.report(KEY)
    assert sum(report.labels.values()) == 3
    assert set(report.labels) <= {"negative", "positive"}
    assert sum(report.latency) == 3


def test_percentiles_come_from_buckets() -> None:
    histogram = new_histogram()
    assert percentile_s(histogram, 0.5) is None
    for seconds in (0.001, 0.001, 0.001, 0.2):
        histogram[bucket(seconds)] += 1
    assert percentile_s(histogram, 0.5) == EDGES_S[bucket(0.001)]
    assert percentile_s(histogram, 0.99) == EDGES_S[bucket(0.2)]
    histogram[bucket(1e6)] += 1
    assert percentile_s(histogram, 1.0) == EDGES_S[-1]
