"""The thread of an engine that takes rows on while others are being written: it admits, drops and turns while anything is open, and
rests otherwise. Steps of whole batches run on the same thread, when nothing is open. Belongs to an event loop, like its queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hanlin.engines.base import Session, StreamingSession
from hanlin.errors import EngineFailed, HanlinError, as_exception
from hanlin.generation import Delta, GenerationSettings
from hanlin.serving.stepper import PATIENCE_S, Step, Stepper
from hanlin.serving.watchdog import WATCHDOG


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one turn.

    Args:
        num_rows: that were open in it.
        is_rest: the thread rests until it is told to go on.
    """

    deltas: list[Delta]
    seconds: float = 0.0
    num_rows: int = 0
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class _Admission:
    number: int
    row: Sequence[int]
    settings: GenerationSettings


class Turner(Stepper):
    """Turns of one session. All but `_run_turns` and what that calls is for the loop.

    Args:
        told: called on the loop with what became of the turns since it was called last.
        may_step: whether no row is open or about to be.
        freed: called on the loop when a step has ended, before anybody learns of it.

    Attributes:
        is_paced: it rests after each turn; may be set at any time.
    """

    is_paced = False

    def __init__(
        self, session: StreamingSession, *, pad_id: int, done: Callable[[Step], None], told: Callable[[Sequence[Told]], None],
        may_step: Callable[[], bool], freed: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(session, pad_id=pad_id, done=done)
        self._turning = session
        self._hear = told
        self._may_step = may_step
        self._freed = freed
        self._lock = threading.Lock()  # over the four below
        self._orders: list[_Admission | int] = []
        self._told: list[Told] = []
        self._is_turning = False
        self._is_closing = False
        self._open: dict[int, None] = {}  # as the session has them; of the thread

    @property
    def num_idle(self) -> int:
        """See `Stepper`; none while a row is open."""
        return super().num_idle if self._may_step() else 0

    @property
    def has_room_ahead(self) -> bool:
        """See `Stepper`. Never: rows go first."""
        return False

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        """Take a row on before the next turn; what is wrong with it is told as its last delta."""
        with self._lock:
            self._orders.append(_Admission(number, row, settings))

    def drop(self, number: int) -> None:
        """Forget a row before the next turn. What it was is told no more, but for what is on its way."""
        with self._lock:
            self._orders.append(number)

    def go(self) -> None:
        """Turn while anything is open, unless it does already."""
        with self._lock:
            if self._is_turning or self._is_closing:
                return
            self._is_turning = True
        self._threads.submit(self._run_turns)

    def close(self) -> None:
        """See `Stepper`. Rows that are still open are forgotten."""
        with self._lock:
            self._is_closing = True
        super().close()

    def _make_threads(self, session: Session) -> ThreadPoolExecutor:
        """One: a session's rows are of one thread."""
        self.num_streams = 1
        return ThreadPoolExecutor(1, thread_name_prefix="engine")

    def compute(self, step: Step) -> None:
        """See `Stepper`; rows that were dropped have left their room before."""
        with self._lock:
            orders, self._orders = self._orders, []
        for order in orders:
            self._obey(order)
        super().compute(step)

    def _finished(self, step: Step) -> None:
        self._num_running -= 1
        self._is_reserved = False
        self._freed()
        self._done(step)

    def _run_turns(self) -> None:
        with WATCHDOG.watched(PATIENCE_S) as renew:
            while (orders := self._next_orders()) is not None:
                renew()
                for order in orders:
                    self._obey(order)
                told = self._turn() if self._open else Told([])
                if self.is_paced:
                    with self._lock:
                        self._is_turning = False
                    self._tell(Told(told.deltas, told.seconds, told.num_rows, is_rest=True))
                    return
                self._tell(told)
        self._tell(Told([], is_rest=True))

    def _next_orders(self) -> list[_Admission | int] | None:
        """What was ordered meanwhile; None: nothing, and there is nothing to go on with."""
        with self._lock:
            orders, self._orders = self._orders, []
            if self._is_closing or not (orders or self._open):
                self._is_turning = False
                return None
        return orders

    def _obey(self, order: _Admission | int) -> None:
        if isinstance(order, int):
            if order in self._open:
                del self._open[order]
                self._turning.drop(order)
            return
        try:
            self._turning.admit(order.number, order.row, order.settings)
        except BaseException as error:  # a native panic too: this thread goes on
            self._tell(Told([_failed(order.number, as_exception(error))]))
        else:
            self._open[order.number] = None

    def _turn(self) -> Told:
        begun_s, num_rows = time.perf_counter(), len(self._open)
        try:
            deltas = self._turning.turn()
        except BaseException as error:  # all that was open is lost
            deltas = [_failed(number, as_exception(error)) for number in self._open]
        for delta in deltas:
            if delta.finish is not None:
                self._open.pop(delta.number, None)
        return Told(deltas, time.perf_counter() - begun_s, num_rows)

    def _tell(self, told: Told) -> None:
        """However fast the turns come, the loop hears of all at once when it has time."""
        with self._lock:
            self._told.append(told)
            is_first = len(self._told) == 1
        if is_first:
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            told, self._told = self._told, []
        self._hear(told)


def _failed(number: int, error: Exception) -> Delta:
    if not isinstance(error, HanlinError):
        error = EngineFailed("engine_failed", details=f"{type(error).__name__}: {error}")
    return Delta(number, finish="cancelled", error=error)
