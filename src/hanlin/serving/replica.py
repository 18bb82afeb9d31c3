"""One loaded variant inside a worker: task and text encoder, before the queue of its engine.

`Replica` belongs to the event loop of the worker: every call in flight is touched there only. While the engine computes, the loop reads,
encodes, answers and refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from hanlin.engines.base import check_tokens, writing
from hanlin.errors import DeadlineExceeded, InvalidInput, NotReady
from hanlin.serving.answering import Answering, Outlet, Reply, Work
from hanlin.serving.encodings import Encodings
from hanlin.serving.engine_queue import EngineQueue
from hanlin.serving.generation_queue import GenerationQueue
from hanlin.serving.loaded import Loaded
from hanlin.serving.tokenizer_calls import answer_of_tokenizer, call_content
from hanlin.serving.watchdog import WATCHDOG
from hanlin.serving.wire import Answer, Call, Report
from hanlin.tasks.base import StreamingTask, TaskRequest
from hanlin.tasks.encoded import Encoded

_INLINE_CHARACTERS = 2000  # shorter requests are encoded on the loop (about 0.2 ms); longer ones on the encoding thread


class Replica:
    """Answers calls. All methods run on the loop; `reply` is called there, exactly once a call unless it was cancelled.

    Args:
        queue: where rows wait for the engine.
        answering: how calls end; by the queue's counters where none is given.
        first_number: below those of its calls; replicas before one queue have numbers far apart.
        kind: of all its rows; 0: as they are encoded.
        leave: called once, when it is closed; None: the queue is closed.

    Attributes:
        queue: as it was given.
        counters: of its calls.
    """

    def __init__(
        self, loaded: Loaded, queue: EngineQueue | GenerationQueue, *, answering: Answering | None = None, first_number: int = 0,
        kind: int = 0, leave: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self._loaded = loaded
        self.queue = queue
        self._clock = queue.clock
        self._answering = answering or Answering(loaded, queue.counters, queue.clock)
        self.counters = self._answering.counters
        self._kind = kind
        self._leave = leave or queue.close
        self._encodings = Encodings()
        self._next_number = first_number
        self._is_draining = False

    @property
    def num_inflight(self) -> int:
        """Calls taken on and not yet ended."""
        return self._answering.num_inflight + len(self._encodings)

    def submit(self, call: Call, reply: Reply, outlet: Outlet | None = None) -> int:
        """Take a call on; answers through `reply`, refusals too; parts of a streamed one go to `outlet` before. Returns the number to
        `cancel` it by."""
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
                self.queue.admit(call)
            if call.operation != "answer":
                self._ask_tokenizer(number, call, reply)
                return number
            if outlet is not None and not isinstance(self._loaded.task, StreamingTask):
                raise InvalidInput("streaming_not_served", task=self._loaded.spec.task)
            request = self._check(call)
            if sum(map(len, request.texts)) > _INLINE_CHARACTERS:
                self._encode_aside(number, call, reply, outlet, request=request, begun_s=begun_s)
                return number
            self._enqueue(number, call, reply, outlet, request=request, encoded=self.encode(call, request), begun_s=begun_s)
        except Exception as error:
            self._answering.refuse(call, reply, error)
        return number

    def cancel(self, number: int) -> None:
        """The caller has gone: drop what waits. A step that runs is not interrupted, but for the rows of one that writes; its answer is
        dropped."""
        is_here = self.queue.cancel(number)
        if self._encodings.drop(number) or is_here:
            self.counters.cancelled += 1

    async def drain(self, timeout_s: float) -> bool:
        """Refuse new calls, wait for those in flight. True when all have ended in time."""
        self._is_draining = True
        end_s = self._clock() + timeout_s
        while self.num_inflight and self._clock() < end_s:
            await asyncio.sleep(0.01)
        return not self.num_inflight

    def values(self) -> dict[str, float]:
        """Gauges and counters by name."""
        return self.counters.values() | self.queue.gauges() | {"inflight_calls": self._answering.num_inflight}

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

    def encode(self, call: Call, request: TaskRequest) -> Encoded:
        """What becomes of its texts. On the loop or the encoding thread. Raises as the task."""
        loaded = self._loaded
        with WATCHDOG.watched():
            return loaded.task.encode(request, loaded.encoder, loaded.spec, long_text=call.long_text, max_windows=loaded.limits.max_items)

    def _encode_aside(
        self, number: int, call: Call, reply: Reply, outlet: Outlet | None, *, request: TaskRequest, begun_s: float
    ) -> None:  # fmt: skip
        def done(finished: asyncio.Future[Encoded]) -> None:
            try:
                self._enqueue(number, call, reply, outlet, request=request, encoded=finished.result(), begun_s=begun_s)
            except Exception as error:
                self._answering.refuse(call, reply, error)

        self._encodings.start(number, call.key, partial(self.encode, call, request), done)

    def _enqueue(
        self, number: int, call: Call, reply: Reply, outlet: Outlet | None, *, request: TaskRequest, encoded: Encoded, begun_s: float
    ) -> None:  # fmt: skip
        if encoded.with_tokens:
            check_tokens(self._loaded.variant, has_tokens=self._loaded.session.has_tokens)
        if encoded.generation is not None:
            writing(self._loaded.session, self._loaded.variant)
        now_s, num_rows = self._clock(), len(encoded.costs)
        work = Work(
            call, reply, request, encoded, self._answering, now_s, now_s - begun_s, [None] * num_rows, num_rows, begun_s + call.timeout_s,
            outlet=outlet,
        )  # fmt: skip
        self.queue.add(number, work, kind=self._kind or encoded.kind)

    def close(self) -> None:
        """End the threads and free the model, or leave it to others. In-flight calls must have ended."""
        self._leave()
        self._encodings.close()
