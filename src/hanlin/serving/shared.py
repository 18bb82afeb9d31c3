"""Adapters that share a base inside a worker: each has a replica of its own in front, one queue and one engine stand behind all.

A front checks, encodes and answers by its own task, labels and counters; its endpoint has its own socket, keys and limits. The base's
queue mixes the rows of all fronts, in turns between endpoint and key. Belongs to the worker's event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from hanlin.engines.gathering import Found
from hanlin.engines.sharing import Seat, SharedSession
from hanlin.serving.answering import Answering, Reply, Work
from hanlin.serving.batcher import Batcher
from hanlin.serving.counters import Counters
from hanlin.serving.encodings import Encodings
from hanlin.serving.filling import Batch
from hanlin.serving.loaded import Loaded
from hanlin.serving.replica import Replica
from hanlin.serving.stepper import Step, Stepper
from hanlin.serving.turns import Turns
from hanlin.serving.watchdog import WATCHDOG
from hanlin.serving.wire import Answer, Call, Refusal
from hanlin.tasks.base import TaskRequest
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.padding import pad

_NUMBERS = 2**40  # calls of one front


class SharedStepper(Stepper):
    """Steps whose rows are of several adapters."""

    def compute(self, step: Step) -> None:
        """See `Stepper.compute`."""
        session: SharedSession = self._session  # type: ignore[assignment]  # `BaseReplica` gives it one
        begun_s = time.perf_counter()
        try:
            with WATCHDOG.watched(step.expected_s):
                arrays = pad(step.rows, self._pad_id, step.types).values()
                step.outputs = session.run_rows(step.seats, *arrays, with_tokens=step.with_tokens)
        except Exception as error:
            step.error = error
        step.seconds = time.perf_counter() - begun_s


class AdapterAnswering(Answering):
    """Answers with the numbers that are the adapter's own."""

    def __init__(self, loaded: Loaded, counters: Counters, clock: Callable[[], float], seat: Seat) -> None:
        super().__init__(loaded, counters, clock)
        self.seat = seat

    def answer(self, done: Sequence[Work]) -> None:
        """See `Answering.answer`."""
        own: dict[int, dict[str, object]] = {}
        for work in done:
            self._count(work)
            work.found = [None if part is None else self._own(part, own) for part in work.found]
        super().answer(done)

    def _own(self, part: Found, known: dict[int, dict[str, object]]) -> Found:
        """The same row, without what belongs to adapters with more labels. Rows of one step stay rows of one array."""
        outputs, row = part
        if id(outputs) not in known:
            width = self.seat.width
            known[id(outputs)] = {name: values[..., :width] if name == self.seat.output else values for name, values in outputs.items()}
        return known[id(outputs)], row  # type: ignore[return-value]  # arrays, as they were

    def _count(self, work: Work) -> None:
        """Its share of the steps: rows and tokens are its own, seconds by rows."""
        assert work.step is not None
        batch, tokens = work.step.batch, sum(map(len, work.encoded.rows))
        self.counters.steps += 1
        self.counters.rows += len(work.found)
        self.counters.tokens += tokens
        self.counters.padded_tokens += max(tokens, batch.width * len(work.found))
        self.counters.engine_s += work.engine_s * min(1.0, len(work.found) / len(batch.items))


class _Together:
    """Hands finished calls to the fronts they came by."""

    def __init__(self) -> None:
        self.counters = Counters()

    def answer(self, done: Sequence[Work]) -> None:
        """See `Answering.answer`."""
        by_front: dict[int, list[Work]] = {}
        for work in done:
            by_front.setdefault(id(work.answering), []).append(work)
        for works in by_front.values():
            works[0].answering.answer(works)


