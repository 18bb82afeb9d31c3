"""Refusing a flood before it is parsed: who, how many, and that the answer is the usual one."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import httpx
import pytest

from hanlin.errors import Overloaded
from hanlin.gateway.valve import HEADROOM, MIN_BURST, STRAINED_S, Valve

ERROR = Overloaded("endpoint_overloaded", retry_after_s=1.0)
DATE = b"date: today\r\n"


def head(*lines: bytes, path: bytes = b"/models/m", key: bytes = b"Bearer a") -> bytes:
    given = (b"host: x", b"Authorization: " + key, b"content-type: application/json", b"content-length: 18", *lines)
    return b"POST " + path + b" HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in given) + b"\r\n"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class World:
    def __init__(self) -> None:
        self.clock, self.counted, self.is_off = Clock(), [], False
        self.valve = Valve(self.counted.append, is_off=lambda: self.is_off, clock=self.clock)
        self.valve.close(b"/models/m", [(b"authorization", b"Bearer a")], ERROR)

    def refused(self, *lines: bytes, **options: bytes) -> bytes | None:
        return self.valve.refusal(head(*lines, **options), DATE)


@pytest.fixture
def world() -> World:
    return World()


def test_the_answer_is_whole_and_has_an_id_of_its_own(world: World) -> None:
    answers = [world.refused() for _ in range(2)]
    for answer, request_id in zip(answers, world.counted, strict=True):
        assert answer is not None
        lines, _, body = answer.partition(b"\r\n\r\n")
        status, *headers = lines.decode().split("\r\n")
        named = dict(line.split(": ", 1) for line in headers)
        assert status == "HTTP/1.1 429 Too Many Requests"
        assert (named["date"], named["retry-after"], named["x-request-id"]) == ("today", "1", request_id)
        assert int(named["content-length"]) == len(body)
        error = json.loads(body)["error"]
        assert (error["code"], error["request_id"], error["message"]) == ("endpoint_overloaded", request_id, ERROR.message)
    assert len(set(world.counted)) == 2


def test_it_speaks_the_language_of_each_caller(world: World) -> None:
    answer = world.refused(b"Accept-Language: zh-CN")
    assert answer is not None
    assert ERROR.text("zh") in answer.decode()
    assert b"content-language: zh" in answer
    assert ERROR.text("en") in (world.refused() or b"").decode()


@pytest.mark.parametrize(
    "other",
    [
        head(key=b"Bearer b"),
        head(path=b"/models/n"),
        head(path=b"/models/m?x=1"),
        head().replace(b"POST", b"GET"),
        head().replace(b"HTTP/1.1", b"HTTP/1.0"),
        head(b"X-Request-ID: mine"),
        head(b"connection: close"),
        head(b"expect: 100-continue"),
        head(b"content-encoding: gzip"),
        head(b"x-timeout-s: 5"),
        head().replace(b"application/json", b"text/plain"),
        head().replace(b"Authorization", b"X-Authorization"),
    ],
)
def test_everything_else_takes_the_usual_way(world: World, other: bytes) -> None:
    assert world.valve.refusal(other, DATE) is None
    assert world.valve.refusal(head(b"Connection: keep-alive"), DATE) is not None


def test_nobody_is_refused_while_the_gateway_ends(world: World) -> None:
    world.is_off = True
    assert world.refused() is None


def test_it_opens_when_no_worker_has_refused_for_a_while(world: World) -> None:
    world.clock.now_s = STRAINED_S - 0.01
    world.valve.close(b"/models/m", [(b"authorization", b"Bearer a")], ERROR)
    world.clock.now_s = 2 * STRAINED_S - 0.02
    while world.refused() is None:
        pass
    world.clock.now_s = 2 * STRAINED_S
    assert world.refused() is None
    assert not world.valve.is_at_work


def test_one_who_has_calmed_down_is_forgotten_with_the_next_answer(world: World) -> None:
    world.clock.now_s = STRAINED_S
    world.valve.answered(b"/models/m", [(b"authorization", b"Bearer a")])
    assert not world.valve.is_at_work


def test_a_few_more_pass_than_were_answered_lately(world: World) -> None:
    passed = 0
    for tick in range(4000):  # a second and a half after the first half, 1,000 answers/s
        world.clock.now_s = tick / 2000
        if tick % 2:
            world.valve.answered(b"/models/m", [(b"authorization", b"Bearer a")])
        if tick % 500 == 0:
            world.valve.close(b"/models/m", [(b"authorization", b"Bearer a")], ERROR)
        passed += tick >= 1000 and world.refused() is None
    assert passed == pytest.approx(1.5 * 1000 * HEADROOM, rel=0.05)


def test_a_pause_is_not_saved_up(world: World) -> None:
    world.clock.now_s = STRAINED_S - 0.01
    assert sum(world.refused() is None for _ in range(100)) == MIN_BURST


@pytest.mark.e2e
async def test_a_flood_is_answered_refused_and_counted(own_stack) -> None:  # type: ignore[no-untyped-def]
    own_stack.add_model("m:1", row_ms=20)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    headers = {"authorization": "Bearer hl_app"}
    limits = httpx.Limits(max_connections=300, max_keepalive_connections=300)
    async with httpx.AsyncClient(base_url=own_stack.url, headers=headers, limits=limits, timeout=60) as client:
        ask = lambda: client.post("/models/sentiment", json={"inputs": "good bad"})  # noqa: E731
        await asyncio.gather(*(ask() for _ in range(20)))  # the engine's speed is known now
        answers = [answer for _ in range(3) for answer in await asyncio.gather(*(ask() for _ in range(300)))]
        metrics = (await client.get("/metrics")).text
    found = Counter(answer.status_code for answer in answers)
    assert found.keys() == {200, 429}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.json()["error"]["code"] for answer in refused} == {"endpoint_overloaded"}
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert len({answer.headers["x-request-id"] for answer in refused}) == len(refused)
    assert len({frozenset(answer.headers) for answer in refused}) == 1, "the valve's answers have the headers of the usual ones"
    counted = [line for line in metrics.splitlines() if line.startswith("hanlin_requests_total") and 'status="429"' in line]
    assert sum(float(line.split()[-1]) for line in counted) == found[429]
    assert own_stack.worker_values()["hanlin_worker_refused_total"] < found[429], "the valve was never closed"
