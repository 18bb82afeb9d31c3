"""One loaded variant inside a worker: task, text encoder, and the engine behind its queue.

`Replica` belongs to the event loop of the worker: the queue, the permits and every call in flight are touched there only. The
engine has threads of its own (`stepper`); while they compute, the loop reads, encodes, answers and refuses. Only a short step
that is all there is to do runs on the loop itself.
(The batcher lives on the loop and not on the engine thread so that a full queue is refused at once, not after the step.)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from hanlin.engines.base import check_tokens, writing
from hanlin.engines.gathering import without_tokens
from hanlin.errors import DeadlineExceeded, Internal, NotReady
from hanlin.generation import FINISH_REASONS
from hanlin.serving.answering import Answering, Reply, Work
from hanlin.serving.batcher import Batcher
from hanlin.serving.counters import Counters
from hanlin.serving.encodings import Encodings
from hanlin.serving.filling import Batch
from hanlin.serving.loaded import Loaded
from hanlin.serving.stepper import Step, Stepper
from hanlin.serving.tokenizer_calls import answer_of_tokenizer, call_content
from hanlin.serving.turns import Turns
from hanlin.serving.watchdog import WATCHDOG
from hanlin.serving.wire import Answer, Call, Report
from hanlin.tasks.base import TaskRequest
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.sequences import FINISHES, SEQUENCES

_SHORT_STEP_S = 0.005  # for which reading and refusing may wait
_INLINE_CHARACTERS = 2000  # shorter requests are encoded on the loop (about 0.2 ms); longer ones on the encoding thread


class Replica:
    """Answers calls. All methods run on the loop; `reply` is called there, exactly once a call unless it was cancelled.

    Args:
        turns: shared by the models of a process.
        clock: monotonic seconds.
        stepper: how its steps are run.
    """

    def __init__(
        self, loaded: Loaded, batcher: Batcher, *, turns: Turns | None = None, clock: Callable[[], float] = time.monotonic,
        stepper: type[Stepper] = Stepper,
    ) -> None:  # fmt: skip
        self._loaded = loaded
        self._batcher = batcher
        self._turns = turns or Turns()
        self._again = self._pump  # one object: it is told apart by it
        self._turns.join(self._again)
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._stepper = stepper(loaded.session, pad_id=loaded.encoder.pad_id, done=self._stepped)
        self._encodings = Encodings()
        self._work: dict[int, Work] = {}
        self._next_number = 0
        self._is_draining = False
        self._will_pump = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self.counters = Counters()
        self._answering = Answering(loaded, self.counters, clock)

    @property
    def num_inflight(self) -> int:
        """Calls taken on and not yet ended."""
        return len(self._work) + len(self._encodings)

    def submit(self, call: Call, reply: Reply) -> int:
        """Take a call on; answers through `reply`, refusals too. Returns the number to `cancel` it by."""
        self._next_number += 1
        number = self._next_number
        self.counters.calls += 1
        begun_s = self._clock()
        try:
            if self._is_draining:
                raise NotReady("worker_draining", retry_after_s=0.1)
            if call.timeout_s <= 0:
                raise DeadlineExceeded("deadline_exceeded")
            if not call.is_suspect:
                self._batcher.admit(key=call.key, lane=call.lane, now_s=begun_s)
            if call.operation != "answer":
                self._ask_tokenizer(number, call, reply)
                return number
            request = self._check(call)
            if sum(map(len, request.texts)) > _INLINE_CHARACTERS:
                self._encode_aside(number, call, reply, request, begun_s)
                return number
            self._enqueue(number, call, reply, request=request, encoded=self._encode(call, request), begun_s=begun_s)
        except Exception as error:
            self._answering.refuse(call, reply, error)
        return number

    def cancel(self, number: int) -> None:
        """The caller has gone: drop what waits. A step that runs is not interrupted, but for the rows of one that writes; its answer is
        dropped."""
        is_here = self._work.pop(number, None) is not None
        self._batcher.drop(number)
        if self._encodings.drop(number) or is_here:
            self.counters.cancelled += 1

    async def drain(self, timeout_s: float) -> bool:
        """Refuse new calls, wait for those in flight. True when all have ended in time."""
        self._is_draining = True
        end_s = self._clock() + timeout_s
        while (self._work or self._encodings) and self._clock() < end_s:
            await asyncio.sleep(0.01)
        return not self._work and not self._encodings

    def values(self) -> dict[str, float]:
        """Gauges and counters by name."""
        return self.counters.values() | {
            "queued_tokens": self._batcher.queued_tokens, "queued_calls": self._batcher.queued_calls, "inflight_calls": len(self._work),
        }  # fmt: skip

    def report(self, number: int) -> Report:
        """All that is counted, as the answer to question `number`."""
        return Report(number, self.values(), dict(self.counters.labels), tuple(self.counters.latency))

    def _ask_tokenizer(self, number: int, call: Call, reply: Reply) -> None:
        """Answer what needs no engine: at once, or beside the loop when it is long."""
        work = partial(answer_of_tokenizer, call, self._loaded, self._clock)

        def done(finished: asyncio.Future[Answer]) -> None:
            try:
                reply(finished.result())
            except Exception as error:
                self._answering.refuse(call, reply, error)

        if len(call.content) > _INLINE_CHARACTERS:
            self._encodings.start(number, call.key, work, done)
        else:
            reply(work())

    def _check(self, call: Call) -> TaskRequest:
        inputs, parameters = call_content(call)
        return self._loaded.task.check(inputs, parameters, limits=self._loaded.limits)

    def _encode(self, call: Call, request: TaskRequest) -> Encoded:
        loaded = self._loaded
        with WATCHDOG.watched():
            return loaded.task.encode(request, loaded.encoder, loaded.spec, long_text=call.long_text, max_windows=loaded.limits.max_items)

    def _encode_aside(self, number: int, call: Call, reply: Reply, request: TaskRequest, begun_s: float) -> None:
        def done(finished: asyncio.Future[Encoded]) -> None:
            try:
                self._enqueue(number, call, reply, request=request, encoded=finished.result(), begun_s=begun_s)
            except Exception as error:
                self._answering.refuse(call, reply, error)

        self._encodings.start(number, call.key, partial(self._encode, call, request), done)

    def _enqueue(
        self, number: int, call: Call, reply: Reply, *, request: TaskRequest, encoded: Encoded, begun_s: float,
        answering: Answering | None = None, kind: int = 0,
    ) -> None:  # fmt: skip
        if encoded.with_tokens:
            check_tokens(self._loaded.variant, has_tokens=self._loaded.session.has_tokens)
        if encoded.generation is not None:
            writing(self._loaded.session, self._loaded.variant)
        now_s = self._clock()
        lengths, deadline_s = encoded.costs, begun_s + call.timeout_s
        self._batcher.add(
            number, lengths, now_s=now_s, deadline_s=deadline_s, key=call.key, lane=call.lane, is_suspect=call.is_suspect,
            kind=kind or encoded.kind,
        )  # fmt: skip
        self._work[number] = Work(
            call, reply, request, encoded, answering or self._answering, now_s, now_s - begun_s, [None] * len(lengths), len(lengths),
            deadline_s,
        )  # fmt: skip
        if not self._stepper.num_idle:
            self._set_timer(now_s)
        elif not self._will_pump:  # once all that arrived together is queued: it makes one batch
            self._will_pump = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Hand each idle stream of the engine a batch; keep the deadline timer right."""
        self._will_pump = False
        now_s = self._clock()
        for number in self._batcher.expire(now_s):
            if work := self._work.pop(number, None):
                work.answering.counters.expired += 1
                work.answering.refuse(work.call, work.reply, DeadlineExceeded("deadline_exceeded"))
        while batch := self._take_batch(now_s):
            self._start(batch, now_s)
        while batch := self._take_ahead(now_s):
            self._start(batch, now_s, has_turn=False)
        self._set_timer(now_s)

    def _take_batch(self, now_s: float) -> Batch | None:
        """The next batch, when a stream is idle, something waits that may run now and it is our turn."""
        stepper = self._stepper
        if not stepper.num_idle or not self._batcher.queued_calls or not self._turns.take(self._again):
            return None
        batch = self._batcher.next_batch(now_s, num_idle=stepper.num_idle, is_idle=stepper.is_idle)
        if batch is None:  # a suspect, which waits until nothing of ours runs
            self._turns.give_back()
        return batch

    def _take_ahead(self, now_s: float) -> Batch | None:
        """A batch for a stream that is at work, to go on with at once: from its end to the next beginning it would wait for this loop."""
        if not self._stepper.has_room_ahead or not self._batcher.is_deep or self._turns.are_shared:
            return None
        return self._batcher.next_batch(now_s, is_idle=False)

    def _start(self, batch: Batch, now_s: float, *, has_turn: bool = True) -> None:
        held = [(self._work[item.call], item.index) for item in batch.items]
        for work, _ in held:
            work.started_s = work.started_s or now_s
        rows = [work.encoded.rows[index] for work, index in held]
        types = [work.encoded.types[index] for work, index in held if work.encoded.types is not None] or None
        expected_s = self._batcher.step_estimate_s(batch.padded_tokens) * self._loaded.session.num_streams  # its share of the speed
        with_tokens = any(work.encoded.with_tokens for work, _ in held)
        step = Step(batch, rows, types, expected_s, has_turn=has_turn, with_tokens=with_tokens)
        step.generation = [work.encoded.generation[index] for work, index in held if work.encoded.generation is not None] or None
        step.is_wanted = lambda row: self._is_wanted(batch.items[row].call)
        self._run(step)

    def _run(self, step: Step) -> None:
        if step.generation is None and 0 < step.expected_s < _SHORT_STEP_S and self._is_all_there_is():
            self._stepper.run_here(step)
        else:
            self._stepper.start(step)

    def _is_wanted(self, number: int) -> bool:
        """Whether a call still waits for its answer, and may. On the engine's thread: it reads only."""
        work = self._work.get(number)
        return work is not None and self._clock() < work.deadline_s

    def _is_all_there_is(self) -> bool:
        """Nothing runs or waits, and there is no other model in the process."""
        return self._stepper.is_idle and not self._batcher.queued_calls and not self._turns.are_shared

    def _set_timer(self, now_s: float) -> None:
        """Look at the deadlines again when the next one passes. A timer that fires too early does no harm, so most calls need none."""
        if (next_s := self._batcher.next_deadline_s()) is None:
            return
        if self._timer is not None:
            if self._timer_s <= next_s:
                return
            self._timer.cancel()
        self._timer_s = next_s
        self._timer = self._loop.call_later(max(0.0, next_s - now_s) + 0.001, self._look_at_deadlines)

    def _look_at_deadlines(self) -> None:
        self._timer = None
        self._pump()

    def _stepped(self, step: Step) -> None:
        if step.has_turn:
            self._turns.give_back()
        self.counters.add_step(step.batch, step.seconds / step.num_beside)
        if step.error is None:  # one that failed tells nothing of the engine's speed
            self._batcher.observe(step.batch.padded_tokens, step.seconds / step.num_beside)
        done: list[Work] = []
        plain = without_tokens(step.outputs) if step.outputs and step.with_tokens else step.outputs
        for row, item in enumerate(step.batch.items):
            work = self._work.get(item.call)
            if work is None:  # cancelled while it ran, or failed by another of its batches
                continue
            if step.outputs is None or plain is None:
                self._batcher.drop(item.call)
                del self._work[item.call]
                work.answering.refuse(work.call, work.reply, step.error or Internal("internal"))
                continue
            if SEQUENCES in step.outputs and not self._took_up(step, row, work):
                self._batcher.drop(item.call)
                del self._work[item.call]
                self.counters.expired += 1
                work.answering.refuse(work.call, work.reply, DeadlineExceeded("deadline_exceeded"))
                continue
            work.found[item.index] = (step.outputs if work.encoded.with_tokens else plain, row)
            work.num_missing -= 1
            if work.step is not step:  # each step counts once, however many of the call's rows it held
                work.step = step
                work.engine_s += step.seconds
            if not work.num_missing:
                del self._work[item.call]
                done.append(work)
        self._pump()  # the engine goes on while the answers are written
        self._answering.answer(done)
        if not self._work:  # idle: the cheapest moment to see that nothing was lost or counted twice
            self._batcher.check_integrity()

    def _took_up(self, step: Step, row: int, work: Work) -> bool:
        """Count what was written for a row; False when it was given up because its deadline passed."""
        assert step.outputs is not None
        work.written += int((step.outputs[SEQUENCES][row] >= 0).sum())
        return FINISH_REASONS[int(step.outputs[FINISHES][row, 0])] != "cancelled"

    def close(self) -> None:
        """End the threads and free the model. In-flight calls must have ended."""
        self._turns.forget(self._again)
        self._stepper.close()
        self._encodings.close()
