"""Queue and engine of one session inside a worker: rows wait, run in batches, and go back to who answers their call.

Belongs to the event loop of the worker: what waits and what runs is touched there only. The engine has threads of its own (`stepper`);
only a short step that is all there is to do runs on the loop itself. Knows nothing of texts and of what an answer looks like.
(The batcher lives on the loop and not on the engine thread so that a full queue is refused at once, not after the step.)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from hanlin.engines.base import Session
from hanlin.engines.gathering import without_tokens
from hanlin.errors import DeadlineExceeded, Internal
from hanlin.generation import FINISH_REASONS
from hanlin.serving.answering import Answering, Work
from hanlin.serving.batcher import Batcher
from hanlin.serving.counters import Counters
from hanlin.serving.filling import Batch
from hanlin.serving.stepper import Step, Stepper
from hanlin.serving.turns import Turns
from hanlin.serving.wire import Call
from hanlin.tasks.sequences import FINISHES, SEQUENCES

_SHORT_STEP_S = 0.005  # for which reading and refusing may wait


class EngineQueue:
    """Runs the rows of calls. All methods run on the loop; each call that was added ends once, unless it was cancelled.

    Args:
        pad_id: what fills short rows.
        turns: shared by the models of a process.
        clock: monotonic seconds.
        stepper: what runs the steps; None: as of the class.

    Attributes:
        batcher: what waits.
        counters: where steps are counted.
        clock: as it was given.
    """

    stepper: type[Stepper] = Stepper  # how its steps are run

    def __init__(
        self, session: Session, batcher: Batcher, *, pad_id: int, turns: Turns | None = None, clock: Callable[[], float] = time.monotonic,
        stepper: Callable[..., Stepper] | None = None,
    ) -> None:  # fmt: skip
        self.batcher = batcher
        self.counters = Counters()
        self.clock = clock
        self._turns = turns or Turns()
        self._turns.join(self.pump)
        self._loop = asyncio.get_running_loop()
        self._stepper = (stepper or self.stepper)(session, pad_id=pad_id, done=self._stepped)
        self._work: dict[int, Work] = {}
        self._will_pump = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0

    def add(self, number: int, work: Work, *, kind: int) -> None:
        """Take a call on; `number` is what it is cancelled by. Only calls of one kind share a step. Raises as `Batcher.add`."""
        call = work.call
        self.batcher.add(
            number, work.encoded.costs, now_s=work.queued_s, deadline_s=work.deadline_s, key=call.key, lane=call.lane,
            is_suspect=call.is_suspect, kind=kind,
        )  # fmt: skip
        self._work[number] = work
        work.answering.num_inflight += 1
        if not self._stepper.num_idle:
            self._set_timer(work.queued_s)
        elif not self._will_pump:  # once all that arrived together is queued: it makes one batch
            self._will_pump = True
            self._loop.call_soon(self.pump)

    def admit(self, call: Call) -> None:
        """Ask before the texts of a call are even looked at. Raises Overloaded."""
        self.batcher.admit(key=call.key, lane=call.lane, now_s=self.clock())

    def gauges(self) -> dict[str, float]:
        """What waits, by name."""
        return {"queued_tokens": self.batcher.queued_tokens, "queued_calls": self.batcher.queued_calls}

    def cancel(self, number: int) -> bool:
        """Drop what waits of a call, and the answer of what runs. True if it was there."""
        self.batcher.drop(number)
        return self._taken(number) is not None

    def close(self) -> None:
        """End the threads and free the model. What was added must have ended."""
        self._turns.forget(self.pump)
        self._stepper.close()

    def _taken(self, number: int) -> Work | None:
        """A call, which is ours no longer."""
        if (work := self._work.pop(number, None)) is not None:
            work.answering.num_inflight -= 1
        return work

    def pump(self) -> None:
        """Hand each idle stream of the engine a batch; keep the deadline timer right."""
        self._will_pump = False
        now_s = self.clock()
        for number in self.batcher.expire(now_s):
            self._give_up(number, DeadlineExceeded("deadline_exceeded"))
        while batch := self._take_batch(now_s):
            self._start(batch, now_s)
        while batch := self._take_ahead(now_s):
            self._start(batch, now_s, has_turn=False)
        self._set_timer(now_s)

    def _give_up(self, number: int, error: Exception) -> None:
        """End a call without an answer."""
        self.batcher.drop(number)
        if (work := self._taken(number)) is not None:
            if isinstance(error, DeadlineExceeded):
                work.answering.counters.expired += 1
            work.answering.refuse(work.call, work.reply, error)

    def _take_batch(self, now_s: float) -> Batch | None:
        """The next batch, when a stream is idle, something waits that may run now and it is our turn."""
        stepper = self._stepper
        if not stepper.num_idle or not self.batcher.queued_calls or not self._turns.take(self.pump):
            return None
        batch = self.batcher.next_batch(now_s, num_idle=stepper.num_idle, is_idle=stepper.is_idle)
        if batch is None:  # a suspect, which waits until nothing of ours runs
            self._turns.give_back()
        return batch

    def _take_ahead(self, now_s: float) -> Batch | None:
        """A batch for a stream that is at work, to go on with at once: from its end to the next beginning it would wait for this loop."""
        if not self._stepper.has_room_ahead or not self.batcher.is_deep or self._turns.are_shared:
            return None
        return self.batcher.next_batch(now_s, is_idle=False)

    def _start(self, batch: Batch, now_s: float, *, has_turn: bool = True) -> None:
        held = [(self._work[item.call], item.index) for item in batch.items]
        for work, _ in held:
            work.started_s = work.started_s or now_s
        step = self.step_of(batch, held)
        step.has_turn = has_turn
        step.expected_s = self.batcher.step_estimate_s(batch.padded_tokens) * self._stepper.num_streams  # its share of the speed
        step.is_wanted = lambda row: self._is_wanted(batch.items[row].call)
        if step.generation is None and 0 < step.expected_s < _SHORT_STEP_S and self._is_all_there_is():
            self._stepper.run_here(step)
        else:
            self._stepper.start(step)

    def step_of(self, batch: Batch, held: Sequence[tuple[Work, int]]) -> Step:
        """The rows of a batch as the engine takes them; `held` are their calls and places in these."""
        return Step(
            batch,
            [work.encoded.rows[index] for work, index in held],
            [work.encoded.types[index] for work, index in held if work.encoded.types is not None] or None,
            with_tokens=any(work.encoded.with_tokens for work, _ in held),
            generation=[work.encoded.generation[index] for work, index in held if work.encoded.generation is not None] or None,
        )

    def _is_wanted(self, number: int) -> bool:
        """Whether a call still waits for its answer, and may. On the engine's thread: it reads only."""
        work = self._work.get(number)
        return work is not None and self.clock() < work.deadline_s

    def _is_all_there_is(self) -> bool:
        """Nothing runs or waits, and there is no other model in the process."""
        return self._stepper.is_idle and not self.batcher.queued_calls and not self._turns.are_shared

    def _set_timer(self, now_s: float) -> None:
        """Look at the deadlines again when the next one passes. A timer that fires too early does no harm, so most calls need none."""
        if (next_s := self.batcher.next_deadline_s()) is None:
            return
        if self._timer is not None:
            if self._timer_s <= next_s:
                return
            self._timer.cancel()
        self._timer_s = next_s
        self._timer = self._loop.call_later(max(0.0, next_s - now_s) + 0.001, self._look_at_deadlines)

    def _look_at_deadlines(self) -> None:
        self._timer = None
        self.pump()

    def _stepped(self, step: Step) -> None:
        if step.has_turn:
            self._turns.give_back()
        self.counters.add_step(step.batch, step.seconds / step.num_beside)  # before the answer: who has it may ask for the figures
        done = self._sort_out(step)
        if self.batcher.queued_calls:  # the engine goes on while the answers are written
            self._learn(step)
            self._answer(done)
        else:  # there is nothing to go on with: uvloop sends what is written at the end of a turn, so all else is for the next one
            self._answer(done)
            self._loop.call_soon(self._learn, step)

    def _learn(self, step: Step) -> None:
        """What is not for those who wait for this step: learn from it, and look what is next."""
        if step.error is None:  # one that failed tells nothing of the engine's speed
            self.batcher.observe(step.batch.padded_tokens, step.seconds / step.num_beside)
        self.pump()
        if not self._work:  # idle: the cheapest moment to see that nothing was lost or counted twice
            self.batcher.check_integrity()

    def _answer(self, done: dict[Answering, list[Work]]) -> None:
        for answering, works in done.items():
            answering.answer(works)

    def _sort_out(self, step: Step) -> dict[Answering, list[Work]]:
        """Give each row of a step to its call. Returns the calls that miss none any more, by who answers them."""
        done: dict[Answering, list[Work]] = {}
        now_s = self.clock()
        plain = without_tokens(step.outputs) if step.outputs and step.with_tokens else step.outputs
        for row, item in enumerate(step.batch.items):
            work = self._work.get(item.call)
            if work is None:  # cancelled while it ran, or failed by another of its batches
                continue
            if step.outputs is None or plain is None:
                self._give_up(item.call, step.error or Internal("internal"))
                continue
            is_cut = SEQUENCES in step.outputs and not _took_up(step, row, work)
            if is_cut or now_s >= work.deadline_s:  # what is ready too late is no answer
                self._give_up(item.call, DeadlineExceeded("deadline_exceeded"))
                continue
            work.found[item.index] = (step.outputs if work.encoded.with_tokens else plain, row)
            work.num_missing -= 1
            if work.step is not step:  # each step counts once, however many of the call's rows it held
                work.step = step
                work.engine_s += step.seconds
            if not work.num_missing:
                self._taken(item.call)
                done.setdefault(work.answering, []).append(work)
        return done


def _took_up(step: Step, row: int, work: Work) -> bool:
    """Count what was written for a row; False when it was given up because its deadline passed."""
    assert step.outputs is not None
    written = int((step.outputs[SEQUENCES][row] >= 0).sum())
    work.written += written
    work.answering.counters.written_tokens += written
    return FINISH_REASONS[int(step.outputs[FINISHES][row, 0])] != "cancelled"
