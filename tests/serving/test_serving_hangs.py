"""Native code that does not come back, memory without end, a worker that is stopped: seen, ended, replaced; callers are answered."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request

pytestmark = pytest.mark.e2e
BAD = {"hang_token": 10, "hold_token": 11, "memory_token": 12}  # w10, w11, w12


@pytest.fixture
def streams() -> int:
    return 1


@pytest.fixture
async def pool(tmp_path: Path, make_folder, streams: int) -> AsyncIterator[LocalPool]:
    """One endpoint `e` with one worker, whose work may take a second."""
    options = WorkerOptions(run_dir=tmp_path / "run", hang_s=1.0, log=tmp_path / "log", threads=streams)
    found = LocalPool(options, folders={"m:1": make_folder(step_ms=20, streams=streams, **BAD)})
    await found.ensure(DeploymentSpec("d1", "default", "e", "m", "m:1", "fake-fp32"))
    yield found
    await found.drain()


async def predict(pool: LocalPool, text: str) -> list:
    result = await pool.submit("default", "e", Request(text, {}, 60.0))
    return json.loads(result.answer.body)


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("text", ["w10", "w11"])
async def test_a_step_that_never_returns_is_ended_and_its_neighbours_are_answered(pool: LocalPool, tmp_path: Path, text: str) -> None:
    """C060: twice alone, then the input is refused; with Python's lock held or not."""
    (pid,) = pool.pids("default", "e")
    answers = await asyncio.gather(predict(pool, text), *(predict(pool, "good") for _ in range(8)), return_exceptions=True)
    assert isinstance(answers[0], InvalidInput)
    assert answers[0].code == "poison_input"
    assert all(isinstance(answer, list) for answer in answers[1:])
    assert pool.pids("default", "e") != (pid,)
    assert "in _misbehave" in (tmp_path / "log").read_text(), "the log says where it hung"


@pytest.mark.parametrize("streams", [2])
async def test_a_killer_beside_others_is_found_alone_and_they_are_answered(pool: LocalPool) -> None:
    texts = [" ".join(["good"] * length) for length in range(1, 40)]
    answers = await asyncio.gather(predict(pool, "crash"), *(predict(pool, text) for text in texts), return_exceptions=True)
    assert isinstance(answers[0], InvalidInput)
    assert answers[0].code == "poison_input"
    assert all(isinstance(answer, list) for answer in answers[1:]), answers


async def test_a_worker_that_is_stopped_is_silent_and_replaced(pool: LocalPool) -> None:
    (pid,) = pool.pids("default", "e")
    os.kill(pid, signal.SIGSTOP)
    assert isinstance(await predict(pool, "good"), list)
    assert pool.pids("default", "e") != (pid,)


async def test_memory_without_end_is_refused_to_the_call_and_the_worker_lives(pool: LocalPool) -> None:
    (pid,) = pool.pids("default", "e")
    with pytest.raises(EngineFailed) as caught:
        await predict(pool, "w12")
    assert caught.value.code == "engine_failed"
    assert isinstance(await predict(pool, "good"), list)
    assert pool.pids("default", "e") == (pid,)


def run(code: str, limit_s: float = 0.2) -> int:
    prelude = f"import time; from hanlin.serving.watchdog import Watchdog; dog = Watchdog(); dog.start({limit_s})\n"
    return subprocess.run([sys.executable, "-c", prelude + code], check=False, stderr=subprocess.DEVNULL, timeout=60).returncode


def test_watched_work_that_ends_in_time_is_left_alone() -> None:
    assert run("for _ in range(3):\n with dog.watched(): time.sleep(0.4)\ntime.sleep(1.2)", limit_s=1.0) == 0


def test_work_that_is_known_to_be_slow_has_its_time() -> None:
    assert run("with dog.watched(0.15): time.sleep(0.5)") == 0
    assert run("with dog.watched(0.01): time.sleep(60)") == -signal.SIGALRM


def test_of_several_works_the_one_that_began_first_counts() -> None:
    code = "import threading\ndef long():\n with dog.watched(): time.sleep(60)\nthreading.Thread(target=long, daemon=True).start()\n"
    assert run(code + "for _ in range(1000):\n with dog.watched(): time.sleep(0.01)") == -signal.SIGALRM
