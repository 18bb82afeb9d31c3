"""Load on an endpoint: closed loop (so many clients, each waits for its answer) and open loop (arrivals that wait for nobody).

In the open loop arrivals are Poisson and latency counts from the moment a request was *meant* to leave: a server that stalls is
charged for everyone it kept waiting (no coordinated omission). Everything is bounded in time, requests and waiting requests.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hanlin.bench.connection import Connection, Reply, Target
from hanlin.bench.histogram import Histogram
from hanlin.bench.parts import Parts

MAX_WAITING = 20_000  # requests that may wait for a free connection in the open loop; more are counted as unsent
Tick = Callable[[int], None]


@dataclass(slots=True)
class Window:
    """What was measured under one load, warm-up left out.

    Args:
        offered_rps: arrivals a second; None in the closed loop.
        clients: connections that were open at most.
        good: answers with status 200.
        refused: answers 429, 503 and 504: the server protected itself, or had no time.
        failed: all other answers, and none.
        reasons: how often each error code was answered; empty: no answer.
        unsent: arrivals for which no connection came free; how long they waited counts in `latency`.
        late: how long after its moment a request left although a connection was free; the generator's own fault.
        cpu_share: of one core, that this process used meanwhile.
        is_capped: it ended by the number of requests, not by the time.
    """

    offered_rps: float | None
    clients: int
    seconds: float = 0.0
    good: int = 0
    refused: int = 0
    failed: int = 0
    unsent: int = 0
    cached: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)
    parts: Parts = field(default_factory=Parts)
    cpu_share: float = 0.0
    is_capped: bool = False

    @property
    def answered(self) -> int:
        """Requests that ended, however."""
        return self.good + self.refused + self.failed

    @property
    def goodput_rps(self) -> float:
        """Good answers a second."""
        return self.good / self.seconds if self.seconds else 0.0

    def count(self, reply: Reply, *, meant_s: float, sent_s: float) -> None:
        """Take one answer in."""
        if reply.status == 200:
            self.good += 1
            self.latency.record(reply.done_s - meant_s)
            self.cached += reply.header(b"x-hanlin-cache") == b"hit"
            self.parts.add(reply.header(b"server-timing"), waited_s=sent_s - meant_s, exchange_s=reply.done_s - sent_s)
            return
        self.reasons[reply.code] += 1
        if reply.status in (429, 503, 504):
            self.refused += 1
        else:
            self.failed += 1


def reasons_of(windows: Iterable[Window]) -> Counter[str]:
    """How often each error code was answered in all of them together; empty: no answer."""
    return sum((window.reasons for window in windows), Counter[str]())


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one measurement."""

    seconds: float
    warm_up_s: float
    max_requests: int
    timeout_s: float = 10.0
    max_clients: int = 256


class Load:
    """Sends requests built from `bodies`, in an order of its own. Lives on one event loop."""

    def __init__(self, target: Target, bodies: Sequence[bytes], *, limits: Limits, seed: int = 7, on_tick: Tick = lambda _: None) -> None:
        self._limits = limits
        self._requests = [target.request(body, limits.timeout_s) for body in bodies]
        self._random = random.Random(seed)  # noqa: S311  # reproducible, not secret
        self._target = target
        self._on_tick = on_tick
        self._cpu_s = self._born_s = 0.0

    async def closed(self, clients: int) -> Window:
        """`clients` callers, each sending its next request when the last one is answered."""
        window = Window(None, clients)
        begin_s, end_s = self._times()

        async def call_on(connection: Connection) -> None:
            while (sent_s := time.perf_counter()) < end_s and window.answered < self._limits.max_requests:
                reply = await connection.exchange(self._pick(), self._limits.timeout_s)
                if sent_s >= begin_s:
                    window.count(reply, meant_s=sent_s, sent_s=sent_s)
                    self._on_tick(1)
                if reply.status in (0, 429, 503):
                    await asyncio.sleep(0.01)  # a caller that is refused does not hammer

        connections = [Connection(self._target) for _ in range(clients)]
        try:
            await asyncio.gather(*map(call_on, connections))
        finally:
            for connection in connections:
                connection.close()
        self._finish(window, begin_s, end_s)
        return window

    async def open(self, rate: float) -> Window:
        """Poisson arrivals, `rate` a second."""
        window = Window(rate, 0)
        begin_s, end_s = self._times()
        idle = [Connection(self._target) for _ in range(self._limits.max_clients)]
        connections = tuple(idle)
        waiting: deque[float] = deque()
        calls: set[asyncio.Task[None]] = set()

        async def call_on(connection: Connection, meant_s: float) -> None:
            while True:
                sent_s = time.perf_counter()
                reply = await connection.exchange(self._pick(), self._limits.timeout_s)
                if meant_s >= begin_s:
                    window.count(reply, meant_s=meant_s, sent_s=sent_s)
                    self._on_tick(1)
                if not waiting:
                    idle.append(connection)
                    return
                meant_s = waiting.popleft()

        def begin_call(meant_s: float) -> None:
            if idle:
                call = asyncio.ensure_future(call_on(idle.pop(), meant_s))  # the one used last: no more are opened than needed
                calls.add(call)
                call.add_done_callback(calls.discard)
                window.clients = max(window.clients, len(connections) - len(idle))
                if meant_s >= begin_s:
                    window.late.record(time.perf_counter() - meant_s)
            elif len(waiting) < MAX_WAITING:
                waiting.append(meant_s)
            else:
                window.unsent += meant_s >= begin_s

        try:
            await self._arrive(rate, begin_s, end_s, begin_call, window)
            _give_up(waiting, window, begin_s)
            if calls:
                await asyncio.wait(calls)
        finally:
            for connection in connections:
                connection.close()
        self._finish(window, begin_s, end_s)
        return window

    async def _arrive(self, rate: float, begin_s: float, end_s: float, begin_call: Callable[[float], None], window: Window) -> None:
        meant_s, arrived = begin_s - self._limits.warm_up_s, 0
        while (meant_s := meant_s + self._random.expovariate(rate)) < end_s:
            if arrived >= self._limits.max_requests:
                window.is_capped = True
                return
            if (pause_s := meant_s - time.perf_counter()) > 0:
                await asyncio.sleep(pause_s)
            elif arrived % 16 == 0:
                await asyncio.sleep(0)  # behind: let answers in
            arrived += meant_s >= begin_s
            begin_call(meant_s)

    def _times(self) -> tuple[float, float]:
        self._cpu_s, self._born_s = time.process_time(), time.perf_counter()
        begin_s = self._born_s + self._limits.warm_up_s
        return begin_s, begin_s + self._limits.seconds

    def _pick(self) -> bytes:
        return self._requests[self._random.randrange(len(self._requests))]

    def _finish(self, window: Window, begin_s: float, end_s: float) -> None:
        """The time that was measured: to the planned end, or to the last answer where that came later (a backlog) or earlier (a cap)."""
        now_s = time.perf_counter()
        window.cpu_share = (time.process_time() - self._cpu_s) / max(1e-9, now_s - self._born_s)
        window.is_capped = window.is_capped or window.answered >= self._limits.max_requests
        window.seconds = max(1e-9, (now_s if window.is_capped else max(end_s, now_s)) - begin_s)


def _give_up(waiting: deque[float], window: Window, begin_s: float) -> None:
    """What still waits at the end was never sent; its wait so far counts, so that percentiles are no better than they were."""
    now_s = time.perf_counter()
    for meant_s in waiting:
        if meant_s >= begin_s:
            window.unsent += 1
            window.latency.record(now_s - meant_s)
    waiting.clear()
