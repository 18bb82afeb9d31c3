"""The routes file: replaced whole, noticed by whoever follows it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from hanlin.serving import routes
from hanlin.serving.routes import EndpointRoute, Routes, RoutesWatcher, load_routes, save_routes

ONE = Routes({"default/e": EndpointRoute("m", "m:1", "fake-fp32", "ready")})
TWO = Routes({"default/e": EndpointRoute("m", "m:2", "fake-fp32", "ready")})


def test_what_was_published_is_read_and_damage_is_no_routes(tmp_path: Path) -> None:
    assert load_routes(tmp_path) is None
    save_routes(tmp_path, ONE)
    assert load_routes(tmp_path) == ONE
    (tmp_path / routes.ROUTES_FILE).write_text("{", encoding="utf-8")
    assert load_routes(tmp_path) is None


async def test_a_change_is_told_once(tmp_path: Path) -> None:
    watcher = RoutesWatcher(tmp_path)
    assert watcher.changed() is None
    save_routes(tmp_path, ONE)
    assert watcher.changed() == ONE
    assert watcher.changed() is None
    save_routes(tmp_path, TWO)
    assert watcher.changed() == TWO


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has inotify; elsewhere the watcher looks by time: the other tests")
async def test_the_kernel_wakes_whoever_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_LOOK_ANYWAY_S", 600.0)  # only a notice can end the wait in time
    watcher = RoutesWatcher(tmp_path)
    await watcher.wait()  # the first one begins the watch and asks for a look
    for wanted in (ONE, TWO):
        waiting = asyncio.ensure_future(watcher.wait())
        await asyncio.sleep(0)
        save_routes(tmp_path, wanted)
        await asyncio.wait_for(waiting, 30)
        assert watcher.changed() == wanted
    watcher.close()


async def test_a_folder_that_comes_later_is_found(tmp_path: Path) -> None:
    watcher = RoutesWatcher(tmp_path / "run")
    await watcher.wait()
    save_routes(tmp_path / "run", ONE)
    await watcher.wait()
    assert watcher.changed() == ONE
    watcher.close()
