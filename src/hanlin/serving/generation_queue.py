"""Queue and engine of a session that takes rows on while others are being written (continuous batching): each row is admitted as soon as
there is a place for it, told as it comes, and leaves when it ends or nobody wants it any more.

Has the face of `EngineQueue`, and one inside for what cannot be written token by token: targets side by side, and rows that are only read.
Such steps need the engine for themselves: they run when no row is open, and when they have waited for `STEP_WAIT_S`, no further row is
admitted before them; behind each of them rows go first. Belongs to the worker's event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from hanlin.engines.base import StreamingSession
from hanlin.errors import DeadlineExceeded, EngineFailed, HanlinError
from hanlin.generation import FinishReason
from hanlin.serving.answering import Answering, Work
from hanlin.serving.batcher import Batcher
from hanlin.serving.engine_queue import EngineQueue
from hanlin.serving.key_queue import Item
from hanlin.serving.rows import Places, Row, Writing
from hanlin.serving.stepper import Step
from hanlin.serving.turner import Told, Turner
from hanlin.serving.turns import Turns
from hanlin.serving.wire import Call

STEP_WAIT_S = 1.0
AT_ONCE = 8  # tokens of a call that is not streamed, until stop words are looked for: they may be written in vain


class GenerationQueue:
    """Writes the rows of calls. All methods run on the loop; each call that was added ends once, unless it was cancelled.

    Args:
        batcher: what waits for a place.
        steps: what waits for a step.
        pad_id: what fills short rows.
        max_rows: open at once, beside the session's own limit.
        turns: shared by the models of a process.
        clock: monotonic seconds.

    Attributes:
        batcher: as it was given.
        counters: where turns are counted.
        clock: as it was given.
    """

    def __init__(
        self, session: StreamingSession, batcher: Batcher, steps: Batcher, *, pad_id: int, max_rows: int | None = None,
        turns: Turns | None = None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.batcher = batcher
        self.clock = clock
        self._places = Places(min(session.max_rows, max_rows or session.max_rows), session.room_tokens)
        self._loop = asyncio.get_running_loop()
        self._turns = turns or Turns()
        self._has_turn = False
        self._must_go = False  # something was ordered
        self._will_pump = False
        self._calls: dict[int, Writing] = {}
        self._next_row = 0
        self._share_s = 0.0  # see `Row`
        self._steps_since_s = 0.0  # since when steps wait
        self._steps = EngineQueue(session, steps, pad_id=pad_id, turns=self._turns, clock=clock, stepper=self._make_turner)
        self.counters = self._steps.counters

    def _make_turner(self, session: StreamingSession, *, pad_id: int, done: Callable[[Step], None]) -> Turner:
        self._turner = Turner(
            session, pad_id=pad_id, done=done, told=self._hear, may_step=lambda: not self._places.rows, freed=self._after_step
        )  # fmt: skip
        return self._turner

    def admit(self, call: Call) -> None:
        """See `EngineQueue.admit`."""
        self.batcher.admit(key=call.key, lane=call.lane, now_s=self.clock())

    def gauges(self) -> dict[str, float]:
        """What waits and what is open, by name."""
        steps = self._steps.gauges()
        waiting = {"queued_tokens": self.batcher.queued_tokens, "queued_calls": self.batcher.queued_calls}
        return {name: value + steps[name] for name, value in waiting.items()} | self._places.gauges()

    def add(self, number: int, work: Work, *, kind: int) -> None:
        """See `EngineQueue.add`."""
        settings = work.encoded.generation
        if settings is None or any(each.reads or each.num_beams > 1 for each in settings):
            if not self._steps.batcher.queued_calls:
                self._steps_since_s = self.clock()
            self._steps.add(number, work, kind=kind)
            return
        call = work.call
        streams = work.answering.streams(work)
        self.batcher.add(
            number, work.encoded.costs, now_s=work.queued_s, deadline_s=work.deadline_s, key=call.key, lane=call.lane,
            is_suspect=call.is_suspect, kind=kind,
        )  # fmt: skip
        timer = self._loop.call_later(max(0.0, work.deadline_s - self.clock()), self._late, number)
        self._calls[number] = Writing(work, streams, timer, [None] * len(work.encoded.rows))
        work.is_told = True
        work.answering.num_inflight += 1
        self._pump_soon()

    def cancel(self, number: int) -> bool:
        """Drop what waits and what is open of a call. True if it was there."""
        return self._leave(number) is not None or self._steps.cancel(number)

    def close(self) -> None:
        """End the thread and free the model. What was added must have ended."""
        self._turns.forget(self._go)
        self._steps.close()

    def _pump_soon(self) -> None:
        if not self._will_pump:  # once all that happened together is known
            self._will_pump = True
            self._loop.call_soon(self._pump)

    def _pump(self, *, rows_first: bool = False) -> None:
        """Open rows while there are places, and let the engine turn. Steps have their turn when no row is open."""
        self._will_pump = False
        now_s = self.clock()
        if not self._places.rows and not rows_first:
            self._steps.pump()
        while item := self._next_item(now_s):
            self._open_row(item, now_s)
        self._go()

    def _next_item(self, now_s: float) -> Item | None:
        places = self._places
        if not places.has_room or not self._turner.is_idle or self._steps_must_go(now_s):
            return None
        return self.batcher.next_item(now_s, room=places.room_tokens, is_idle=not places.rows, has_batch_room=places.has_batch_room)

    def _steps_must_go(self, now_s: float) -> bool:
        return bool(self._places.rows and self._steps.batcher.queued_calls) and now_s - self._steps_since_s > STEP_WAIT_S

    def _open_row(self, item: Item, now_s: float) -> None:
        call = self._calls[item.call]
        work = call.work
        assert work.encoded.generation is not None, "a row that is written"
        work.started_s = work.started_s or now_s
        self._next_row += 1
        stream = call.streams[item.index] if call.streams else None
        is_batch = work.call.lane == "batch"
        row = call.rows[self._next_row] = Row(self._next_row, item.call, item.index, item.length, stream, self._share_s, is_batch)
        self._places.open(row, is_suspect=work.call.is_suspect)
        work.answering.counters.add_read(len(work.encoded.rows[item.index]))
        self._must_go = True
        self._turner.admit(row.number, work.encoded.rows[item.index], work.encoded.generation[item.index])

    def _close_row(self, row: Row) -> None:
        """Its place is free."""
        self._places.close(row)
        call = self._calls[row.call]
        del call.rows[row.number]
        call.work.answering.charge(len(row.ids), self._share_s - row.share_s)
        self._pump_soon()

    def _drop_row(self, row: Row) -> None:
        self._close_row(row)
        self._must_go = True
        self._turner.drop(row.number)

    def _go(self) -> None:
        """Let the engine turn, when it has something to do and it is our turn."""
        if self._has_turn or not (self._places.rows or self._must_go):
            return
        self._turner.is_paced = self._turns.are_limited
        if self._turner.is_paced and not self._turns.take(self._go):
            return
        self._has_turn, self._must_go = self._turner.is_paced, False
        self._turner.go()

    def _after_step(self) -> None:
        """Rows have their turn behind each step."""
        self._steps_since_s = self.clock()
        self._pump(rows_first=True)

    def _hear(self, told: Sequence[Told]) -> None:
        """The engine has turned: first its free places are filled, then what came is told."""
        touched: dict[int, tuple[Row, FinishReason | None, HanlinError | None]] = {}
        for each in told:
            self._count(each)
            for delta in each.deltas:
                if (row := self._places.rows.get(delta.number)) is not None:  # else it was dropped meanwhile
                    self._take(row, len(delta.ids))
                    row.take(delta)
                    touched[row.number] = (row, delta.finish, delta.error)
                    if delta.finish is not None:
                        self._close_row(row)
        self._pump()
        self._answer(self._advance(row, finish, error) for row, finish, error in touched.values())

    def _count(self, told: Told) -> None:
        if told.is_rest and self._has_turn:
            self._has_turn = False
            self._turns.give_back()
        if told.num_rows:
            self.counters.steps += 1
            self.counters.engine_s += told.seconds
            self._share_s += told.seconds / told.num_rows

    def _take(self, row: Row, count: int) -> None:
        """Count tokens that came for a row."""
        work = self._calls[row.call].work
        counters = work.answering.counters
        if count and not row.ids:
            counters.first_tokens += 1
            counters.first_token_s += self.clock() - work.queued_s + work.encode_s
        counters.written_tokens += count
        work.written += count

    def _answer(self, found: Iterable[Work | None]) -> None:
        """End the calls that miss nothing any more."""
        done: dict[Answering, list[Work]] = {}
        for work in found:
            if work is not None:
                done.setdefault(work.answering, []).append(work)
        for answering, works in done.items():
            answering.answer(works)
        if not self._calls:
            self.check_integrity()

    def _advance(self, row: Row, finish: FinishReason | None, error: HanlinError | None) -> Work | None:
        """Tell what came of a row. Returns its call when that was all of it."""
        if (call := self._calls.get(row.call)) is None:  # another row of it has failed
            return None
        if error is not None or finish == "cancelled":
            self._give_up(row.call, error or EngineFailed("engine_failed", details="a row was cancelled that nobody had dropped"))
            return None
        outlet = call.work.outlet
        if finish is None and outlet is not None and outlet.is_full:
            self._hold(row.call, call)
            return None
        if finish is None and outlet is None and row.num_unpushed < AT_ONCE:
            return None
        try:
            is_ended = call.tell(row, finish)
        except Exception as raised:
            self._give_up(row.call, raised)
            return None
        if is_ended and finish is None:
            self._drop_row(row)
        return self._ended(row, call, "stop" if is_ended else finish) if is_ended or finish else None

    def _hold(self, number: int, call: Writing) -> None:
        """Who is told does not keep up: what is written meanwhile is told in one part."""

        def again() -> None:
            call.is_held = False
            if self._calls.get(number) is call:
                self._answer([self._advance(row, None, None) for row in list(call.rows.values())])

        if not call.is_held and call.work.outlet is not None:
            call.is_held = True
            call.work.outlet.when_free(again)

    def _ended(self, row: Row, call: Writing, finish: FinishReason | None) -> Work | None:
        assert finish is not None, "it has ended"
        work = call.work
        call.written[row.index] = row.generated(finish)
        work.cached += row.num_cached
        work.answering.counters.rows += 1
        self.batcher.observe(row.cost, self._share_s - row.share_s)
        work.num_missing -= 1
        if work.num_missing:
            return None
        self._leave(row.call)
        work.engine_s = self.clock() - work.started_s
        work.found = call.found()
        return work

    def _late(self, number: int) -> None:
        self._give_up(number, DeadlineExceeded("deadline_exceeded"))

    def _give_up(self, number: int, error: Exception) -> None:
        """End a call without an answer."""
        if (work := self._leave(number)) is not None:
            if isinstance(error, DeadlineExceeded):
                work.answering.counters.expired += 1
            work.answering.refuse(work.call, work.reply, error)

    def _leave(self, number: int) -> Work | None:
        """A call, which is ours no longer; its rows neither."""
        if (call := self._calls.get(number)) is None:
            return None
        call.timer.cancel()
        self.batcher.drop(number)
        for row in list(call.rows.values()):
            self._drop_row(row)
        del self._calls[number]
        call.work.answering.num_inflight -= 1
        self._pump_soon()
        return call.work

    def check_integrity(self) -> None:
        """Raises AssertionError when the counts do not add up. For idle moments and tests."""
        self.batcher.check_integrity()
        self._places.check_integrity()
        assert all(row.number in self._calls[row.call].rows for row in self._places.rows.values()), "a row without a call"
