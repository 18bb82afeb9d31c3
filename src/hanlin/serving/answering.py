"""From the outputs of engine steps to the answers of calls, and from errors to refusals. Belongs to the worker's event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from hanlin.engines.gathering import Found, gather, together
from hanlin.errors import EngineFailed, HanlinError, Internal, InvalidInput
from hanlin.serving.counters import Counters
from hanlin.serving.loaded import Loaded
from hanlin.serving.stepper import Step
from hanlin.serving.wire import MAX_ANSWER_BYTES, Answer, Call, Part, Refusal
from hanlin.tasks.base import RowStream, StreamingTask, TaskOptions, TaskRequest
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.sequences import SEQUENCES, from_arrays

Reply = Callable[[Answer | Refusal], None]


class Outlet(Protocol):
    """Where the parts of streamed calls go.

    Attributes:
        is_full: who is to read them does not keep up: it would only keep further ones.
    """

    is_full: bool

    def send(self, part: Part) -> None:
        """Give it a part."""
        ...

    def when_free(self, again: Callable[[], None]) -> None:
        """Call this once it is full no longer; never, when it has ended."""
        ...


@dataclass(slots=True)
class Work:
    """A call between queue and answer."""

    call: Call
    reply: Reply
    request: TaskRequest
    encoded: Encoded
    answering: Answering
    queued_s: float
    encode_s: float
    found: list[Found | None]
    num_missing: int
    deadline_s: float = float("inf")
    started_s: float = 0.0
    written: int = 0  # tokens
    cached: int = 0  # tokens of its rows that were not read again
    outlet: Outlet | None = None  # of a streamed call
    is_told: bool = False  # its parts are sent while it is written
    engine_s: float = 0.0
    step: Step | None = None  # the latest it was in


class Answering:
    """Ends the calls of one replica.

    Args:
        counters: where ends are counted.
        clock: monotonic seconds.

    Attributes:
        num_inflight: calls of the replica that wait or run, kept by the queue that holds them.
    """

    def __init__(self, loaded: Loaded, counters: Counters, clock: Callable[[], float]) -> None:
        self._loaded = loaded
        self.counters = counters
        self.num_inflight = 0
        self._clock = clock
        self._json = msgspec.json.Encoder()

    def answer(self, done: Sequence[Work]) -> None:
        """Answer calls that one step has finished; single texts with the same options are decoded together: numpy's cost is by the call."""
        if len(done) == 1:
            self._answer_one(done[0])
            return
        alike: dict[TaskOptions, list[Work]] = {}
        for work in done:
            if self._loaded.task.is_row_by_row and len(work.found) == 1:
                alike.setdefault(work.request.options, []).append(work)
            else:
                self._answer_one(work)
        for options, works in alike.items():
            begun_s = self._clock()
            decoded = self._decode_together(works, options) if len(works) > 1 else None
            each_s = (self._clock() - begun_s) / len(works)
            for row, work in enumerate(works):
                self._answer_one(work, None if decoded is None else decoded[row : row + 1], spent_s=each_s)

    def charge(self, tokens: int, seconds: float) -> None:
        """A row that was written token by token has taken so much of the engine: nothing to count where the engine is one model's."""

    def _decode_together(self, works: Sequence[Work], options: TaskOptions) -> Sequence[Any] | None:
        """The decoded rows; None when one of them cannot be decoded: then each is judged alone."""
        outputs = together([part for work in works for part in work.found if part is not None])
        try:
            return self._loaded.task.decode(outputs, self._loaded.spec, options) if outputs else None
        except Exception:
            return None

    def _answer_one(self, work: Work, decoded: Sequence[Any] | None = None, *, spent_s: float = 0.0) -> None:
        encoded, task = work.encoded, self._loaded.task
        done_s = self._clock() - spent_s
        try:
            if decoded is None:
                outputs = gather(task, encoded, work.found)
                decoded = task.decode(outputs, self._loaded.spec, work.request.options, encoded)
            answered = task.answer(decoded, work.request)
            decoded_s = self._clock()
            body = self._json.encode(answered)
            if len(body) > MAX_ANSWER_BYTES:  # a longer frame would be taken for garbage, and the worker for broken
                raise InvalidInput("answer_too_large", limit=MAX_ANSWER_BYTES)
            if work.outlet is not None and not work.is_told:
                self._tell_whole(work, work.outlet)
        except Exception as error:
            self.refuse(work.call, work.reply, error)
            return
        self.counters.answered(self._clock() - work.queued_s + work.encode_s, decoded)
        self.counters.truncated_texts += len(encoded.cut)
        self.counters.windowed_texts += len(encoded.windows)
        times_s = (work.started_s - work.queued_s, work.encode_s, work.engine_s, decoded_s - done_s, self._clock() - decoded_s)
        queue_ms, encode_ms, engine_ms, decode_ms, write_ms = (round(seconds * 1000, 3) for seconds in times_s)
        windows = tuple((index, len(pieces)) for index, pieces in encoded.windows.items()) if encoded.windows else ()
        answer = Answer(
            work.call.id, body, len(work.request.texts), sum(map(len, encoded.rows)), queue_ms, encode_ms, engine_ms, encoded.cut, windows,
            decode_ms, write_ms, work.written, work.cached,
        )  # fmt: skip
        work.reply(answer)

    def streams(self, work: Work) -> Sequence[RowStream] | None:
        """What tells each row of a call; None where the task cannot."""
        task = self._loaded.task
        return task.streams(work.request, work.encoded) if isinstance(task, StreamingTask) else None

    def _tell_whole(self, work: Work, outlet: Outlet) -> None:
        """A streamed call that could not be told while it was written is told in one part a row."""
        outputs = gather(self._loaded.task, work.encoded, work.found)
        settings, streams = work.encoded.generation, self.streams(work)
        if SEQUENCES not in outputs or settings is None or streams is None or any(each.reads for each in settings):
            return
        for index, (row, stream) in enumerate(zip(from_arrays(outputs), streams, strict=True)):
            piece = stream.push(row.ids, row.seen, row.finish)
            if piece.value is not None:
                outlet.send(Part(work.call.id, index, self._json.encode(piece.value), len(row.ids), work.encoded.cut))

    def refuse(self, call: Call, reply: Reply, error: Exception) -> None:
        """End a call with an error."""
        if not isinstance(error, HanlinError):
            error = EngineFailed("engine_failed", details=f"{type(error).__name__}: {error}")
        if isinstance(error, EngineFailed | Internal):
            self.counters.failed += 1
        else:
            self.counters.refused += 1
        reply(Refusal(call.id, error.to_wire(call.language)))
