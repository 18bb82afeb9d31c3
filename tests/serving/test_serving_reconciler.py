"""The reconciler where disks are full and bytes rot: it must not end, for its workers end with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hanlin.errors import DataCorrupt, NotReady
from hanlin.messages.said import Said
from hanlin.serving import reconciler, replicas
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.orders import ModelFacts
from hanlin.serving.place import Place
from hanlin.serving.process import WorkerOptions, WorkerProcess
from hanlin.serving.replicas import ReplicaSet
from hanlin.serving.routes import Routes, load_routes, save_routes
from hanlin.serving.workers import Wanted, Workers


class Nothing:
    """Nothing shall be up."""

    def list_deployments(self) -> list[object]:
        return []

    def set_state(self, *_: object) -> None:
        """Never called."""


async def test_a_full_disk_does_not_end_the_reconciler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([OSError(28, "No space left on device")] * 3)

    def save(folder: Path, routes: Routes) -> None:
        if (error := next(failures, None)) is not None:
            raise error
        save_routes(folder, routes)

    monkeypatch.setattr(reconciler, "save_routes", save)
    found = reconciler.Reconciler(Nothing(), materialize=lambda _: tmp_path, options=WorkerOptions(run_dir=tmp_path), poll_s=0.01)  # type: ignore[arg-type]
    running = asyncio.create_task(found.run())
    while load_routes(tmp_path) is None:
        await asyncio.sleep(0.01)
        assert not running.done()
    found.stop()
    await running


async def test_a_workers_artifact_is_verified_at_every_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C087: bytes that rot while a worker runs must not be loaded by its successor."""
    verified: list[str] = []

    def materialize(spec: DeploymentSpec) -> Path:
        verified.append(spec.version)
        if len(verified) > 1:
            raise DataCorrupt("artifact_corrupt", digest="d")
        return tmp_path

    async def start(_: Workers, __: Wanted, place: Place) -> StandInWorker:
        return StandInWorker(place)

    monkeypatch.setattr(Workers, "start", start)
    spec = DeploymentSpec("d1", "default", "e", "m", "m:1", "fake-fp32", 1)
    group = ReplicaSet(spec, materialize=materialize, workers=Workers(WorkerOptions(run_dir=tmp_path)), on_change=lambda: None)
    await group._start_worker(0)
    with pytest.raises(DataCorrupt):
        await group._start_worker(0)
    await group.stop()
    assert verified == ["m:1", "m:1"]


class StandInWorker:
    """A worker that lives until it is told to die."""

    def __init__(self, place: Place) -> None:
        self.route, self.info, self.pid = place.route, None, 1
        self.memory_bytes = 0
        self.facts: ModelFacts | None = None
        self.death = asyncio.Event()

    async def wait(self) -> int:
        await self.death.wait()
        return -9

    async def stop(self) -> None:
        self.death.set()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[StandInWorker]:
    """The workers started so far."""
    found: list[StandInWorker] = []

    async def start(_: Workers, __: Wanted, place: Place) -> StandInWorker:
        found.append(StandInWorker(place))
        return found[-1]

    monkeypatch.setattr(Workers, "start", start)
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def spec(number: int, **options: object) -> DeploymentSpec:
    return DeploymentSpec(f"d{number}", "default", f"e{number}", "m", f"m:{number}", "fake-fp32", **options)  # type: ignore[arg-type]


class Declared:
    """Keeps what it is told; a deployment that has failed is listed as such."""

    def __init__(self, *specs: DeploymentSpec) -> None:
        self.specs = list(specs)
        self.told: list[tuple[str, str, Said | None]] = []

    def list_deployments(self) -> list[DeploymentSpec]:
        return list(self.specs)

    def set_state(self, deployment_id: str, state: str, reason: Said | None, _replicas: int) -> None:
        self.told.append((deployment_id, state, reason))
        if state == "failed":
            self.specs = [replace(item, has_failed=item.has_failed or item.deployment_id == deployment_id) for item in self.specs]


