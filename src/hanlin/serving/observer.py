"""Asks workers what they have counted, and adds it up by deployment over their deaths. Lives on the reconciler's event loop."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hanlin.serving.autoscale import Load
from hanlin.serving.channel import Channel, WorkerLost
from hanlin.serving.judge import Seen
from hanlin.serving.latency import new_histogram
from hanlin.serving.routes import ReplicaRoute
from hanlin.serving.wire import Report

_TIMEOUT_S = 1.0
_FAULTS = ("failed_total", "expired_total")


@dataclass(slots=True)
class Totals:
    """What a deployment did since it was first watched."""

    failed: int = 0
    latency: list[int] = field(default_factory=new_histogram)
    labels: Counter[str] = field(default_factory=Counter)

    def seen(self, *, since: Seen, deaths: int) -> Seen:
        """The part behind `since`."""
        latency = tuple(now - then for now, then in zip(self.latency, since.latency or new_histogram(), strict=True))
        return Seen(self.failed - since.failed, latency, self.labels - Counter(since.labels), deaths - since.deaths)


@dataclass(slots=True)
class _Line:
    """The connection to one worker and what it reported last."""

    channel: Channel
    report: Report
    at_s: float


class Observer:
    """Keeps a connection to each watched worker.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: dict[ReplicaRoute, _Line] = {}

    async def look(self, routes: Iterable[ReplicaRoute], totals: Totals) -> Load:
        """Ask all these workers at once; what is new goes into `totals`. Those that do not answer are left out."""
        found = await asyncio.gather(*(self._ask(route, totals) for route in routes))
        loads = [load for load in found if load is not None]
        if not loads:
            return Load(0, 0.0, 0.0)
        return Load(len(loads), sum(queued for queued, _ in loads), sum(busy for _, busy in loads) / len(loads))

    def forget_all_but(self, routes: set[ReplicaRoute]) -> None:
        """Hang up on workers that are watched no more."""
        for route in self._lines.keys() - routes:
            self._lines.pop(route).channel.close()

    async def _ask(self, route: ReplicaRoute, totals: Totals) -> tuple[float, float] | None:
        """Queued tokens and busy share of one worker."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                line = self._lines.get(route)
                if line is None or not line.channel.is_open:
                    channel = await Channel.connect(route.socket, route.token)
                    line = self._lines[route] = _Line(channel, Report(0, {}), self._clock())
                report = await line.channel.full_report()
        except (OSError, WorkerLost, TimeoutError):
            return None
        now_s = self._clock()
        _add(totals, line.report, report)
        engine_s = report.values.get("engine_seconds_total", 0.0) - line.report.values.get("engine_seconds_total", 0.0)
        passed_s = now_s - line.at_s
        busy = min(1.0, engine_s / passed_s) if line.report.values and passed_s > 0 else 0.0
        line.report, line.at_s = report, now_s
        return report.values.get("queued_tokens", 0.0), busy


def _add(totals: Totals, before: Report, now: Report) -> None:
    totals.failed += round(sum(now.values.get(name, 0.0) - before.values.get(name, 0.0) for name in _FAULTS))
    for index, count in enumerate(now.latency):
        totals.latency[index] += count - (before.latency[index] if before.latency else 0)
    totals.labels.update(now.labels)
    totals.labels.subtract(before.labels)
