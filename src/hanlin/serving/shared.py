"""Adapters that share a base inside a worker: each has a replica of its own in front, one queue and one engine stand behind all.

A front checks, encodes and answers by its own task, labels and counters; its endpoint has its own socket, keys and limits. The base's
queue mixes the rows of all fronts, in turns between endpoint and key. Belongs to the worker's event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from hanlin.engines.base import Ids, Session
from hanlin.engines.gathering import Found, Outputs
from hanlin.engines.sharing import Seat, SharedSession
from hanlin.serving.answering import Answering, Outlet, Reply, Work
from hanlin.serving.counters import Counters
from hanlin.serving.engine_queue import EngineQueue
from hanlin.serving.filling import Batch
from hanlin.serving.loaded import Loaded
from hanlin.serving.replica import Replica
from hanlin.serving.stepper import Step, Stepper
from hanlin.serving.wire import Call

if TYPE_CHECKING:
    from hanlin.serving.shared_writing import SharedGenerationQueue

_NUMBERS = 2**40  # calls of one front


class SharedStepper(Stepper):
    """Steps whose rows are of several adapters."""

    def forward(self, step: Step, session: Session, arrays: Sequence[Ids]) -> Outputs:
        """See `Stepper.forward`."""
        shared: SharedSession = session  # type: ignore[assignment]  # a shared queue has no other
        return shared.run_rows(step.seats, *arrays, with_tokens=step.with_tokens)


class AdapterAnswering(Answering):
    """Answers with the numbers that are the adapter's own."""

    def __init__(self, loaded: Loaded, counters: Counters, clock: Callable[[], float], seat: Seat) -> None:
        super().__init__(loaded, counters, clock)
        self.seat = seat

    def answer(self, done: Sequence[Work]) -> None:
        """See `Answering.answer`."""
        own: dict[int, dict[str, object]] = {}
        for work in done:
            self.count(work)
            work.found = [None if part is None else self._own(part, own) for part in work.found]
        super().answer(done)

    def _own(self, part: Found, known: dict[int, dict[str, object]]) -> Found:
        """The same row, without what belongs to adapters with more labels. Rows of one step stay rows of one array."""
        outputs, row = part
        if id(outputs) not in known:
            width = self.seat.width
            known[id(outputs)] = {name: values[..., :width] if name == self.seat.output else values for name, values in outputs.items()}
        return known[id(outputs)], row  # type: ignore[return-value]  # arrays, as they were

    def count(self, work: Work) -> None:
        """Count a call's share of the steps: rows and tokens are its own, seconds by rows."""
        assert work.step is not None
        batch, tokens = work.step.batch, sum(map(len, work.encoded.rows))
        self.counters.steps += 1
        self.counters.rows += len(work.found)
        self.counters.tokens += tokens
        self.counters.padded_tokens += max(tokens, batch.width * len(work.found))
        self.counters.engine_s += work.engine_s * min(1.0, len(work.found) / len(batch.items))


class Numbering:
    """What a queue before which several stand knows of them."""

    _num_fronts = 0

    def next_serial(self) -> int:
        """A number for one more front, from 1."""
        self._num_fronts += 1
        return self._num_fronts


class SharedQueue(Numbering, EngineQueue):
    """Queue and engine of a base. Nobody calls it; the fronts before it do."""

    stepper = SharedStepper

    def step_of(self, batch: Batch, held: Sequence[tuple[Work, int]]) -> Step:
        """See `EngineQueue.step_of`."""
        step = super().step_of(batch, held)
        seats = [_seat_of(work) for work, _ in held]
        step.seats, step.types = [seat.number for seat in seats], None
        if any(seat.has_types for seat in seats):  # one text alone is all first text
            step.types = [
                [0] * len(row) if work.encoded.types is None else work.encoded.types[index]
                for (work, index), row in zip(held, step.rows, strict=True)
            ]
        return step


def _seat_of(work: Work) -> Seat:
    assert isinstance(work.answering, AdapterAnswering), "only fronts have the queue"
    return work.answering.seat


class AdapterReplica(Replica):
    """One adapter: what callers meet. Does what `Replica` does, with the base's queue and engine.

    Args:
        leave: called once, when it is closed.

    Attributes:
        seat: its place in the base.
    """

    answering: type[AdapterAnswering] = AdapterAnswering

    def __init__(self, loaded: Loaded, queue: SharedQueue | SharedGenerationQueue, seat: Seat, *, leave: Callable[[], None]) -> None:
        serial = queue.next_serial()
        answering = self.answering(loaded, Counters(), queue.clock, seat)
        super().__init__(loaded, queue, answering=answering, first_number=serial * _NUMBERS, kind=seat.kind, leave=leave)
        self.seat = seat
        self._key = f"{serial}/"

    def submit(self, call: Call, reply: Reply, outlet: Outlet | None = None) -> int:
        """See `Replica.submit`. Endpoints take turns as keys do."""
        return super().submit(msgspec.structs.replace(call, key=f"{self._key}{call.key}"), reply, outlet)
