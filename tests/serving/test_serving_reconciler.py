"""The reconciler where the disk is full: it must not end, for its workers end with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hanlin.errors import DataCorrupt
from hanlin.serving import reconciler
from hanlin.serving.process import WorkerOptions, WorkerProcess
from hanlin.serving.replicas import DeploymentSpec, ReplicaSet
from hanlin.serving.routes import Routes, load_routes, save_routes


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

    async def start(*_: object, **__: object) -> None:
        """Stands for a worker."""

    monkeypatch.setattr(WorkerProcess, "start", start)
    spec = DeploymentSpec("d1", "default", "e", "m", "m:1", "fake-fp32", 1)
    group = ReplicaSet(spec, materialize=materialize, options=WorkerOptions(run_dir=tmp_path), on_change=lambda: None)
    await group._start_worker()
    with pytest.raises(DataCorrupt):
        await group._start_worker()
    assert verified == ["m:1", "m:1"]
