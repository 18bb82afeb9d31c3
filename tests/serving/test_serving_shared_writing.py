"""Adapters of one network that writes in one worker: written side by side, each by its own, counted alone; they come and go meanwhile."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engines.test_engines_shared_writer import adapters_of

from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.errors import HanlinError
from hanlin.generation import GenerationSettings
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request
from hanlin.tasks import TASKS, ModelSpec
from hanlin.tasks.encoding import TextEncoder

TASK = "text-generation"
TEXTS = ["dabc", "zzz", "hello", "dabcd" * 4]
ALIKE = "abcdefgh" * 5  # long enough to be remembered
WAYS = [{"max_new_tokens": 12}, {"max_new_tokens": 7, "details": True}, {"max_new_tokens": 5, "num_beams": 2}]


@pytest.mark.e2e
async def test_one_process_writes_for_all_and_counts_each_alone(tmp_path: Path) -> None:
    folders = {f"m:{number}": folder for number, folder in enumerate(adapters_of("llama", tmp_path))}
    for folder in folders.values():
        ModelSpec(TASK, (), 60, 0, generation=GenerationSettings(stop_ids=(3,))).save(folder)
    pool = LocalPool(WorkerOptions(run_dir=tmp_path / "run", drain_timeout_s=2.0), folders=folders)
    usual = DeploymentSpec("d", "default", "e", "m", "m:1", "torch-fp32", isolation="shared", base="b")

    async def serve(number: int) -> None:
        await pool.ensure(replace(usual, deployment_id=f"d{number}", endpoint=f"e{number}", version=f"m:{number}"))

    async def ask(number: int, text: str, way: dict) -> object:
        return json.loads((await pool.submit("default", f"e{number}", Request(text, way, 30.0))).answer.body)

    def alone(number: int, text: str, way: dict) -> object:
        folder = folders[f"m:{number}"]
        session, _ = trained_session(folder, threads=0)
        return Questioner(session, TASKS.get(TASK), ModelSpec.load(folder), TextEncoder.load(folder)).ask([(text, way)]).answers[0]

    try:
        await asyncio.gather(serve(0), serve(1))
        asked = [(number, text, way) for text in TEXTS for way in WAYS for number in (0, 1)]
        running = [asyncio.create_task(ask(*each)) for each in asked]
        await serve(2)  # while they are written
        assert len({pool.pids("default", f"e{number}") for number in (0, 1, 2)}) == 1
        for each, found in zip(asked, await asyncio.gather(*running), strict=True):
            assert text_of(found) == text_of(alone(*each)), each
        for number in (0, 1, 2, 0, 1, 2):  # alike in all but who is asked
            assert text_of(await ask(number, ALIKE, WAYS[0])) == text_of(alone(number, ALIKE, WAYS[0]))
        values = {name.split("#", maxsplit=1)[0].rsplit("/", maxsplit=1)[-1]: one for name, one in (await pool.stats()).items()}
        assert {name: one["answered_total"] for name, one in values.items()} == {"e0": 14, "e1": 14, "e2": 2}
        assert values["e0"]["rows_total"] == values["e1"]["rows_total"] == 14
        assert all(one["written_tokens_total"] and one["engine_seconds_total"] > 0 for one in values.values())
        assert values["e2"]["tokens_total"] == 2 * len(ALIKE)
        longest = asyncio.create_task(ask(1, "abc", {"max_new_tokens": 60, "min_new_tokens": 60}))
        await asyncio.sleep(0)
        await pool.ensure(replace(usual, deployment_id="d9", endpoint="e0", version="m:2"))  # the first leaves
        assert text_of(await longest) == text_of(alone(1, "abc", {"max_new_tokens": 60, "min_new_tokens": 60}))
        assert text_of(await ask(0, TEXTS[0], WAYS[0])) == text_of(alone(2, TEXTS[0], WAYS[0]))
        with pytest.raises(HanlinError):
            await ask(1, "abc", {"max_new_tokens": 5, "adapter": 1})  # nobody chooses it but by the endpoint
    finally:
        await pool.drain()


def text_of(answer: object) -> object:
    return answer["generated_text"] if isinstance(answer, dict) else answer
