"""C014: callers of streams who leave at random moments leave nothing behind, and accounts hold each call once."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bench.leaving_clients import free_after_s, held, leave, post
from tests.engines.constraint_forms import END, make_writer
from tests.gateway.stacks import Stack
from tests.gateway.told_world import TELLING, World, until

from hanlin.compression.base import convert
from hanlin.generation import GenerationSettings
from hanlin.tasks.spec import ModelSpec

pytestmark = pytest.mark.e2e


def many_leave(world: World, count: int, draw: random.Random, *, within_s: float = 1.0) -> None:
    """All places are free within a second (`within_s`) of the last one's leaving, and accounts hold each call once: of a whole stream what
    its caller heard, of another at least that."""
    known, booked = len(world.accounts()), len(world.accounts("quota"))
    sizes = [draw.choice([3, 30, 300]) for _ in range(count)]

    def asks(number: int) -> bytes:
        body = {"inputs": "w20 w21 w22", "parameters": {"max_new_tokens": sizes[number]}}
        return post("/tell/e", "hl_app", body, "x-timeout-s: 60", f"x-request-id: caller-{known}-{number}")

    left = asyncio.run(leave(world.stack.port, asks, count, draw, longest_s=2.0))
    assert free_after_s(lambda: world.open_rows == 0) < within_s
    values = world.stack.worker_values()
    assert (values["hanlin_worker_inflight_calls"], values["hanlin_worker_queued_tokens"]) == (0, 0)
    journal, quota = world.accounts()[known:], world.accounts("quota")[booked:]
    by_caller = {str(record["request_id"]): record for record in journal}
    assert len(by_caller) == len(journal), "once each"
    for each in left:
        heard = sum(map(int, re.findall(rb"data: \d+ (\d+) [\[{]", each.said)))
        record = by_caller.get(f"caller-{known}-{each.number}")
        if each.is_whole:
            assert record is not None and (record["written"], "is_broken" in record) == (heard, False)
        assert not heard or (record is not None and int(str(record["written"])) >= heard)
    assert sum("reserved" in entry for entry in quota) == sum("tokens" in entry for entry in quota)
    used = sum(int(str(record["written"])) + int(str(record["tokens"])) for record in journal)
    assert used == sum(int(str(entry["tokens"])) for entry in quota if "tokens" in entry)


def test_many_who_leave_at_random_moments_leave_nothing_behind(make_world) -> None:
    world = make_world({"step_ms": 2}, max_queue_tokens=10**6, max_queue_wait_s=10**6)
    many_leave(world, 200, random.Random(5))
    ends = world.ends()
    assert ends.keys() <= {"done", "gone"}
    journal, quota, values = world.accounts(), world.accounts("quota"), world.stack.worker_values()
    assert sum("is_broken" not in record for record in journal) == ends["done"]
    assert sum("reserved" in entry for entry in quota) == sum(ends.values())
    used = sum(int(str(record["written"])) + int(str(record["tokens"])) for record in journal)
    assert used <= values["hanlin_worker_written_tokens_total"] + values["hanlin_worker_tokens_total"]


@pytest.fixture
def scribe(tmp_path: Path) -> Iterator[World]:
    """A decoder of random weights on the openvino engine, which writes at `e`."""
    stack = Stack(tmp_path / "home", program=TELLING, max_queue_tokens=10**6, max_queue_wait_s=10**6)
    folder = stack.home / "models" / "scribe:1"
    folder.mkdir(parents=True)
    make_writer(folder)
    ModelSpec("text-generation", (), 900, 0, generation=GenerationSettings(max_new_tokens=30, stop_ids=(END,))).save(folder)
    convert(folder, "openvino-fp32", calibration=[])
    stack.wait_state(stack.deploy("scribe:1", "e", variant="openvino-fp32"), "ready")
    until(lambda: stack.client.get("/models/e").json().get("state") == "ready")
    yield World(stack)
    log = stack.gateway_log.read_text()
    stack.close()
    assert "Traceback" not in log, log


def test_they_leave_nothing_behind_on_an_engine_either(scribe: World) -> None:
    """Rounds, so that rows are written beside those that were left. A busy machine is slow: the second is kept to by the bench."""
    draw = random.Random(7)
    for _ in range(2):
        many_leave(scribe, 60, draw, within_s=10.0)
    ends = scribe.ends()
    assert ends.keys() <= {"done", "gone"}
    assert ends["gone"] > 10
    assert ends["done"] > 10
    assert sum("is_broken" not in record for record in scribe.accounts()) == ends["done"]
    whole = scribe.ask("red", max_new_tokens=30)
    assert whole.status == 200
    assert "[DONE]" in whole.text


@pytest.mark.soak
def test_a_thousand_who_leave_again_and_again_leave_nothing_behind(make_world) -> None:
    world = make_world({"step_ms": 2}, max_queue_tokens=10**6, max_queue_wait_s=10**6)
    draw = random.Random(6)
    processes = [psutil.Process(pid) for pid in (world.stack.gateway.pid, *world.stack.worker_pids())]
    sizes = []
    for _ in range(10):
        many_leave(world, 1000, draw)
        sizes.append(held(processes))
    for process in range(len(processes)):
        assert sizes[-1][process][0] < 1.1 * sizes[2][process][0], "memory"
        assert sizes[-1][process][1] <= sizes[2][process][1], "descriptors"
