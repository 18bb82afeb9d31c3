"""Streamed calls from router to worker and back: real worker processes, the fake engine taking rows on one by one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.serving.test_serving_writing import SPEC, tokenizer

from hanlin.errors import DeadlineExceeded, EngineFailed, InvalidInput
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request, Result
from hanlin.serving.wire import Part
from hanlin.types import JsonValue

pytestmark = pytest.mark.e2e
CRASH = 44


class World:
    """An endpoint whose worker writes rows over and over, a token each `step_ms`."""

    def __init__(self, pool: LocalPool) -> None:
        self.pool = pool

    @property
    def pid(self) -> int:
        return self.pool.pids("default", "e")[0]

    async def values(self) -> dict[str, float]:
        (values,) = (await self.pool.stats()).values()
        return values

    def start(self, text: JsonValue, *, timeout_s: float = 90.0, **parameters: int) -> tuple[asyncio.Task[Result], list[Part]]:
        parts: list[Part] = []
        request = Request(text, dict(parameters), timeout_s, on_part=parts.append)
        return asyncio.create_task(self.pool.submit("default", "e", request)), parts


@contextlib.asynccontextmanager
async def world(tmp_path: Path, environ: dict[str, str], **fake: object) -> AsyncIterator[World]:
    made = tmp_path / "models" / "m:1"
    made.mkdir(parents=True)
    tokenizer().save(str(made / "tokenizer.json"))
    SPEC.save(made)
    behaviour = {"writes": True, "max_rows": 8, "step_ms": 5, "is_endless": True, "crash_token": CRASH, **fake}
    (made / "fake.json").write_text(json.dumps(behaviour))
    pool = LocalPool(WorkerOptions(run_dir=tmp_path / "run", log=tmp_path / "log", environ=environ), folders={"m:1": made})
    try:
        await pool.ensure(DeploymentSpec("d1", "default", "e", "m", "m:1", "fake-fp32"))
        yield World(pool)
    finally:
        await pool.drain()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def told(parts: list[Part], row: int = 0) -> list[int]:
    return [token for part in parts if part.row == row for token in json.loads(part.body)]


async def test_parts_come_before_the_answer_and_are_all_of_it(tmp_path: Path, environ: dict[str, str]) -> None:
    async with world(tmp_path, environ) as found:
        calls = [found.start([f"w{n} w{n + 1}", "w9"], max_new_tokens=10 + n) for n in range(2, 12)]
        for n, (call, parts) in enumerate(calls, 2):
            answer = (await call).answer
            rows = json.loads(answer.body)
            assert [row["ids"] for row in rows] == [told(parts, 0), told(parts, 1)] == [([n + 1, n] * 20)[: 10 + n], [9] * (10 + n)]
            assert answer.written == sum(part.written for part in parts) == 2 * (10 + n)
            assert len(parts) > 4
        assert (await found.values())["written_tokens_total"] == sum(2 * (10 + n) for n in range(2, 12))


async def test_a_worker_that_is_killed_breaks_streams_that_have_begun_and_no_other_call(tmp_path: Path, environ: dict[str, str]) -> None:
    async with world(tmp_path, environ, max_rows=2) as found:
        begun, parts = found.start("w2 w3", max_new_tokens=3000)
        plain = asyncio.create_task(found.pool.submit("default", "e", Request("w4", {"max_new_tokens": 100}, 30.0)))
        waiting, later = found.start("w5 w6", max_new_tokens=3)
        await until(lambda: len(parts) > 3)
        assert not later
        os.kill(found.pid, signal.SIGKILL)
        with pytest.raises(EngineFailed) as caught:
            await begun
        assert caught.value.code == "stream_broken"
        num_told = len(parts)
        assert json.loads((await plain).answer.body)["ids"] == [4] * 100
        assert json.loads((await waiting).answer.body)["ids"] == told(later) == [6, 5, 6]
        assert len(parts) == num_told, "nothing is told of it any more"


async def test_who_gives_up_frees_the_place_at_once_and_who_is_late_too(tmp_path: Path, environ: dict[str, str]) -> None:
    async with world(tmp_path, environ) as found:
        late, late_parts = found.start("w2 w3", timeout_s=0.5, max_new_tokens=5000)
        calls = [found.start("w2 w3", max_new_tokens=2000) for _ in range(20)]
        await until(lambda: sum(bool(parts) for _, parts in calls) >= 7)
        for call, _ in calls:
            call.cancel()
        async with asyncio.timeout(5):  # written to their ends they would take ten seconds
            while (await found.values())["open_rows"] > 1:
                await asyncio.sleep(0.005)
        with pytest.raises(DeadlineExceeded):
            await late
        assert late_parts
        values = await found.values()
        assert (values["open_rows"], values["queued_calls"], values["inflight_calls"]) == (0, 0, 0)
        assert (values["cancelled_total"], values["expired_total"]) == (20, 1)


async def test_an_input_that_kills_amid_its_stream_becomes_poison(tmp_path: Path, environ: dict[str, str]) -> None:
    async with world(tmp_path, environ) as found:
        for _ in range(4):
            call, parts = found.start(f"w{CRASH} w2 w3")
            with pytest.raises(EngineFailed) as broken:
                await call
            assert broken.value.code == "stream_broken"
            assert told(parts) == [3, 2]
        call, parts = found.start(f"w{CRASH} w2 w3")
        with pytest.raises(InvalidInput) as refused:
            await call
        assert refused.value.code == "poison_input"
        assert not parts
        call, _ = found.start("w2 w3", max_new_tokens=2)
        assert json.loads((await call).answer.body)["ids"] == [3, 2]


async def test_a_drain_waits_for_what_is_being_written(tmp_path: Path, environ: dict[str, str]) -> None:
    async with world(tmp_path, environ) as found:
        call, parts = found.start("w2 w3", max_new_tokens=200)
        await until(lambda: parts)
        os.kill(found.pid, signal.SIGTERM)
        assert len(json.loads((await call).answer.body)["ids"]) == 200
        assert len(told(parts)) == 200