async def test_a_corrupt_artifact_fails_its_own_deployment_with_the_reason(tmp_path: Path, workers: list[StandInWorker]) -> None:
    """C087: a worker dies, and its files are damaged by then."""
    verified: list[str] = []

    def materialize(wanted: DeploymentSpec) -> Path:
        verified.append(wanted.version)
        if verified.count("m:1") > 1 and wanted.version == "m:1":
            raise DataCorrupt("artifact_corrupt", digest="d")
        return tmp_path

    desired = Declared(spec(1), spec(2))
    found = reconciler.Reconciler(desired, materialize=materialize, options=WorkerOptions(run_dir=tmp_path), poll_s=0.01)  # type: ignore[arg-type]
    running = asyncio.create_task(found.run())
    await until(lambda: {item[:2] for item in desired.told} >= {("d1", "ready"), ("d2", "ready")})
    next(worker for worker in workers if worker.route in found._sets["d1"].routes).death.set()
    await until(lambda: ("d1", "failed", Said("artifact_corrupt", {"digest": "d"})) in desired.told)
    await until(lambda: (load_routes(tmp_path) or Routes({})).endpoints["default/e1"].state == "failed")
    assert verified == ["m:1", "m:2", "m:1"], "a damaged artifact is not read again and again"
    assert (load_routes(tmp_path) or Routes({})).endpoints["default/e2"].replicas
    found.stop()
    await running


async def test_a_state_that_cannot_be_written_is_logged_once_until_it_heals(
    tmp_path: Path, workers: list[StandInWorker], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Declared):
        failures = 0
        is_broken = True

        def set_state(self, deployment_id: str, state: str, reason: Said | None, replicas: int) -> None:
            if self.is_broken:
                self.failures += 1
                raise OSError(28, "No space left on device")
            super().set_state(deployment_id, state, reason, replicas)

    desired = Broken(spec(1), spec(2))
    found = reconciler.Reconciler(desired, materialize=lambda _: tmp_path, options=WorkerOptions(run_dir=tmp_path), poll_s=0.01)  # type: ignore[arg-type]
    running = asyncio.create_task(found.run())
    await until(lambda: desired.failures > 10)
    desired.is_broken = False
    await until(lambda: {item[:2] for item in desired.told} >= {("d1", "ready"), ("d2", "ready")})
    assert [record.message for record in caplog.records].count("a deployment's state cannot be written; it is tried again") == 1
    desired.is_broken = True
    workers[0].death.set()
    await until(lambda: "a deployment's state cannot be written; it is tried again" in [item.message for item in caplog.records[1:]])
    found.stop()
    await running


async def test_one_replica_less_of_a_damaged_artifact_leaves_the_other_serving(tmp_path: Path, workers: list[StandInWorker]) -> None:
    is_damaged = False

    def materialize(_: DeploymentSpec) -> Path:
        if is_damaged:
            raise DataCorrupt("artifact_corrupt", digest="d")
        return tmp_path

    group = ReplicaSet(
        spec(1, replicas=2), materialize=materialize, workers=Workers(WorkerOptions(run_dir=tmp_path)), on_change=lambda: None
    )
    group.start()
    await until(lambda: len(group.routes) == 2)
    is_damaged = True
    workers[0].death.set()
    await until(lambda: group.reason is not None)
    assert (group.state, group.reason, len(group.routes)) == ("ready", Said("artifact_corrupt", {"digest": "d"}), 1)
    await group.stop()


async def test_a_deployment_known_to_fail_is_told_and_not_tried(tmp_path: Path, workers: list[StandInWorker]) -> None:
    desired = Declared(spec(1, has_failed=True))
    found = reconciler.Reconciler(desired, materialize=lambda _: tmp_path, options=WorkerOptions(run_dir=tmp_path), poll_s=0.01)  # type: ignore[arg-type]
    running = asyncio.create_task(found.run())
    await until(lambda: (load_routes(tmp_path) or Routes({})).endpoints != {})
    assert (load_routes(tmp_path) or Routes({})).endpoints["default/e1"].state == "failed"
    found.stop()
    await running
    assert (workers, desired.told) == ([], [])


