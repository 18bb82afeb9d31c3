"""Callers that send or read too slowly, all at once, and what others notice of them.

usage: python bench/slow_clients.py [--clients 500] [--calls 2000]

A third sends a head byte by byte, a third stops in the middle of its body, a third asks for large answers and never reads one. Beside them
one caller asks again and again; its 99th percentile is compared with the one of a quiet server. Prints one line of JSON. `SlowClients` is
used by the tests, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_ESTABLISHED = 1  # first byte of TCP_INFO. Source: linux/tcp.h
_BYTE_EVERY = 10  # of the time that a head may take


class SlowClients:
    """Connections in three kinds, driven by a thread of their own.

    Args:
        path: of an endpoint.
        large: inputs whose answer is large.
        header_timeout_s: what the server allows for a head.
    """

    def __init__(self, port: int, count: int, *, path: str, key: str, large: object, header_timeout_s: float) -> None:
        self._head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n".encode()
        self._large = json.dumps({"inputs": large}).encode()
        self._port = port
        self._every_s = header_timeout_s / _BYTE_EVERY
        self.kinds = {"slowloris": self._open(count, 0), "stalled body": self._open(count, 1), "dead reader": self._open(count, 2)}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._drip)
        self._thread.start()

    def _open(self, count: int, kind: int) -> list[socket.socket]:
        made = [socket.socket() for _ in range(count // 3 + (kind < count % 3))]
        for one in made:
            if kind == 2:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", self._port))
            if kind == 1:
                one.sendall(self._head + b'Content-Length: 1000\r\n\r\n{"inputs":')
            elif kind == 2:
                one.sendall((self._head + b"Content-Length: %d\r\n\r\n" % len(self._large) + self._large) * 4)
            one.setblocking(False)
        return made

    def _drip(self) -> None:
        """A byte of a head from each of the first kind, now and then."""
        position = 0
        while not self._stopping.wait(self._every_s):
            for one in self.kinds["slowloris"]:
                with contextlib.suppress(OSError):
                    one.send(self._head[position : position + 1])
            position = min(position + 1, len(self._head) - 1)

    def still_open(self) -> dict[str, int]:
        """How many of each kind the server has not closed."""
        return {kind: sum(_is_open(one) for one in found) for kind, found in self.kinds.items()}

    def close(self) -> None:
        """Hangs up."""
        self._stopping.set()
        self._thread.join()
        for found in self.kinds.values():
            for one in found:
                one.close()


def _is_open(one: socket.socket) -> bool:
    """Whether neither side has ended the connection, as the system sees it: nothing is read for it."""
    return bool(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED)


def canary(port: int, path: str, key: str) -> Iterator[float]:
    """Asks again and again over one connection; seconds of each call. Raises AssertionError for another status than 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        while True:
            began_s = time.perf_counter()
            connection.request("POST", path, b'{"inputs": "good bad"}', headers)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            yield time.perf_counter() - began_s
    finally:
        connection.close()


def p99_ms(seconds: list[float]) -> float:
    """The 99th percentile in milliseconds."""
    return 1000 * sorted(seconds)[int(0.99 * len(seconds))]


async def main() -> None:
    """One run against `hanlin up` with its default limits."""
    import fake_server  # here: it lies beside this file, which tests import from elsewhere

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--calls", type=int, default=2000)
    asked = parser.parse_args()
    fake_server.LABELS = tuple(f"a label whose name is rather long, number {n}" for n in range(100))  # 256 texts: a megabyte and more
    with tempfile.TemporaryDirectory() as folder:
        fake_server.make_versions(Path(folder) / "home")
        server = fake_server.Server(Path(folder) / "home")
        await server.start()
        try:
            await server.deploy("m:1", replicas=1)
            found = await asyncio.to_thread(measure, server.port, f"/models/{fake_server.ENDPOINT}", server.key, asked.clients, asked.calls)
            print(json.dumps(found))
        finally:
            await server.stop()


def measure(port: int, path: str, key: str, clients: int, calls: int) -> dict[str, object]:
    """Latency before and beside the slow ones, and when the last of each kind was closed."""
    asks = canary(port, path, key)
    quiet = [next(asks) for _ in range(calls)]
    began_s = time.monotonic()
    slow = SlowClients(port, clients, path=path, key=key, large=["good"] * 256, header_timeout_s=10.0)
    try:
        beside = [next(asks) for _ in range(calls)]
        closed_s: dict[str, float] = {}
        while len(closed_s) < 3 and time.monotonic() - began_s < 120:
            closed_s |= {
                kind: round(time.monotonic() - began_s, 1) for kind, left in slow.still_open().items() if not left and kind not in closed_s
            }
            beside.append(next(asks))
        found = {
            "clients": clients,
            "quiet_p99_ms": round(p99_ms(quiet), 2),
            "beside_p99_ms": round(p99_ms(beside), 2),
            "calls": len(beside),
        }
        return found | {"closed_s": closed_s, "still_open": slow.still_open()}
    finally:
        slow.close()


if __name__ == "__main__":
    asyncio.run(main())
