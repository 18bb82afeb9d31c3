"""Endpoints that go, fail, or wait for what cannot come: the router without a worker."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from hanlin.errors import EngineFailed, HanlinError, NotFound, NotReady
from hanlin.serving import full_disk, router
from hanlin.serving.full_disk import FullDisk
from hanlin.serving.router import Request, Router
from hanlin.serving.routes import EndpointRoute, Routes

KEY = "default/e"
CALL = Request("good", {}, 30.0)


def routes(deployment_id: str, state: str = "starting") -> Routes:
    return Routes({KEY: EndpointRoute("m", "m:1", "fake-fp32", state, deployment_id=deployment_id)})


async def test_a_withdrawn_endpoint_is_gone_at_once_and_stale_routes_do_not_bring_it_back() -> None:
    found = Router()
    found.update(routes("d1"))
    waiting = asyncio.create_task(found.submit(KEY, CALL))
    await asyncio.sleep(0)
    found.withdraw(KEY, ["d0", "d1"])
    with pytest.raises(NotFound):
        await waiting
    for stale in ("d1", "d0"):
        found.update(routes(stale))
        with pytest.raises(NotFound):
            found.route(KEY)
    found.update(routes("d2"))
    assert found.route(KEY).deployment_id == "d2", "deployed anew, it is there again"
    await found.close()


async def test_a_withdrawal_that_comes_late_spares_what_was_deployed_since() -> None:
    found = Router()
    found.update(routes("d2"))
    found.withdraw(KEY, ["d1"])
    assert found.route(KEY).deployment_id == "d2"
    await found.close()


async def test_calls_to_a_failed_endpoint_are_told_at_once() -> None:
    found = Router()
    found.update(routes("d1"))
    waiting = asyncio.create_task(found.submit(KEY, CALL))
    await asyncio.sleep(0)
    found.update(routes("d1", "failed"))
    with pytest.raises(EngineFailed) as caught:
        await waiting
    assert caught.value.code == "endpoint_failed"
    await found.close()


async def test_whoever_waits_for_a_replica_that_cannot_come_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "_LOOK_S", 0.01)
    obstacles: list[HanlinError | None] = [None, None, NotReady("storage_full")]
    found = Router(obstacle=lambda: obstacles.pop(0))
    found.update(routes("d1"))
    with pytest.raises(NotReady) as caught:
        await found.submit(KEY, CALL)
    assert (caught.value.code, obstacles) == ("storage_full", [])
    await found.close()


def test_a_full_disk_is_noticed_and_its_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    disk = FullDisk(tmp_path, clock=lambda: now_s)
    assert disk() is None

    def refuse(**_: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(full_disk.tempfile, "TemporaryFile", refuse)
    now_s = 2.0
    told = disk()
    assert told is not None
    assert told.code == "storage_full"
    monkeypatch.undo()
    now_s = 4.0
    assert disk() is None
    assert list(tmp_path.iterdir()) == []
