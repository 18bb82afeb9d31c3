"""Endpoints that sleep, called over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import pytest

pytestmark = pytest.mark.e2e
AUTH = {"authorization": "Bearer hl_app"}


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "in vain"
        time.sleep(0.05)


def states(stack, number: str) -> list[object]:
    return [state for _, state, _, _ in stack.states(number)]


async def test_a_hundred_calls_wake_a_cold_endpoint_once_and_it_sleeps_again(own_stack) -> None:
    """C069."""
    own_stack.add_model("cold:1", load_ms=500)
    number = own_stack.deploy("cold:1", "cold", min_replicas=0, idle_s=3.0, was_ready=True)
    await asyncio.to_thread(wait_for, lambda: states(own_stack, number) == ["asleep"])
    async with httpx.AsyncClient(base_url=own_stack.url, headers=AUTH, timeout=60, limits=httpx.Limits(max_connections=100)) as client:
        answers = await asyncio.gather(*(client.post("/models/cold", json={"inputs": "good"}) for _ in range(100)))
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["x-hanlin-model"] for answer in answers} == {"cold:1 fake-fp32"}
        assert states(own_stack, number).count("ready") == 1
        await asyncio.to_thread(wait_for, lambda: states(own_stack, number)[-1] == "asleep")
        assert (await client.get("/models/cold")).status_code == 200, "it can be asked about while it sleeps"
        assert (await client.post("/models/cold", json={"inputs": "good"})).status_code == 200


async def test_a_door_learns_the_task_of_a_sleeper_when_it_answers(own_stack) -> None:
    """What an endpoint does that was never awake is known to nobody before: its answer must not leave in another task's shape."""
    own_stack.add_model("cold:1", load_ms=100)
    number = own_stack.deploy("cold:1", "cold", min_replicas=0, idle_s=60.0, was_ready=True)
    await asyncio.to_thread(wait_for, lambda: states(own_stack, number) == ["asleep"])
    async with httpx.AsyncClient(base_url=own_stack.url, headers=AUTH, timeout=60) as client:
        assert (await client.get("/tei/cold/health")).status_code == 200, "a call would wake it"
        assert (await client.get("/v1/models")).json()["data"][0]["id"] == "cold"
        for _ in range(2):  # first asleep, then awake
            answer = await client.post("/tei/cold/embed", json={"inputs": ["good"], "normalize": False})
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "endpoint_has_other_task")
        assert states(own_stack, number)[-1] == "ready"
