"""Several models in one worker process: what they share, and what they must not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.place import Place
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions, WorkerProcess, link_files
from hanlin.serving.router import Request
from hanlin.serving.workers import Wanted, Workers

pytestmark = pytest.mark.e2e


def spec(number: int, *, team: str = "default", isolation: str = "shared") -> DeploymentSpec:
    return DeploymentSpec(f"d{team}{number}", team, f"e{number}", "m", f"m:{number}", "fake-fp32", isolation=isolation)  # type: ignore[arg-type]


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[LocalPool]:
    folders = {f"m:{n}": tmp_path / "models" / f"m:{n}" for n in range(1, 6)}
    found = LocalPool(WorkerOptions(run_dir=tmp_path / "run", drain_timeout_s=2.0), folders=folders)
    yield found
    await found.drain()
    assert [path.name for path in (tmp_path / "run").iterdir()] == [], "something was left behind"


async def predict(pool: LocalPool, number: int, text: str = "good", *, team: str = "default") -> object:
    result = await pool.submit(team, f"e{number}", Request(text, {}, 60.0))
    assert result.info.version == f"m:{number}"
    return json.loads(result.answer.body)


async def test_models_of_one_team_share_a_process_and_answer_for_themselves(pool: LocalPool, make_folder) -> None:
    for number in (1, 2, 3):
        make_folder(f"m:{number}", labels=(f"no{number}", f"yes{number}"))
        await pool.ensure(spec(number, isolation="own" if number == 3 else "shared"))
    first, second, third = (pool.pids("default", f"e{number}") for number in (1, 2, 3))
    assert first == second != third
    for number in (1, 2, 3):
        answers = await predict(pool, number)
        assert {entry["label"] for entry in answers} == {f"no{number}", f"yes{number}"}  # type: ignore[attr-defined]


async def test_teams_do_not_share(pool: LocalPool, make_folder) -> None:
    make_folder("m:1")
    await pool.ensure(spec(1))
    await pool.ensure(spec(1, team="other"))
    assert pool.pids("default", "e1") != pool.pids("other", "e1")


async def test_one_answers_while_another_loads_and_a_failed_load_harms_nobody(pool: LocalPool, make_folder) -> None:
    make_folder("m:1")
    make_folder("m:2", load_ms=3000)
    make_folder("m:3", fail_load=True)
    await pool.ensure(spec(1))
    loading = asyncio.ensure_future(pool.ensure(spec(2)))
    await asyncio.sleep(0.3)
    await predict(pool, 1)
    assert not loading.done(), "the answer must not wait for the load"
    await loading
    with pytest.raises(EngineFailed):
        await pool.ensure(spec(3))
    await predict(pool, 1)
    await predict(pool, 2)


async def test_a_crash_takes_all_and_they_come_back_together(pool: LocalPool, make_folder) -> None:
    for number in (1, 2):
        make_folder(f"m:{number}", step_ms=60)
        await pool.ensure(spec(number))
    (pid,) = pool.pids("default", "e1")
    calls = [asyncio.ensure_future(predict(pool, 1 + n % 2)) for n in range(20)]
    await asyncio.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*calls)
    async with asyncio.timeout(20):
        while {(), (pid,)} & {pool.pids("default", "e1"), pool.pids("default", "e2")}:
            await asyncio.sleep(0.01)
    assert pool.pids("default", "e1") == pool.pids("default", "e2")


async def test_poison_of_one_model_is_not_blamed_on_the_calls_of_another(pool: LocalPool, make_folder) -> None:
    """Both die with the process; were they tried again side by side, both would look guilty."""
    for number in (1, 2):
        make_folder(f"m:{number}", step_ms=100)
        await pool.ensure(spec(number))
    calls = [predict(pool, 1, "crash"), *(predict(pool, 2, f"w{n}") for n in range(10, 13))]
    poison, *others = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(poison, InvalidInput)
    assert poison.code == "poison_input"
    assert all(isinstance(answer, list) for answer in others)


async def test_a_load_that_is_given_up_leaves_no_model_behind(tmp_path: Path, make_folder) -> None:
    fast, slow = make_folder("m:1"), make_folder("m:2", load_ms=400)
    workers = Workers(WorkerOptions(run_dir=tmp_path / "run"))
    places = [Place(tmp_path / "run") for _ in range(2)]
    kept = await workers.start(Wanted("default", "d1", fast, "fake-fp32", "m:1", "e", "shared"), places[0])
    giving_up = asyncio.ensure_future(workers.start(Wanted("default", "d2", slow, "fake-fp32", "m:2", "e", "shared"), places[1]))
    await asyncio.sleep(0.2)
    giving_up.cancel()
    (shared,) = workers._shared["default"]
    async with asyncio.timeout(10):
        while len(list(shared.process.folder.iterdir())) > 1:
            await asyncio.sleep(0.02)
    assert len(shared.names) == 1
    await kept.stop()
    assert not shared.process.is_alive, "the last one closes the door"
    for place in places:
        place.close()


async def test_a_spare_takes_the_next_model_and_ends_with_its_owner(tmp_path: Path) -> None:
    workers = Workers(WorkerOptions(run_dir=tmp_path / "run"), has_spare=True)
    workers._prepare_spare()
    assert workers._spare is not None
    spare: WorkerProcess = await workers._spare
    assert spare.is_alive
    await workers.close()
    assert not spare.is_alive


def test_linked_files_are_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "artifact" / "variants").mkdir(parents=True)
    (tmp_path / "artifact" / "variants" / "model.onnx").write_bytes(b"weights")
    link_files(tmp_path / "artifact", tmp_path / "here")
    assert (tmp_path / "here" / "variants" / "model.onnx").samefile(tmp_path / "artifact" / "variants" / "model.onnx")
