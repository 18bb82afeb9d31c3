"""A worker of the real vLLM, on its CPU build: whoever of its processes is killed, the next worker answers and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import psutil
import pytest
from tests.engines.vllm_scenes import VOCABULARY, make_folder
from tokenizers import Tokenizer

from hanlin.generation import GenerationSettings
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request
from hanlin.tasks import ModelSpec

pytestmark = [pytest.mark.e2e, pytest.mark.soak]
ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "build" / "clients" / "vllm" / "bin" / "python"
AROUND = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "PYTHONPATH": str(ROOT / "src")}
LOAD_S, PATIENCE_S = 900.0, 60.0
WAY = {"max_new_tokens": 200, "min_new_tokens": 200}


async def test_who_is_killed_is_replaced_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([f"<{number}>" for number in range(VOCABULARY - tokenizer.get_vocab_size())])  # whatever is written is a text
    tokenizer.save(str(folder / "tokenizer.json"))
    ModelSpec("text-generation", (), 250, 0, generation=GenerationSettings(stop_ids=(2,))).save(folder)
    log = tmp_path / "log"
    options = WorkerOptions(tmp_path / "run", pythons={"vllm": PYTHON}, environ=os.environ | AROUND, log=log, drain_timeout_s=10.0)
    pool = LocalPool(options, folders={"m:1": folder})
    seen: set[int] = set()

    async def ask() -> object:
        return json.loads((await pool.submit("default", "e", Request("values", WAY, LOAD_S))).answer.body)["generated_text"]

    def family() -> dict[str, int]:
        (pid,) = pool.pids("default", "e")
        found = {each.name(): each.pid for each in psutil.Process(pid).children(recursive=True)} | {"": pid}
        seen.update(found.values())
        return found

    try:
        await pool.ensure(DeploymentSpec("d", "default", "e", "m", "m:1", "vllm-fp32"))
        text = await ask()
        core = next(pid for name, pid in family().items() if "Engine" in name)
        asked = asyncio.create_task(ask())
        await until_busy(pool)
        os.kill(core, signal.SIGKILL)
        assert await asked == text, "the call went to the next worker"
        assert "vLLM's core has died" in log.read_text()
        worker = family()[""]
        assert len(seen) > 5, "two workers, each with a core and what that computes in"
        asked = asyncio.create_task(ask())
        await until_busy(pool)
        os.kill(worker, signal.SIGKILL)
        assert await asked == text
        family()
    finally:
        await pool.drain()
    for _ in range(int(PATIENCE_S / 0.2)):
        if not any(map(is_alive, seen)):
            break
        await asyncio.sleep(0.2)
    assert [psutil.Process(pid).name() for pid in seen if is_alive(pid)] == []


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until_busy(pool: LocalPool) -> None:
    while not any(values["inflight_calls"] for values in (await pool.stats()).values()):
        await asyncio.sleep(0.01)
