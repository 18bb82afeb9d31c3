"""What the dataplane makes of the parts of a call: unmasked within a window, counted once, accounted for however the call ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from hanlin.errors import EngineFailed
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.ports import Limit, NoMask, Unmasking
from hanlin.serving.poison import PoisonMemory
from hanlin.serving.router import Request, Result
from hanlin.serving.routes import EndpointRoute
from hanlin.serving.wire import Answer, Part, ReplicaInfo
from hanlin.settings import Settings
from hanlin.types import KeyId, Principal, TeamId

CALLER = Principal(TeamId("default"), KeyId("k"), frozenset({"predict"}))
INFO = ReplicaInfo("m:1", "fake-fp32", "text-generation", (), 8, 8, 8, ())
Write = Callable[[Callable[[Part], None]], None]


class Writer:
    """A router whose worker writes what it is told to, then answers, fails, or says no more."""

    def __init__(self, *texts: str, end: Exception | None = None, is_stuck: bool = False) -> None:
        self._texts, self._end, self._is_stuck = texts, end, is_stuck
        self.poison = PoisonMemory()
        self.num_asked = 0

    def route(self, _: str) -> EndpointRoute:
        return SimpleNamespace(cache_ttl_s=60, deployment_id="d", version="m:1", variant="fake-fp32", long_text="refuse")  # type: ignore[return-value]

    async def submit(self, _: str, request: Request) -> Result:
        self.num_asked += 1
        if request.on_part is not None:
            for text in self._texts:
                request.on_part(Part(1, 0, json.dumps(text).encode(), 2))
                await asyncio.sleep(0)
        if self._is_stuck:
            await asyncio.sleep(60)
        if self._end is not None:
            raise self._end
        return Result(Answer(1, b'"whole"', 1, 5, 0.0, 0.0, 0.0, written=2 * len(self._texts)), INFO)


class Accounts:
    def __init__(self) -> None:
        self.records: list[dict[str, object]] = []
        self.settled: list[tuple[int, bool]] = []

    def record(self, principal: Principal, endpoint: str, **told: object) -> None:
        self.records.append(told)

    def limits(self, principal: Principal, endpoint: str) -> Sequence[Limit]:
        return ()

    def reserve(self, principal: Principal, endpoint: str) -> None:
        """Enough for all."""

    def settle(self, principal: Principal, endpoint: str, *, tokens: int, is_answered: bool) -> None:
        self.settled.append((tokens, is_answered))


class Window:
    """Shows «1» as a name, wherever it is cut; fails at a bad word."""

    def __init__(self) -> None:
        self._held = ""
        self._written = 0

    def push(self, part: Part) -> Part | None:
        text = self._held + json.loads(part.body)
        if "bad" in text:
            raise ValueError("it cannot be shown")
        self._written += part.written
        begun = text.rfind("«")
        self._held = text[begun:] if begun >= 0 and "»" not in text[begun:] else ""
        shown = text.removesuffix(self._held).replace("«1»", "李白")
        return self._part(shown) if shown else None

    def end(self) -> Sequence[Part]:
        return [self._part(self._held)] if self._held else []

    def _part(self, text: str) -> Part:
        part, self._written = Part(1, 0, json.dumps(text).encode(), self._written), 0
        return part


class Masked(NoMask):
    def stream(self, principal: Principal, endpoint: str) -> Unmasking | None:
        return Window()


class World:
    def __init__(self, folder: Path, router: Writer, *, is_masked: bool = False) -> None:
        self.accounts = Accounts()
        self.router = router
        settings = Settings(home=folder)
        mask = Masked() if is_masked else None
        self.plane = Dataplane(
            None, settings=settings, router=router, quota=self.accounts, journal=self.accounts, mask=mask  # type: ignore[arg-type]
        )  # fmt: skip
        self.told: list[str] = []

    async def ask(self, *, is_streamed: bool = True) -> bytes:
        def hear(part: Part) -> None:
            self.told.append(json.loads(part.body))

        outcome = await self.plane.predict(
            CALLER, "e", "text", {}, timeout_s=1.0, language="en", request_id="r", on_part=hear if is_streamed else None
        )  # fmt: skip
        return outcome.body


async def test_an_answer_in_parts_is_used_once_and_never_kept(tmp_path: Path) -> None:
    world = World(tmp_path, Writer("a", "b"))
    assert [await world.ask(), await world.ask()] == [b'"whole"'] * 2
    assert world.told == ["a", "b"] * 2
    assert world.router.num_asked == 2
    assert [(record["tokens"], record["written"], record["is_cached"]) for record in world.accounts.records] == [(5, 4, False)] * 2
    assert world.accounts.settled == [(9, True)] * 2
    await world.ask(is_streamed=False)
    assert (world.router.num_asked, world.plane.cache.num_entries) == (3, 1)
    await world.ask(is_streamed=False)
    await world.ask()
    assert world.router.num_asked == 4, "a kept answer is none in parts"


async def test_a_call_that_breaks_or_is_given_up_costs_what_was_told(tmp_path: Path) -> None:
    world = World(tmp_path, Writer("a", "b", end=EngineFailed("stream_broken")))
    with pytest.raises(EngineFailed):
        await world.ask()
    stuck = World(tmp_path, Writer("a", is_stuck=True))
    asking = asyncio.create_task(stuck.ask())
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    for found, written in ((world, 4), (stuck, 2)):
        (record,) = found.accounts.records
        assert (record["written"], record["tokens"], record["items"], record["is_broken"]) == (written, 0, 1, True)
        assert found.accounts.settled == [(written, False)]
        assert found.plane.inflight == 0


async def test_a_call_that_fails_before_its_first_part_costs_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, Writer(end=EngineFailed("worker_died")))
    with pytest.raises(EngineFailed):
        await world.ask()
    assert (world.accounts.records, world.accounts.settled) == ([], [(0, False)])


async def test_what_was_hidden_is_shown_across_parts(tmp_path: Path) -> None:
    world = World(tmp_path, Writer("by «", "1", "» an", "d «2"), is_masked=True)
    await world.ask()
    assert world.told == ["by ", "李白 an", "d ", "«2"]
    assert world.accounts.records[0]["written"] == 8


async def test_a_mask_that_fails_tells_nothing_more_and_fails_the_call(tmp_path: Path) -> None:
    world = World(tmp_path, Writer("good ", "bad", "better"), is_masked=True)
    with pytest.raises(ValueError, match="shown"):
        await world.ask()
    assert world.told == ["good "]
    assert world.accounts.settled == [(2, False)]
