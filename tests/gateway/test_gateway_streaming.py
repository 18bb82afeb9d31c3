"""The teller of streams by itself: what leaves in which order, whatever call, door and caller do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from hanlin.errors import EngineFailed, HanlinError, NotReady, Overloaded
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.streaming import PING, Running, Streams
from hanlin.serving.wire import Part
from hanlin.settings import Settings

OUTCOME = Outcome(b"[]", "m:1", "fake-fp32", 1, 2, 0, 0, 0, written=3)
Hear = Callable[[Part], None]


class Door:
    """Says what it is asked for; `broken` is the part that it cannot tell."""

    headers = [(b"content-type", b"text/plain"), (b"x-own", b"1")]  # noqa: RUF012

    def __init__(self, broken: int = -1) -> None:
        self._broken = broken
        self.asked: list[str] = []

    def begin(self) -> bytes:
        self.asked.append("begin")
        return b"<"

    def part(self, part: Part) -> bytes:
        self.asked.append("part")
        if part.row == self._broken:
            raise ValueError("no words for it")
        return part.body

    def end(self, outcome: Outcome) -> bytes:
        self.asked.append("end")
        return b"%d>" % outcome.written

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        self.asked.append("fail")
        return f"!{error.code} {request_id} {language}".encode()


class Caller:
    """Reads what is sent; `reads`: whether it does."""

    def __init__(self, door: Door | None = None) -> None:
        self.door = door or Door()
        self.said: list[bytes] = []
        self.starts: list[dict[bytes, bytes]] = []
        self.is_over = False
        self.reads = asyncio.Event()
        self.reads.set()

    async def send(self, message) -> None:  # type: ignore[no-untyped-def]
        assert not self.is_over, "something behind the end"
        if message["type"] == "http.response.start":
            self.starts.append(dict(message["headers"]))
            return
        await self.reads.wait()
        self.said.append(message["body"])
        self.is_over = not message["more_body"]

    def running(self) -> Running:
        return Running(self.door, self.send, lambda: [(b"x-limit", b"9")], "r1", "zh")

    @property
    def text(self) -> bytes:
        assert len(self.starts) == 1
        return b"".join(self.said)


def part(body: bytes, row: int = 0) -> Part:
    return Part(1, row, body, 1)


def streams(**settings: object) -> Streams:
    return Streams(Settings(**settings))  # type: ignore[arg-type]


async def tell(hear: Hear) -> Outcome:
    hear(part(b"a"))
    await asyncio.sleep(0)
    hear(part(b"b"))
    hear(part(b"c"))
    return OUTCOME


async def test_begin_parts_and_end_leave_in_order_behind_one_head() -> None:
    told, caller = streams(), Caller()
    await told.run(caller.running(), tell)
    assert caller.text == b"<abc3>"
    assert caller.is_over
    (head,) = caller.starts
    assert head[b"content-type"] == b"text/plain", "the door's own goes first"
    assert (head[b"cache-control"], head[b"x-own"], head[b"x-limit"]) == (b"no-store", b"1", b"9")
    assert caller.door.asked == ["begin", "part", "part", "part", "end"]
    assert told.ends == {"done": 1}


async def test_an_answer_without_parts_is_told_by_its_end() -> None:
    async def nothing(_: Hear) -> Outcome:
        return OUTCOME

    caller = Caller()
    await streams().run(caller.running(), nothing)
    assert caller.text == b"<3>"


async def test_what_fails_before_the_head_has_left_is_raised_and_nothing_is_said() -> None:
    async def fail(_: Hear) -> Outcome:
        raise Overloaded("endpoint_overloaded", retry_after_s=1.0)

    told, caller = streams(), Caller()
    with pytest.raises(Overloaded):
        await told.run(caller.running(), fail)
    assert (caller.starts, caller.door.asked, told.ends) == ([], [], {"failed": 1})


async def test_what_fails_afterwards_is_told_once_behind_what_came_before(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(hear: Hear) -> Outcome:
        hear(part(b"a"))
        await asyncio.sleep(0.01)
        hear(part(b"b"))
        raise EngineFailed("stream_broken", details="a private word")

    told, caller = streams(), Caller()
    await told.run(caller.running(), fail)
    assert caller.text == b"<ab!stream_broken r1 zh"
    assert caller.is_over
    assert caller.door.asked[-1] == "fail"
    assert told.ends == {"failed": 1}
    assert [record.message for record in caplog.records] == ["stream_broken"]


async def test_a_door_that_fails_ends_its_stream_and_its_call_and_says_nothing_of_why(caplog: pytest.LogCaptureFixture) -> None:
    ends: list[str] = []

    async def go_on(hear: Hear) -> Outcome:
        try:
            hear(part(b"a"))
            await asyncio.sleep(0.01)
            hear(part(b"b", 7))
            await asyncio.sleep(20)
        finally:
            ends.append("over")
        return OUTCOME

    caller = Caller(Door(broken=7))
    with caplog.at_level(logging.ERROR):
        await streams().run(caller.running(), go_on)
    assert caller.text == b"<a!internal r1 zh"
    assert ends == ["over"]
    assert "no words for it" in caplog.text


async def test_who_does_not_read_ends_the_call_at_the_bound_and_hears_why_when_it_reads_again() -> None:
    told, caller, ends = streams(stream_buffer_bytes=1024), Caller(), list[int]()
    sent: list[int] = []

    async def flood(hear: Hear) -> Outcome:
        try:
            while len(sent) < 1000:
                hear(part(b"x" * 100))
                sent.append(100)
                await asyncio.sleep(0)
        finally:
            ends.append(len(sent))
        return OUTCOME

    caller.reads.clear()
    run = asyncio.create_task(told.run(caller.running(), flood))
    async with asyncio.timeout(5):
        while not ends:
            await asyncio.sleep(0.001)
    assert ends[0] < 20, "no more than the bound, and what was on its way"
    caller.reads.set()
    await run
    assert caller.text.endswith(b"!stream_too_slow r1 zh")
    assert caller.text.count(b"x") <= 2 * 1024
    assert told.ends == {"slow": 1}


async def test_silence_is_broken_and_the_first_sign_of_life_brings_the_head() -> None:
    caller = Caller()

    async def slow(hear: Hear) -> Outcome:
        await asyncio.sleep(0.1)
        hear(part(b"a"))
        return OUTCOME

    await streams(stream_ping_s=0.03).run(caller.running(), slow)
    assert caller.said[0] == b"<" + PING
    assert caller.text.replace(PING, b"") == b"<a3>"


async def test_the_end_of_the_server_ends_all_streams_that_are_open_and_those_that_would_be() -> None:
    told, begun, waiting, late = streams(), Caller(), Caller(), Caller()

    async def long(hear: Hear) -> Outcome:
        hear(part(b"a"))
        await asyncio.sleep(20)
        return OUTCOME

    async def silent(_: Hear) -> Outcome:
        await asyncio.sleep(20)
        return OUTCOME

    runs = [asyncio.create_task(told.run(begun.running(), long)), asyncio.create_task(told.run(waiting.running(), silent))]
    await asyncio.sleep(0.02)
    told.end_all()
    found = await asyncio.gather(*runs, return_exceptions=True)
    assert begun.text == b"<a!stream_drained r1 zh"
    assert isinstance(found[1], NotReady), "nothing had left: a plain refusal"
    with pytest.raises(NotReady):
        await told.run(late.running(), silent)
    assert told.ends == {"drained": 3}


async def test_a_caller_who_leaves_ends_the_call_before_the_stream_is_over() -> None:
    told, caller, ends = streams(), Caller(), list[str]()

    async def long(hear: Hear) -> Outcome:
        hear(part(b"a"))
        try:
            await asyncio.sleep(20)
        finally:
            ends.append("over")
        return OUTCOME

    run = asyncio.create_task(told.run(caller.running(), long))
    await asyncio.sleep(0.02)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (ends, caller.is_over, told.ends) == (["over"], False, {"gone": 1})
