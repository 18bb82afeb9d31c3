"""The thread of an engine that writes: whatever happens on it, every open row hears of it, and the next one is served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from hanlin.engines.fake import FakeBehaviour, FakeSession
from hanlin.generation import Delta, Generated, GenerationSettings
from hanlin.serving.batcher import Batch
from hanlin.serving.stepper import Step
from hanlin.serving.turner import Told, Turner

BAD_ROW = [9]


class Panic(BaseException):
    """As a library in Rust raises it: no `Exception`."""


class Fragile:
    """Writes one token of every row and ends it; panics where it is told to."""

    num_streams = 1
    step_tokens: int | None = None
    has_tokens = False
    max_rows = 4
    room_tokens: int | None = None
    run = FakeSession(FakeBehaviour()).run

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.panics = False
        self.open_at_steps: list[list[int]] = []

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        if list(row) == BAD_ROW:
            raise Panic("while it was admitted")
        self.rows.append(number)

    def drop(self, number: int) -> None:
        self.rows.remove(number)

    def turn(self) -> list[Delta]:
        rows, self.rows = self.rows, []
        if self.panics:
            raise Panic("amid a turn")
        return [Delta(number, (7,), "stop") for number in rows]

    def generate(
        self, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *, is_wanted: Callable[[int], bool] = lambda row: True
    ) -> list[Generated]:
        self.open_at_steps.append([*self.rows])
        if self.panics:
            raise Panic("amid a step")
        return [Generated((1,), "stop") for _ in rows]

    def close(self) -> None:
        """Nothing to free."""


class Listener:
    """A turner over a session, and what was told."""

    def __init__(self, session: Fragile) -> None:
        self.ends: dict[int, Delta] = {}
        self.steps: list[Step] = []
        self.turner = Turner(
            session, pad_id=0, done=self.steps.append, told=self.hear, may_step=lambda: True, freed=lambda: None
        )  # fmt: skip

    def hear(self, told: Sequence[Told]) -> None:
        self.ends |= {delta.number: delta for each in told for delta in each.deltas if delta.finish}

    async def end_of(self, number: int, row: Sequence[int] = (5,)) -> Delta:
        self.turner.admit(number, row, GenerationSettings())
        self.turner.go()
        await until(lambda: number in self.ends)
        return self.ends[number]

    async def step(self) -> Step:
        step = Step(cast("Batch", type("Alone", (), {"is_alone": False})()), [[1, 2]], None, generation=[GenerationSettings()])
        before = len(self.steps)
        self.turner.start(step)
        await until(lambda: len(self.steps) > before)
        return step


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_panic_is_told_to_the_rows_it_met_and_the_thread_goes_on() -> None:
    session = Fragile()
    listener = Listener(session)
    assert (await listener.end_of(1)).finish == "stop"
    session.panics = True
    met = await listener.end_of(2)
    session.panics = False
    refused = await listener.end_of(3, BAD_ROW)
    for end in (met, refused):
        assert (end.finish, getattr(end.error, "code", "")) == ("cancelled", "engine_failed")
        assert "Panic" in str(getattr(end.error, "details", ""))
    assert (await listener.end_of(4)).finish == "stop"
    listener.turner.close()


async def test_a_panic_amid_a_step_is_the_error_of_the_step() -> None:
    session = Fragile()
    listener = Listener(session)
    session.panics = True
    assert "Panic" in str((await listener.step()).error)
    session.panics = False
    assert (await listener.step()).error is None
    listener.turner.close()


async def test_rows_that_were_dropped_have_left_before_a_step_runs() -> None:
    session = Fragile()
    listener = Listener(session)
    listener.turner.is_paced = True
    session.turn = lambda: [Delta(number, (7,)) for number in session.rows]  # type: ignore[method-assign]  # nothing ends
    listener.turner.admit(1, [5], GenerationSettings())
    listener.turner.go()
    await until(lambda: session.rows == [1])
    listener.turner.drop(1)
    await listener.step()
    assert session.open_at_steps == [[]]
    listener.turner.close()
