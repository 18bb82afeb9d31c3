"""A load driver for JSON over HTTP/1.1, in one thread: closed loop (so many clients) or open loop (so many requests a second).

usage: python bench/http_load.py --port 8000 --path /models/x --bodies FILE (--clients 64 | --rate 5000 --connections 1024)
           --seconds 5 [--header 'A: b']

FILE holds one JSON body a line; they are sent in turn, so that no cache helps. Prints one JSON object: what came of the requests,
latencies of good and of refused ones in milliseconds, good answers in each second, and the driver's own CPU seconds, which are part
of what a small machine is given to do. An open loop counts the time from when a request was due, and those for which no connection
was free (`unsent`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

_TICK_S = 0.001
_DRAIN_S = 20.0


@dataclass(slots=True)
class Tally:
    """What came of the requests so far. Times in seconds; `good_at` holds whole seconds since the start."""

    began_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    good_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    good_at: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0
    broken: int = 0
    unsent: int = 0

    def add(self, status: int, due_s: float, now_s: float, head: bytes) -> None:
        """Count one answer."""
        self.statuses[status] += 1
        if status == 200:
            self.good_s.append(now_s - due_s)
            self.good_at[int(now_s - self.began_s)] += 1
        else:
            self.refused_s.append(now_s - due_s)
            self.without_retry_after += b"\r\nretry-after:" not in head.lower()

    def report(self, seconds: float) -> dict[str, object]:
        """The printed object."""
        spent = resource.getrusage(resource.RUSAGE_SELF)
        good = sum(self.good_at[second] for second in range(int(seconds)))
        return {
            "seconds": seconds, "good": good, "rate": round(good / seconds, 1), "statuses": dict(self.statuses), "broken": self.broken,
            "unsent": self.unsent, "good_ms": quantiles(self.good_s), "refused_ms": quantiles(self.refused_s),
            "without_retry_after": self.without_retry_after, "good_at": [self.good_at[second] for second in range(int(seconds))],
            "driver_cpu_s": round(spent.ru_utime + spent.ru_stime, 3),
        }  # fmt: skip


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the largest, in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {name: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))}  # fmt: skip


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request in flight."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.due_s = 0.0
        self.is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment]
        self._driver.free(self)

    def send(self, request: bytes, due_s: float) -> None:
        """Begin a request that was due at `due_s`."""
        assert self._transport is not None
        self.due_s, self.is_busy = due_s, True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end]
        at = head.lower().find(b"\r\ncontent-length:")
        if at < 0:  # chunked: the bodies here are far smaller than one chunk
            if not self._buffer.endswith(b"0\r\n\r\n"):
                return
        elif len(self._buffer) < end + 4 + int(head[at + 17 : head.find(b"\r\n", at + 2) if head.find(b"\r\n", at + 2) > 0 else None]):
            return
        self._buffer, self.is_busy = b"", False
        self._driver.tally.add(int(head[9:12]), self.due_s, time.perf_counter(), head)
        self._driver.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._driver.lost(self)

    def abort(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()


class Driver:
    """Sends requests for `seconds`; `rate` None is a closed loop of as many clients as there are connections."""

    def __init__(self, requests: Sequence[bytes], *, host: str, port: int, connections: int, seconds: float, rate: float | None) -> None:
        self._requests: Iterator[bytes] = cycle(requests)
        self._address = (host, port)
        self._num_connections = connections
        self._seconds = seconds
        self._rate = rate
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._is_over = False
        self.tally = Tally()

    async def run(self) -> Tally:
        """The whole load. Waits a while for the last answers."""
        self.tally.began_s = time.perf_counter()
        for _ in range(self._num_connections):
            await self._connect()
        self.tally.began_s = time.perf_counter()
        if self._rate is None:
            for connection in list(self._idle):
                self.free(connection)
            self._idle.clear()
            await asyncio.sleep(self._seconds)
        else:
            await self._pace(self._rate)
        self._is_over = True
        end_s = time.perf_counter() + _DRAIN_S
        while any(connection.is_busy for connection in self._open) and time.perf_counter() < end_s:
            await asyncio.sleep(0.01)
        self.tally.broken += sum(connection.is_busy for connection in self._open)
        for connection in list(self._open):
            connection.abort()
        return self.tally

    def free(self, connection: Connection) -> None:
        """A connection has nothing in flight."""
        if connection not in self._open:
            self._open.add(connection)
            self._idle.append(connection)
        elif self._is_over:
            return
        elif self._rate is None:
            connection.send(next(self._requests), time.perf_counter())
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """A connection has ended; another takes its place."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.is_busy and not self._is_over:
            self.tally.broken += 1
        if not self._is_over:
            asyncio.get_running_loop().create_task(self._replace())

    async def _replace(self) -> None:
        try:
            await self._connect()
        except OSError:
            self.tally.broken += 1
            return
        if self._rate is None and self._idle:
            self.free(self._idle.pop())

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: Connection(self), *self._address)

    async def _pace(self, rate: float) -> None:
        num_due = 0
        end_s = self.tally.began_s + self._seconds
        while (now_s := time.perf_counter()) < end_s:
            while num_due < (now_s - self.tally.began_s) * rate:
                due_s = self.tally.began_s + num_due / rate
                num_due += 1
                if self._idle:
                    self._idle.pop().send(next(self._requests), due_s)
                else:
                    self.tally.unsent += 1
            await asyncio.sleep(_TICK_S)


def http_requests(bodies: Sequence[bytes], path: str, headers: Sequence[str]) -> list[bytes]:
    """Whole requests, head and body."""
    lines = "".join(f"{line}\r\n" for line in ("host: 127.0.0.1", "content-type: application/json", *headers))
    return [f"POST {path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--bodies", type=Path, required=True)
    parser.add_argument("--clients", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--connections", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    requests = http_requests(options.bodies.read_bytes().splitlines(), options.path, options.header)
    driver = Driver(
        requests, host=options.host, port=options.port, connections=options.clients or options.connections, seconds=options.seconds,
        rate=None if options.clients else options.rate,
    )  # fmt: skip
    try:
        import uvloop
    except ImportError:
        tally = asyncio.run(driver.run())
    else:
        tally = uvloop.run(driver.run())
    print(json.dumps(tally.report(options.seconds)))


if __name__ == "__main__":
    main()