async def test_a_worker_s_successor_listens_at_the_same_place(tmp_path: Path, workers: list[StandInWorker]) -> None:
    """So calls reach it although a full disk lets nobody write where it is."""
    group = ReplicaSet(spec(1), materialize=lambda _: tmp_path, workers=Workers(WorkerOptions(run_dir=tmp_path)), on_change=lambda: None)
    group.start()
    await until(lambda: bool(group.routes))
    workers[0].death.set()
    await until(lambda: len(workers) == 2 and bool(group.routes))
    assert workers[0].route == workers[1].route
    await group.stop()


async def test_sockets_of_workers_long_dead_are_removed_at_the_start(tmp_path: Path) -> None:
    stale, other, folder = tmp_path / "w0123456789ab.sock", tmp_path / "server.json", tmp_path / "w0123456789ac"
    folder.mkdir()
    for path in (stale, other, folder / "model.onnx"):
        path.touch()
    found = reconciler.Reconciler(Declared(), materialize=lambda _: tmp_path, options=WorkerOptions(run_dir=tmp_path))  # type: ignore[arg-type]
    found.stop()
    await found.run()
    assert (stale.exists(), folder.exists(), other.exists()) == (False, False, True)


async def test_a_worker_that_does_not_get_ready_leaves_no_socket(tmp_path: Path) -> None:
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    workers = Workers(WorkerOptions(run_dir=tmp_path / "run", python=Path("/bin/false")))
    group = ReplicaSet(spec(1), materialize=lambda _: artifact, workers=workers, on_change=lambda: None)
    group.start()
    await until(lambda: group.state == "failed")
    assert group.reason == Said("worker_start_died", {"status": 1})
    await group.stop()
    assert list((tmp_path / "run").iterdir()) == []


async def test_a_worker_for_which_the_system_has_no_process_is_tried_again(tmp_path: Path, make_folder) -> None:
    python, artifact = tmp_path / "python", make_folder("m:1")
    workers = Workers(WorkerOptions(run_dir=tmp_path / "run", python=python), has_spare=True)
    never, before = (
        ReplicaSet(spec(number, was_ready=number > 1), materialize=lambda _: artifact, workers=workers, on_change=lambda: None)
        for number in (1, 2)
    )
    never.start()
    await until(lambda: never.state == "failed")
    before.start()
    await until(lambda: before.reason is not None)
    assert (never.reason, before.state) == (Said("worker_not_started", {}), "starting")
    assert [path for path in (tmp_path / "run").iterdir() if path.is_dir()] == []
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    await until(lambda: before.state == "ready")
    await asyncio.gather(never.stop(), before.stop())
    await workers.close()


async def test_workers_that_die_unanswered_wait_for_their_heirs_and_a_good_answer_begins_that_anew(
    tmp_path: Path, workers: list[StandInWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "_BACKOFF_S", (0.0, 0.0, 60.0))
    monkeypatch.setattr(replicas, "_HEALTHY_S", 1e9)
    group = ReplicaSet(spec(1), materialize=lambda _: tmp_path, workers=Workers(WorkerOptions(run_dir=tmp_path)), on_change=lambda: None)
    group.start()
    for number in range(7):
        await until(lambda wanted=number + 1: (len(workers), group.state) == (wanted, "ready"))
        if number < 5:
            workers[-1].facts = ModelFacts(1, 0, 0, 0.0, num_answered=1)
        workers[-1].death.set()
        await until(lambda wanted=number + 1: group.restarts == wanted)
    await asyncio.sleep(0.2)
    assert (len(workers), group.state) == (7, "starting"), "the next one comes in a minute"
    await group.stop()


async def test_a_spare_that_could_not_start_is_no_reason_for_the_next_model(tmp_path: Path, make_folder) -> None:
    async def fail() -> WorkerProcess:
        raise NotReady("storage_full")

    workers = Workers(WorkerOptions(run_dir=tmp_path / "run"))
    workers._spare = asyncio.get_running_loop().create_task(fail())
    group = ReplicaSet(spec(1), materialize=lambda _: make_folder("m:1"), workers=workers, on_change=lambda: None)
    group.start()
    await until(lambda: group.state in {"ready", "failed"})
    assert group.state == "ready"
    await group.stop()
