"""The reconciler steers: a trial that fails is taken back with its figures, replicas come as work waits. Real workers, fake engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hanlin.messages.said import Said
from hanlin.serving import reconciler
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.judge import JudgeLimits
from hanlin.serving.process import WorkerOptions
from hanlin.serving.reconciler import Reconciler
from hanlin.serving.router import Request, Router
from hanlin.serving.routes import RoutesWatcher
from hanlin.serving.steering import SteeringOptions
from hanlin.types import JsonObject

KEY = "default/e"
LIVE = DeploymentSpec("d1", "default", "e", "m", "m:1", "fake-fp32")
OTHER = DeploymentSpec("d2", "default", "e", "m", "m:2", "fake-fp32", role="canary", weight=50)


class Desired:
    """Deployments in memory; what was taken back is no longer wanted."""

    def __init__(self, *specs: DeploymentSpec) -> None:
        self.specs = {spec.deployment_id: spec for spec in specs}
        self.states: dict[str, str] = {}
        self.stats: dict[str, JsonObject] = {}
        self.ended: dict[str, Said] = {}

    def list_deployments(self) -> list[DeploymentSpec]:
        return list(self.specs.values())

    def set_state(self, deployment_id: str, state: str, _reason: Said | None, _replicas: int) -> None:
        self.states[deployment_id] = state

    def set_stats(self, deployment_id: str, stats: JsonObject) -> None:
        self.stats[deployment_id] = stats

    def take_back(self, deployment_id: str, reason: Said, stats: JsonObject) -> None:
        self.ended[deployment_id], self.stats[deployment_id] = reason, stats
        del self.specs[deployment_id]


class World:
    """A reconciler over `desired` and a router that follows its routes."""

    def __init__(self, desired: Desired, folders: Callable[[DeploymentSpec], Path], run_dir: Path, max_latency_ratio: float) -> None:
        self.desired = desired
        self.router = Router()
        self._run_dir = run_dir
        limits = JudgeLimits(min_calls=20, max_latency_ratio=max_latency_ratio)
        steering = SteeringOptions(limits, up_after_s=0.05, down_after_s=0.05)
        self._reconciler = Reconciler(
            desired, materialize=folders, options=WorkerOptions(run_dir=run_dir), poll_s=0.02, steering=steering
        )  # fmt: skip

    async def __aenter__(self) -> World:
        self._tasks = [asyncio.create_task(self._reconciler.run()), asyncio.create_task(self._follow())]
        await until(lambda: set(self.desired.states.values()) == {"ready"} and len(self.desired.states) == len(self.desired.specs))
        await until(lambda: len(self.router._targets) == len(self.desired.specs))
        await until(lambda: all(target.idlest() for target in self.router._targets.values()))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reconciler.stop()
        await self._tasks[0]
        self._tasks[1].cancel()
        await self.router.close()

    async def _follow(self) -> None:
        watcher = RoutesWatcher(self._run_dir)
        while True:
            if (routes := watcher.changed()) is not None:
                self.router.update(routes)
            await asyncio.sleep(0.01)

    async def call(self, text: str = "good") -> str:
        return (await self.router.submit(KEY, Request(text, {}, 20.0))).info.version

    @property
    def replicas(self) -> int:
        return len(self.router.route(KEY).replicas)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "_STEER_S", 0.05)


@pytest.fixture
async def make_world(tmp_path: Path, make_folder: Callable[..., Path]) -> AsyncIterator[Callable[..., World]]:
    def make(*specs: DeploymentSpec, max_latency_ratio: float = 1e6, **fakes: dict[str, object]) -> World:
        folders = {spec.version: make_folder(spec.version, **fakes.get(spec.deployment_id, {})) for spec in specs}
        return World(Desired(*specs), lambda spec: folders[spec.version], tmp_path / "run", max_latency_ratio)

    yield make


async def test_a_canary_that_fails_is_taken_back_and_no_call_was_lost(make_world) -> None:
    async with make_world(LIVE, OTHER, d2={"fail_token": 2}) as world:
        for _ in range(1000):
            assert await world.call() == "m:1"
            if "d2" in world.desired.ended:
                break
        assert world.desired.ended["d2"].code == "trial_errors"
        stats = world.desired.stats["d2"]
        assert stats["trial"]["failed"] >= 4
        assert stats["live"]["failed"] == 0
        await until(lambda: not world.router.route(KEY).trials)
        assert await world.call() == "m:1"


@pytest.mark.parametrize(("role", "weight"), [("shadow", 100), ("canary", 50)])
async def test_a_trial_whose_labels_drift_is_taken_back(make_world, role: str, weight: int) -> None:
    async with make_world(LIVE, replace(OTHER, role=role, weight=weight), d2={"labels": ("positive", "negative")}) as world:
        for _ in range(1000):
            await world.call()
            if "d2" in world.desired.ended:
                break
        assert world.desired.ended["d2"].code == "trial_drift"
        await until(lambda: not world.router.route(KEY).trials)
        assert await world.call() == "m:1"


async def test_a_canary_that_is_slow_is_taken_back(make_world) -> None:
    async with make_world(LIVE, OTHER, max_latency_ratio=2.0, d2={"step_ms": 300}) as world:
        for _ in range(100):
            await asyncio.gather(*(world.call() for _ in range(16)))
            if "d2" in world.desired.ended:
                break
        assert world.desired.ended["d2"].code == "trial_slow"
        await until(lambda: not world.router.route(KEY).trials)
        assert await world.call() == "m:1"


async def test_a_good_canary_goes_on_and_is_promoted_in_place(make_world) -> None:
    async with make_world(LIVE, OTHER) as world:
        answers = [await world.call() for _ in range(100)]
        assert {"m:1", "m:2"} == set(answers)
        assert world.desired.ended == {}
        world.desired.specs = {"d2": replace(OTHER, role="live", weight=0)}
        await until(lambda: world.router.route(KEY).version == "m:2")
        assert [await world.call() for _ in range(5)] == ["m:2"] * 5


async def test_replicas_come_while_engines_are_busy_and_go_again(make_world) -> None:
    async with make_world(replace(LIVE, max_replicas=2), d1={"step_ms": 20}) as world:
        assert world.replicas == 1
        is_over = False

        async def load() -> None:
            while not is_over:
                await world.call()

        callers = [asyncio.create_task(load()) for _ in range(4)]
        await until(lambda: world.replicas == 2)
        is_over = True
        await asyncio.gather(*callers)
        await until(lambda: world.replicas == 1)
        assert await world.call() == "m:1"
