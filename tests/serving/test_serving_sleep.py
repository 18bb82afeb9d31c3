"""Models that sleep: real workers behind a reconciler, called through a router that follows its routes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hanlin.errors import HanlinError, NotReady
from hanlin.messages.said import Said
from hanlin.serving import residency
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.demand import SOCKET, DemandSender
from hanlin.serving.process import WorkerOptions, WorkerProcess
from hanlin.serving.reconciler import Reconciler
from hanlin.serving.router import Request, Router
from hanlin.serving.routes import RoutesWatcher
from hanlin.serving.workers import LoadedModel

pytestmark = pytest.mark.e2e
MIB = 2**20


@dataclass
class Home:
    """A reconciler and a router, as `hanlin up` runs them in two processes."""

    run_dir: Path
    models: Path
    specs: dict[str, DeploymentSpec] = field(default_factory=dict)
    told: list[tuple[str, str, Said | None]] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def list_deployments(self) -> list[DeploymentSpec]:
        return list(self.specs.values())

    def set_state(self, deployment_id: str, state: str, reason: Said | None, _replicas: int) -> None:
        self.told.append((deployment_id, state, reason))

    def materialize(self, spec: DeploymentSpec) -> Path:
        self.loads.append(spec.deployment_id)
        return self.models / spec.version

    async def start(self, **options: object) -> None:
        self.reconciler = Reconciler(  # type: ignore[arg-type]
            self, materialize=self.materialize, options=WorkerOptions(run_dir=self.run_dir, drain_timeout_s=5.0), poll_s=0.02, **options
        )
        self.sender = DemandSender(self.run_dir)
        self.router = Router(demand=self.sender)
        self.tasks = [asyncio.create_task(self.reconciler.run()), asyncio.create_task(self.follow())]

    async def follow(self) -> None:
        with contextlib.closing(RoutesWatcher(self.run_dir)) as watcher:
            while True:
                if (routes := watcher.changed()) is not None:
                    self.router.update(routes)
                await watcher.wait()

    async def stop(self) -> None:
        self.reconciler.stop()
        await self.tasks[0]
        self.tasks[1].cancel()
        await self.router.close()
        self.sender.close()

    def declare(self, number: int, **options: object) -> None:
        spec = DeploymentSpec(f"d{number}", "default", f"e{number}", "m", f"m:{number}", "fake-fp32", min_replicas=0)
        self.specs[f"d{number}"] = replace(spec, **options)  # type: ignore[arg-type]

    async def call(self, number: int, *, timeout_s: float = 30.0) -> str:
        return (await self.router.submit(f"default/e{number}", Request("good", {}, timeout_s))).info.version

    def state(self, number: int) -> str:
        group = self.reconciler._sets.get(f"d{number}")
        return group.state if group else "unknown"

    def is_published(self, number: int, state: str) -> bool:
        with contextlib.suppress(HanlinError):
            return self.router.route(f"default/e{number}").state == state
        return False


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    found = Home(tmp_path / "run", tmp_path / "models")
    yield found
    await found.stop()


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process weighs 100 MiB."""
    monkeypatch.setattr(WorkerProcess, "memory_bytes", property(lambda _: 100 * MIB))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_endpoint_sleeps_when_it_is_not_used_and_wakes_on_a_call(home: Home, make_folder) -> None:
    make_folder("m:1")
    home.declare(1, idle_s=0.3)
    await home.start()
    await until(lambda: home.is_published(1, "asleep"))
    assert ("d1", "ready", None) in home.told, "a new version must have loaded once"
    assert home.reconciler._sets["d1"].pids == ()
    assert (home.run_dir / SOCKET).stat().st_mode & 0o777 == 0o600
    assert await home.call(1) == "m:1"
    await until(lambda: home.is_published(1, "asleep"))
    assert await home.call(1) == "m:1"


async def test_a_hundred_calls_to_a_cold_model_are_one_load_and_all_answered(home: Home, make_folder) -> None:
    """C069."""
    make_folder("m:1", load_ms=300)
    home.declare(1, was_ready=True)
    await home.start()
    await until(lambda: home.is_published(1, "asleep"))
    assert home.loads == []
    assert await asyncio.gather(*(home.call(1) for _ in range(100))) == ["m:1"] * 100
    assert home.loads == ["d1"]


async def test_a_caller_who_cannot_wait_is_told_how_long_it_takes(home: Home, make_folder) -> None:
    """C069: 503 with Retry-After as loading took last time."""
    make_folder("m:1", load_ms=600)
    home.declare(1, idle_s=0.2)
    await home.start()
    await until(lambda: home.is_published(1, "asleep"))
    with pytest.raises(NotReady) as caught:
        await home.call(1, timeout_s=0.2)
    assert caught.value.code == "endpoint_starting"
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 0.6
    assert await home.call(1) == "m:1"


