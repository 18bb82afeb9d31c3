"""Real worker processes with the fake engine: answers, refusals, limits, deaths, poison."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hanlin.errors import DeadlineExceeded, EngineFailed, HanlinError, InvalidInput, NotFound, NotReady, Overloaded
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Folder:
    """Whoever unpickles it makes a folder."""

    path: Path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def spec(version: str = "m:1", *, number: int = 1, replicas: int = 1, variant: str = "fake-fp32") -> DeploymentSpec:
    return DeploymentSpec(f"d{number}", "default", "e", "m", version, variant, replicas)


def ask(inputs: object, *, timeout_s: float = 20.0, key: str = "", **parameters: object) -> Request:
    return Request(inputs, parameters, timeout_s, key)  # type: ignore[arg-type]


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[LocalPool]:
    folders = {f"m:{n}": tmp_path / "models" / f"m:{n}" for n in range(1, 5)}
    found = LocalPool(WorkerOptions(run_dir=tmp_path / "run", max_queue_tokens=200, max_items=32), folders=folders)
    yield found
    await found.drain()


async def predict(pool: LocalPool, inputs: object, **options: object) -> list:
    result = await pool.submit("default", "e", ask(inputs, **options))  # type: ignore[arg-type]
    return json.loads(result.answer.body)


async def until(pool: LocalPool, **values: float) -> None:
    """The one worker tells these values."""
    async with asyncio.timeout(20):
        while not values.items() <= (await pool.stats()).get("default/e#0", {}).items():
            await asyncio.sleep(0.002)


async def test_single_and_list_answer_alike(pool: LocalPool, make_folder) -> None:
    make_folder()
    await pool.ensure(spec())
    texts = ["good", "bad bad", "good " * 20, "w9"]
    alone = [await predict(pool, text) for text in texts]
    assert await predict(pool, texts) == alone
    assert {entry["label"] for entry in alone[0]} == {"negative", "positive"}


async def test_rows_of_one_batch_return_to_their_owners(pool: LocalPool, make_folder) -> None:
    make_folder(step_ms=2)
    await pool.ensure(spec())
    texts = [f"w{n}" for n in range(7, 107)]
    alone = {text: await predict(pool, text) for text in texts[:20]}
    rounds = await asyncio.gather(*(predict(pool, text, key=str(n % 3)) for n, text in enumerate(texts[:20] * 5)))
    assert rounds == [alone[text] for text in texts[:20] * 5]
    stats = (await pool.stats())["default/e#0"]
    assert stats["steps_total"] < stats["calls_total"], "nothing was batched"
    assert stats["inflight_calls"] == stats["queued_tokens"] == 0


async def test_bad_item_names_its_index_and_neighbours_never_notice(pool: LocalPool, make_folder) -> None:
    make_folder(step_ms=5)
    await pool.ensure(spec())
    bad = ["good"] * 7 + [" "] + ["good"] * 3
    answers = await asyncio.gather(*(predict(pool, "good") for _ in range(5)), predict(pool, bad), return_exceptions=True)
    assert isinstance(answers[-1], InvalidInput)
    assert (answers[-1].code, answers[-1].params["index"]) == ("empty_text", 7)
    assert not any(isinstance(answer, Exception) for answer in answers[:-1])


async def test_nan_fails_its_own_call_only(pool: LocalPool, make_folder) -> None:
    """C071."""
    make_folder(step_ms=20)
    await pool.ensure(spec())
    answers = await asyncio.gather(*(predict(pool, text) for text in ["good", "nan", "bad", "w8"]), return_exceptions=True)
    codes = [answer.code if isinstance(answer, HanlinError) else "ok" for answer in answers]
    assert codes == ["ok", "model_output_invalid", "ok", "ok"]


async def test_failed_step_answers_its_batch_and_the_worker_lives(pool: LocalPool, make_folder) -> None:
    make_folder()
    await pool.ensure(spec())
    pid = pool.pids("default", "e")
    with pytest.raises(EngineFailed):
        await predict(pool, "fail")
    assert await predict(pool, "good")
    assert pool.pids("default", "e") == pid


async def test_full_queue_refuses_with_a_time(pool: LocalPool, make_folder) -> None:
    make_folder(step_ms=50)
    await pool.ensure(spec())
    answers = await asyncio.gather(*(predict(pool, "w9 " * 20) for _ in range(60)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert refused
    assert all(error.code == "queue_full" and error.retry_after_s for error in refused)
    assert all(isinstance(answer, Overloaded | list) for answer in answers)


async def test_deadline_passes_while_queued_and_the_worker_never_computes_it(pool: LocalPool, make_folder) -> None:
    make_folder(step_ms=1500)
    await pool.ensure(spec())
    first = asyncio.ensure_future(predict(pool, "good"))
    await until(pool, inflight_calls=1, queued_tokens=0)
    with pytest.raises(DeadlineExceeded):
        await predict(pool, "bad", timeout_s=0.1)
    assert not first.done(), "the refusal must not wait for the step"
    await first
    stats = (await pool.stats())["default/e#0"]
    assert (stats["rows_total"], stats["expired_total"]) == (1, 1)


async def test_cancelled_call_leaves_the_queue(pool: LocalPool, make_folder) -> None:
    make_folder(step_ms=1500)
    await pool.ensure(spec())
    first = asyncio.ensure_future(predict(pool, "good"))
    await until(pool, inflight_calls=1, queued_tokens=0)
    gone = [asyncio.ensure_future(predict(pool, "bad")) for _ in range(5)]
    await until(pool, queued_calls=5)
    for task in gone:
        task.cancel()
    await first
    stats = (await pool.stats())["default/e#0"]
    assert (stats["rows_total"], stats["cancelled_total"], stats["queued_tokens"]) == (1, 5, 0)


async def test_killed_worker_costs_no_answer(pool: LocalPool, make_folder) -> None:
    make_folder(step_ms=3)
    await pool.ensure(spec(replicas=2))
    calls = [asyncio.ensure_future(predict(pool, f"w{7 + n % 50}")) for n in range(40)]
    await asyncio.sleep(0.02)
    os.kill(pool.pids("default", "e")[0], signal.SIGKILL)
    answers = await asyncio.gather(*calls)
    assert all(isinstance(answer, list) for answer in answers)


async def test_only_worker_killed_calls_wait_for_its_successor(pool: LocalPool, make_folder) -> None:
    make_folder(step_ms=200)
    await pool.ensure(spec())
    (pid,) = pool.pids("default", "e")
    calls = [asyncio.ensure_future(predict(pool, "good")) for _ in range(10)]
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    assert all(isinstance(answer, list) for answer in await asyncio.gather(*calls))
    assert pool.pids("default", "e") != (pid,)


async def test_poison_is_found_and_refused_and_others_survive(pool: LocalPool, make_folder) -> None:
    make_folder(step_ms=20)
    await pool.ensure(spec(replicas=2))
    answers = await asyncio.gather(*(predict(pool, "crash" if n == 5 else "good") for n in range(10)), return_exceptions=True)
    poison = answers.pop(5)
    assert isinstance(poison, InvalidInput)
    assert poison.code == "poison_input"
    assert all(isinstance(answer, list) for answer in answers)
    deaths = pool.router.deaths_total
    with pytest.raises(InvalidInput, match="no longer tried"):
        await predict(pool, "crash")
    assert pool.router.deaths_total == deaths


async def test_failing_version_leaves_the_old_one_serving(pool: LocalPool, make_folder) -> None:
    make_folder("m:1")
    make_folder("m:2", fail_load=True)
    make_folder("m:3")
    await pool.ensure(spec("m:1"))
    with pytest.raises(EngineFailed):
        await pool.ensure(spec("m:2", number=2))
    result = await pool.submit("default", "e", ask("good"))
    assert result.info.version == "m:1"
    await pool.ensure(spec("m:3", number=3))
    assert (await pool.submit("default", "e", ask("good"))).info.version == "m:3"


async def test_version_switch_under_load_fails_nothing(pool: LocalPool, make_folder) -> None:
    make_folder("m:1", step_ms=5)
    make_folder("m:2", step_ms=5)
    await pool.ensure(spec("m:1"))
    versions: list[str] = []
    is_over = False

    async def caller() -> None:
        while not is_over:
            versions.append((await pool.submit("default", "e", ask("good"))).info.version)

    callers = [asyncio.ensure_future(caller()) for _ in range(4)]
    await pool.ensure(spec("m:2", number=2))
    async with asyncio.timeout(20):
        while versions.count("m:2") < 20:
            await asyncio.sleep(0.01)
    is_over = True
    await asyncio.gather(*callers)
    switch = versions.index("m:2")
    assert "m:1" in versions
    assert versions[switch + len(callers) :].count("m:1") == 0


async def test_unknown_endpoint_and_none_ready(pool: LocalPool, make_folder) -> None:
    make_folder()
    with pytest.raises(NotFound):
        await predict(pool, "good")
    await pool.ensure(spec())
    await pool._sets["default/e"].stop()
    with pytest.raises(NotReady) as caught:
        await predict(pool, "good", timeout_s=0.2)
    assert caught.value.code == "endpoint_starting"


async def test_stranger_and_garbage_at_the_worker_socket(pool: LocalPool, make_folder, tmp_path: Path) -> None:
    make_folder()
    await pool.ensure(spec())
    (route,) = pool._sets["default/e"].routes
    assert Path(route.socket).stat().st_mode & 0o777 == 0o600
    assert Path(route.socket).parent.stat().st_mode & 0o777 == 0o700
    pickled = pickle.dumps(Folder(tmp_path / "unpickled"))
    framed = len(pickled).to_bytes(4, "big") + pickled
    for hello in (b"GET / HTTP/1.1\r\n\r\n", (2**31).to_bytes(4, "big"), b"\x00\x00\x00\x02\x81\xa0", framed):
        reader, writer = await asyncio.open_unix_connection(route.socket)
        writer.write(hello)
        assert await asyncio.wait_for(reader.read(), 6) == b""
        writer.close()
    assert await predict(pool, "good"), "a stranger must not stop the worker"
    assert not (tmp_path / "unpickled").exists()


async def test_garbage_after_the_handshake_ends_the_worker_not_the_gateway(pool: LocalPool, make_folder, tmp_path: Path) -> None:
    make_folder()
    await pool.ensure(spec())
    pickled = pickle.dumps(Folder(tmp_path / "unpickled"))
    for garbage in ((2**31).to_bytes(4, "big") + b"garbage", len(pickled).to_bytes(4, "big") + pickled):
        await predict(pool, "good")
        (pid,) = pool.pids("default", "e")
        (channel,) = pool.router._targets["default/e"].channels.values()
        assert channel._transport is not None
        channel._transport.write(garbage)
        assert await predict(pool, "good")
        assert pool.pids("default", "e") != (pid,)
    assert not (tmp_path / "unpickled").exists()


async def test_worker_with_a_light_engine_loads_no_torch_and_no_web_framework(pool: LocalPool, make_folder) -> None:
    make_folder()
    await pool.ensure(spec())
    (pid,) = pool.pids("default", "e")
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert not [name for name in ("torch", "transformers", "onnxruntime", "openvino", "pyarrow", "sqlalchemy") if f"/{name}/" in maps]
    assert "token" not in Path(f"/proc/{pid}/cmdline").read_text()
