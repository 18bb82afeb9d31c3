"""The engine's threads inside a worker: each is handed one batch at a time, as many at once as the session has streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from hanlin.engines.base import Ids, Session, writing
from hanlin.engines.gathering import Outputs
from hanlin.errors import as_exception
from hanlin.generation import GenerationSettings
from hanlin.serving.filling import Batch
from hanlin.serving.watchdog import WATCHDOG
from hanlin.tasks.padding import pad
from hanlin.tasks.sequences import to_arrays

_RENEW_S = 0.2  # how often a step that writes says that it goes on
PATIENCE_S = 3.0  # what reading a batch of long rows may be expected to take, before anything of it is known


@dataclass(slots=True)
class Step:
    """One engine turn and what came of it.

    Args:
        expected_s: how long it takes as far as is known; one that takes very much longer hangs.
        num_beside: steps that ran when it began, itself among them.
        has_turn: whether it took one, to be given back.
        with_tokens: whether one of its calls wants the vectors of tokens.
        generation: how each row is written, where the network writes.
        is_wanted: whether a row, by its place, still is; asked on the engine's thread.
        seats: whose each row is, where adapters share the engine.
    """

    batch: Batch
    rows: list[list[int]]
    types: list[list[int]] | None
    expected_s: float = 0.0
    num_beside: int = 1
    has_turn: bool = True
    with_tokens: bool = False
    generation: list[GenerationSettings] | None = None
    is_wanted: Callable[[int], bool] = lambda row: True
    seats: list[int] = field(default_factory=list)
    outputs: Outputs | None = None
    error: Exception | None = None
    seconds: float = 0.0


class Stepper:
    """Runs steps of one session. Belongs to an event loop; only `_run` is on other threads.

    Args:
        done: called on the loop with each finished step.

    Attributes:
        num_streams: steps that run side by side.
    """

    def __init__(self, session: Session, *, pad_id: int, done: Callable[[Step], None]) -> None:
        self._session = session
        self._pad_id = pad_id
        self._done = done
        self._loop = asyncio.get_running_loop()
        self.num_streams = session.num_streams
        self._threads = self._make_threads(session)
        self._num_running = 0
        self._is_reserved = False

    @property
    def num_idle(self) -> int:
        """Streams that can be given something; none while a step runs that must be alone."""
        return 0 if self._is_reserved else max(0, self.num_streams - self._num_running)

    @property
    def has_room_ahead(self) -> bool:
        """Every stream is at work, and not each has a step yet that it goes on with by itself."""
        return not self._is_reserved and self.num_streams <= self._num_running < 2 * self.num_streams

    @property
    def is_idle(self) -> bool:
        """Nothing runs."""
        return not self._num_running

    def start(self, step: Step) -> None:
        """Run a step on an idle stream, or on the first that will be."""
        assert self.num_idle or self.has_room_ahead, "no stream is idle"
        self._num_running += 1
        step.num_beside = min(self._num_running, self.num_streams)
        self._is_reserved = step.batch.is_alone
        self._threads.submit(self._run, step)

    def run_here(self, step: Step) -> None:
        """Run a short step on the event loop itself, which it holds up: for one that is all there is to do, two wake-ups cost more."""
        assert self.is_idle, "something runs"
        self.compute(step)
        self._done(step)

    def close(self) -> None:
        """End the threads and free the model. Steps that run are waited for."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._session.close()

    def _make_threads(self, session: Session) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(session.num_streams, thread_name_prefix="engine")

    def _run(self, step: Step) -> None:
        self.compute(step)
        self._loop.call_soon_threadsafe(self._finished, step)

    def compute(self, step: Step) -> None:
        """Run the session on it, and keep what came of it. On an engine's thread."""
        begun_s = time.perf_counter()
        try:
            if step.generation is None:
                with WATCHDOG.watched(step.expected_s):
                    step.outputs = self.forward(step, self._session, [*pad(step.rows, self._pad_id, step.types).values()])
            else:
                step.outputs = self._write(step, step.generation)
        except BaseException as error:  # a native panic too
            step.error = as_exception(error)
        step.seconds = time.perf_counter() - begun_s

    def forward(self, step: Step, session: Session, arrays: Sequence[Ids]) -> Outputs:
        """What the session makes of the padded rows: `(rows, longest row)` int64 each, as `pad` orders them."""
        return session.run(*arrays, with_tokens=step.with_tokens)

    def _write(self, step: Step, settings: list[GenerationSettings]) -> Outputs:
        """A step of many steps: between two of them rows may leave, and the watchdog sees that it goes on."""
        session, renewed_s = writing(self._session, ""), time.monotonic()
        with WATCHDOG.watched(PATIENCE_S) as renew:

            def is_wanted(row: int) -> bool:
                nonlocal renewed_s
                if (now_s := time.monotonic()) - renewed_s > _RENEW_S:
                    renewed_s = now_s
                    renew()
                return step.is_wanted(row)

            return to_arrays(session.generate(step.rows, settings, is_wanted=is_wanted))

    def _finished(self, step: Step) -> None:
        self._num_running -= 1
        self._is_reserved = False
        self._done(step)