@pytest.mark.usefixtures("sizes")
async def test_the_longest_unused_leaves_for_the_one_that_is_called(home: Home, make_folder) -> None:
    for number in (1, 2, 3):
        make_folder(f"m:{number}")
        home.declare(number, was_ready=True)
    await home.start(memory_budget_bytes=250 * MIB)
    await until(lambda: home.is_published(3, "asleep"))
    for number in (1, 2):
        await home.call(number)
    await asyncio.sleep(0.6)  # until the workers have told of it
    await home.call(1)
    await asyncio.sleep(0.6)
    await home.call(3)
    await until(lambda: [home.state(number) for number in (1, 2, 3)] == ["ready", "asleep", "ready"])
    assert await home.call(2) == "m:2"


@pytest.mark.usefixtures("sizes")
async def test_work_in_flight_is_never_thrown_out(home: Home, make_folder) -> None:
    """C070: the second model waits for the first one's step, which nobody interrupts."""
    make_folder("m:1", step_ms=1500)
    make_folder("m:2")
    for number in (1, 2):
        home.declare(number, was_ready=True)
    await home.start(memory_budget_bytes=150 * MIB)
    await until(lambda: home.is_published(2, "asleep"))
    home.reconciler._sets["d2"]._size_bytes = 100 * MIB  # as it was when it was loaded last
    first = asyncio.ensure_future(home.call(1))
    await until(lambda: home.reconciler._sets["d1"].usage.is_busy)
    second = asyncio.ensure_future(home.call(2))
    assert await first == "m:1"
    assert await second == "m:2"
    assert "d2" in home.loads
    await until(lambda: home.state(1) == "asleep")


@pytest.mark.usefixtures("sizes")
async def test_a_model_that_can_never_fit_says_so_and_harms_nobody(home: Home, make_folder) -> None:
    """C070."""
    for number in (1, 2):
        make_folder(f"m:{number}")
    home.declare(1, min_replicas=1)
    home.declare(2, was_ready=True)
    await home.start(memory_budget_bytes=150 * MIB)
    await until(lambda: home.state(1) == "ready" and home.is_published(2, "asleep"))
    home.reconciler._sets["d2"]._size_bytes = 100 * MIB
    with pytest.raises(NotReady) as caught:
        await home.call(2, timeout_s=20.0)
    assert (caught.value.code, caught.value.retry_after_s) == ("no_room_for_endpoint", 5.0)
    reason = next(reason for name, state, reason in home.told if (name, state) == ("d2", "asleep") and reason)
    assert reason.code == "insufficient_memory"
    assert (home.state(1), home.state(2)) == ("ready", "asleep")
    assert await home.call(1) == "m:1"


async def test_of_fifty_models_only_the_hot_ones_are_in_memory(home: Home, make_folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoadedModel, "memory_bytes", property(lambda _: 100 * MIB))
    monkeypatch.setattr(residency, "FRESH_S", 0.0)  # the order alone says who leaves
    for number in range(50):
        make_folder(f"m:{number}")
        home.declare(number, was_ready=True, isolation="shared")
    await home.start(memory_budget_bytes=1000 * MIB)
    await until(lambda: all(home.is_published(number, "asleep") for number in range(50)))
    for group in home.reconciler._sets.values():
        group._size_bytes = 100 * MIB  # as it was when it was loaded last
    seen: list[int] = []

    def awake() -> set[int]:
        seen.append(sum(len(group.pids) for group in home.reconciler._sets.values()))
        return {number for number in range(50) if home.state(number) == "ready"}

    def told_calls(number: int) -> int:
        return sum(home.reconciler._sets[f"d{number}"].usage.num_calls.values())

    async def use(numbers: set[int]) -> None:
        before = {number: told_calls(number) for number in numbers}
        assert await asyncio.gather(*map(home.call, numbers)) == [f"m:{number}" for number in numbers]
        await until(lambda: awake() >= numbers and all(told_calls(number) > before[number] for number in numbers))

    hot, unused = set(range(10)), 7
    await use(hot)
    assert (awake(), len(home.loads)) == (hot, 10)
    await use(hot - {unused})
    await use({20})
    assert awake() == hot - {unused} | {20}
    await use(hot - {unused})
    await use({30})
    assert awake() == hot - {unused} | {30}, "a cold one leaves, not one of the hot ones"
    await use({unused})
    assert home.loads[10:] == ["d20", "d30", "d7"]
    assert max(seen) == 10


async def test_calls_that_come_while_it_falls_asleep_are_answered(home: Home, make_folder) -> None:
    make_folder("m:1")
    home.declare(1, idle_s=0.05, isolation="shared")
    await home.start()
    await until(lambda: home.state(1) == "ready" or home.state(1) == "asleep")
    for number in range(24):
        assert await home.call(1) == "m:1"
        await asyncio.sleep(0.05 * (number % 8))  # on both sides of the moment at which it leaves
        if number >= 8 and len(home.loads) > 2:
            break
    assert len(home.loads) > 2, "it never fell asleep in between"
