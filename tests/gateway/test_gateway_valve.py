"""Refusing a flood before it is parsed: who, how many, and that the answer is the usual one."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from hanlin.errors import Overloaded
from hanlin.gateway.http_protocol import strict_protocol
from hanlin.gateway.valve import HEADROOM, MIN_BURST, STRAINED_S, Valve
from hanlin.settings import Settings

ERROR = Overloaded("endpoint_overloaded", retry_after_s=1.0)
DATE = b"date: today\r\n"
ROUTE = "/models/{endpoint}"


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
        self.valve = Valve(lambda request_id, _: self.counted.append(request_id), is_off=lambda: self.is_off, clock=self.clock)
        self.valve.close(b"/models/m", [(b"authorization", b"Bearer a")], ERROR, ROUTE)

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


def test_it_tells_the_trace(world: World) -> None:
    trace, span = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
    answer = world.refused(b"traceparent: 00-%s-%s-01" % (trace, span)) or b""
    assert re.search(rb"\r\ntraceresponse: 00-%s-[0-9a-f]{16}-01\r\n" % trace, answer)
    assert span not in answer
    new = re.search(rb"\r\ntraceresponse: 00-([0-9a-f]{32})-[0-9a-f]{16}-00\r\n", world.refused(b"traceparent: what") or b"")
    assert new
    assert new[1] != trace


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
        head(b"Origin: https://app.example"),
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


@pytest.mark.parametrize(
    ("target", "keys"),
    [
        (b"/models/m?x=1", [b"Bearer b"]),
        (b"/models/%6d", [b"Bearer b"]),
        (b"/models/m", [b"Bearer b" + b" " * 600]),
        (b"/models/m", [b"", b"Bearer b"]),
        (b"/models/m", []),
    ],
)
def test_who_could_come_under_ever_new_names_takes_the_usual_way(world: World, target: bytes, keys: list[bytes]) -> None:
    world.clock.now_s = STRAINED_S
    world.valve.answered(b"/models/m", [(b"authorization", b"Bearer a")])
    headers = [(b"authorization", key) for key in keys]
    world.valve.close(target, headers, ERROR, ROUTE)
    assert not world.valve.is_at_work
    world.valve.answered(target, headers)


def test_the_last_of_two_keys_counts_as_it_does_for_the_gateway(world: World) -> None:
    assert world.refused(b"Authorization: Bearer b") is None
    assert world.refused(key=b"Bearer b\r\nAuthorization: Bearer a") is not None


def test_those_who_have_calmed_down_make_room_for_others(world: World) -> None:
    world.clock.now_s = STRAINED_S - 1e-6
    for number in range(1023):
        world.valve.close(b"/models/m", [(b"authorization", b"Bearer %d" % number)], ERROR, ROUTE)
    world.clock.now_s = STRAINED_S
    world.valve.close(b"/models/m", [(b"authorization", b"Bearer new")], ERROR, ROUTE)
    assert [world.refused(key=b"Bearer %d" % number) is not None for number in (0, 1022)] == [True, True]


def test_a_value_full_of_space_is_read_once(world: World) -> None:
    # Not timed: a pattern that looks for the end of the value anew at each space takes minutes.
    assert world.refused(b"Accept-Language: zh" + b" " * 500_000 + b"x") is not None


async def all_said(tmp_path: Path, sent: bytes) -> bytes:
    """What a server says that turns all of key `a` away, and answers the rest with its path."""
    valve = World().valve

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        while (await receive()).get("more_body"):
            pass
        body = scope["path"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    protocol = strict_protocol(Settings(home=tmp_path), valve)
    config, state = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None), ServerState()
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0)
    async with server, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent)
        said = await reader.read()
        writer.close()
    return said


LAST = b"GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
EMPTY = head().replace(b"content-length: 18\r\n", b"")


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (head() + b" " * 18 + LAST, [200, 200]),  # what came with others takes the usual way
        (EMPTY + LAST, [200, 200]),
        (EMPTY.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n") + LAST, [200, 200]),
    ],
)
async def test_each_of_several_requests_that_come_at_once_is_answered(tmp_path: Path, sent: bytes, statuses: list[int]) -> None:
    said = await all_said(tmp_path, sent)
    assert [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]] == statuses
    assert said.endswith(b"/last")


def test_who_is_refused_for_good_hears_it_from_then_on(world: World) -> None:
    world.valve.open(b"/models/m", [(b"authorization", b"Bearer b")])
    assert world.refused() is not None
    world.valve.open(b"/models/m", [(b"authorization", b"Bearer a")])
    assert world.refused() is None


def test_nobody_is_refused_while_the_gateway_ends(world: World) -> None:
    world.is_off = True
    assert world.refused() is None


def test_it_opens_when_no_worker_has_refused_for_a_while(world: World) -> None:
    world.clock.now_s = STRAINED_S - 0.01
    world.valve.close(b"/models/m", [(b"authorization", b"Bearer a")], ERROR, ROUTE)
    world.clock.now_s = 2 * STRAINED_S - 0.02
    assert any(world.refused() for _ in range(100))
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
            world.valve.close(b"/models/m", [(b"authorization", b"Bearer a")], ERROR, ROUTE)
        passed += tick >= 1000 and world.refused() is None
    assert passed == pytest.approx(1.5 * 1000 * HEADROOM, rel=0.05)


def test_a_pause_is_not_saved_up(world: World) -> None:
    world.clock.now_s = STRAINED_S - 0.01
    assert sum(world.refused() is None for _ in range(100)) == MIN_BURST


@pytest.mark.e2e
async def test_a_flood_is_answered_refused_and_counted(make_stack, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """C057: many times as many callers as are waited for."""
    stack = make_stack(tmp_path / "home", header_timeout_s=30.0, body_timeout_s=30.0)  # a busy machine is slow to send, too
    try:
        await _flood(stack)
    finally:
        stack.close()


class Connection:
    """One caller that asks the same thing again and again, at little cost: a slow flood would be none."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self) -> tuple[int, dict[str, str], dict]:  # type: ignore[type-arg]
        """Status, headers and body of one answer."""
        self.writer.write(head(path=b"/models/sentiment", key=b"Bearer hl_app") + b'{"inputs":"a bad"}')
        line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        return int(line.split()[1]), headers, json.loads(await self.reader.readexactly(int(headers["content-length"])))

    async def insist(self, times: int) -> list[tuple[int, dict[str, str], dict]]:  # type: ignore[type-arg]
        """Ask again as soon as there is an answer."""
        return [await self.ask() for _ in range(times)]