class BaseReplica(Replica):
    """Queue and engine of a base. Nobody calls it; its fronts do."""

    def __init__(
        self, loaded: Loaded, batcher: Batcher, *, turns: Turns | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(loaded, batcher, turns=turns, clock=clock, stepper=SharedStepper)
        self._answering = _Together()  # type: ignore[assignment]  # all that is asked of it here
        self._seats: dict[int, Seat] = {}  # of waiting calls
        self._num_fronts = 0

    @property
    def batcher(self) -> Batcher:
        """The one queue."""
        return self._batcher

    def next_serial(self) -> int:
        """A number for one more front."""
        self._num_fronts += 1
        return self._num_fronts

    def take(
        self, number: int, call: Call, reply: Reply, *, request: TaskRequest, encoded: Encoded, begun_s: float, answering: AdapterAnswering
    ) -> None:
        """Queue a call of a front."""
        self._seats[number] = answering.seat
        try:
            self._enqueue(
                number, call, reply, request=request, encoded=encoded, begun_s=begun_s, answering=answering, kind=answering.seat.kind
            )  # fmt: skip
        except BaseException:
            del self._seats[number]
            raise

    def work_of(self, number: int) -> Work:
        """What is known of a waiting call."""
        return self._work[number]

    def forget(self, number: int) -> None:
        """A call has ended."""
        self._seats.pop(number, None)

    def _start(self, batch: Batch, now_s: float, *, has_turn: bool = True) -> None:
        held = [(self._work[item.call], item.index) for item in batch.items]
        for work, _ in held:
            work.started_s = work.started_s or now_s
        seats = [self._seats[item.call] for item in batch.items]
        rows = [work.encoded.rows[index] for work, index in held]
        types = None
        if any(seat.has_types for seat in seats):  # one text alone is all first text
            types = [
                [0] * len(row) if work.encoded.types is None else work.encoded.types[index]
                for (work, index), row in zip(held, rows, strict=True)
            ]
        step = Step(
            batch, rows, types, self._batcher.step_estimate_s(batch.padded_tokens), has_turn=has_turn,
            with_tokens=any(work.encoded.with_tokens for work, _ in held), seats=[seat.number for seat in seats],
        )  # fmt: skip
        self._run(step)


class AdapterReplica(Replica):
    """One adapter: what callers meet. Does what `Replica` does, with the base's queue and engine.

    Args:
        serial: of this front among all of its base, ever.
        leave: called once, when it is closed.
    """

    def __init__(
        self, loaded: Loaded, base: BaseReplica, seat: Seat, *, serial: int, leave: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._loaded = loaded
        self._base = base
        self._batcher = base.batcher
        self._clock = clock
        self._encodings = Encodings()
        self._next_number = serial * _NUMBERS
        self._is_draining = False
        self._work = {}
        self.counters = Counters()
        self._mine = AdapterAnswering(loaded, self.counters, clock, seat)
        self._answering = self._mine
        self._leave = leave
        self._key = f"{serial}/"

    def submit(self, call: Call, reply: Reply) -> int:
        """See `Replica.submit`. Endpoints take turns as keys do."""
        return super().submit(msgspec.structs.replace(call, key=f"{self._key}{call.key}"), reply)

    def cancel(self, number: int) -> None:
        """See `Replica.cancel`."""
        is_here = self._work.pop(number, None) is not None
        self._base.cancel(number)
        self._base.forget(number)
        if self._encodings.drop(number) or is_here:
            self.counters.cancelled += 1

    def close(self) -> None:
        """End the thread and leave the base. In-flight calls must have ended."""
        self._encodings.close()
        self._leave()

    def _enqueue(
        self, number: int, call: Call, reply: Reply, *, request: TaskRequest, encoded: Encoded, begun_s: float,
        answering: Answering | None = None, kind: int = 0,
    ) -> None:  # fmt: skip
        def ended(frame: Answer | Refusal) -> None:
            self._work.pop(number, None)
            self._base.forget(number)
            reply(frame)

        self._base.take(number, call, ended, request=request, encoded=encoded, begun_s=begun_s, answering=self._mine)
        self._work[number] = self._base.work_of(number)