async def _flood(stack) -> None:  # type: ignore[no-untyped-def]
    stack.add_model("m:1", row_ms=5)
    stack.wait_state(stack.deploy("m:1"), "ready")
    address = urlsplit(stack.url)
    callers = [Connection(*await asyncio.open_connection(address.hostname, address.port)) for _ in range(200)]
    await asyncio.gather(*(caller.ask() for caller in callers[:20]))  # the engine's speed is known now
    answers = [answer for found in await asyncio.gather(*(caller.insist(10) for caller in callers)) for answer in found]
    refused = [answer for answer in answers if answer[0] == 429]
    for caller in callers:
        caller.writer.close()
        await caller.writer.wait_closed()
    assert {status for status, _, _ in answers} == {200, 429}
    assert {body["error"]["code"] for _, _, body in refused} == {"endpoint_overloaded"}
    assert all(headers["retry-after"] == "1" for _, headers, _ in refused)
    assert len({headers["x-request-id"] for _, headers, _ in refused}) == len(refused)
    assert len({frozenset(headers) for _, headers, _ in refused}) == 1, "the valve's answers have the headers of the usual ones"
    metrics = httpx.get(f"{stack.url}/metrics", headers={"authorization": "Bearer hl_app"}, timeout=60).text
    counted = [line for line in metrics.splitlines() if line.startswith("hanlin_requests_total") and 'status="429"' in line]
    assert sum(float(line.split()[-1]) for line in counted) == len(refused)
    values = {name.removeprefix("hanlin_worker_"): value for name, value in stack.worker_values().items()}
    assert values["refused_total"] < len(refused), "the valve was never closed"
    assert values["answered_total"] == 20 + len(answers) - len(refused), "who was taken on was answered, and nobody else computed"
    assert [values[name] for name in ("queued_tokens", "queued_calls", "inflight_calls", "failed_total", "cancelled_total")] == [0] * 5
    assert stack.post("good").status_code == 200
