"""A load driver for gRPC as light as `http_load.py`: unary calls of one method, a closed loop, one call at a time a connection.

usage: python bench/grpc_load.py --port 8001 --method /inference.GRPCInferenceService/ModelInfer --message FILE --clients 64
           --seconds 5 [--header 'authorization: Bearer …']

FILE holds one encoded message. Speaks just enough HTTP/2 (RFC 9113): a client made of the grpc library would take more of a small machine
than the server it loads. An answer is good where it has a message; a refusal has only trailers. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import struct
import time
from collections import Counter
from pathlib import Path

from http_load import quantiles

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END, _ACK, _END_HEADERS = 1, 1, 4
_WIDE = 2**31 - 1


def frame(kind: int, payload: bytes, flags: int = 0, stream: int = 0) -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(value: bytes) -> bytes:
    """A string of HPACK, shorter than 127 bytes."""
    assert len(value) < 127
    return bytes([len(value)]) + value


def head_of(method: str, port: int, headers: list[str]) -> bytes:
    """The header block of each call."""
    block = b"\x83\x86\x04" + text(method.encode()) + b"\x01" + text(b"127.0.0.1:%d" % port)
    for line in ("content-type: application/grpc", "te: trailers", *headers):
        name, _, value = line.partition(": ")
        block += b"\x00" + text(name.lower().encode()) + text(value.encode())
    return block


class Caller(asyncio.Protocol):
    """One connection that asks again as soon as it is answered. Its two frames are ready but for the number of the stream."""

    def __init__(self, head: bytes, message: bytes, tally: Counter[str], times_s: list[float]) -> None:
        body = b"\0" + struct.pack(">I", len(message)) + message
        self._before, self._between = frame(_HEADERS, head, _END_HEADERS)[:5], head + frame(_DATA, body, _END)[:5]
        self._after = body
        self._tally, self._times_s = tally, times_s
        self._rest = b""
        self._stream = -1
        self._has_message = False
        self._asked_s = 0.0
        self.is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        settings = struct.pack(">HI", 4, _WIDE)
        transport.write(_PREFACE + frame(_SETTINGS, settings) + frame(_WINDOW, struct.pack(">I", _WIDE - 65535)))
        self._ask()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._rest:
            data = self._rest + data
        place, end = 0, len(data)
        while end - place >= 9:
            start = place + 9
            stop = start + (data[place] << 16 | data[place + 1] << 8 | data[place + 2])
            if stop > end:
                break
            self._take(data[place + 3], data[place + 4], data[start:stop])
            place = stop
        self._rest = data[place:]

    def connection_lost(self, _: Exception | None) -> None:
        """See asyncio."""
        if not self.is_over:
            self._tally["broken"] += 1

    def _take(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == _DATA:
            self._has_message = True
        elif kind == _RST or (kind == _HEADERS and flags & _END):
            self._tally["good" if self._has_message else "refused"] += 1
            self._times_s.append(time.perf_counter() - self._asked_s)
            if not self.is_over:
                self._ask()
        elif kind == _SETTINGS and not flags & _ACK:
            self._transport.write(frame(_SETTINGS, b"", _ACK))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(frame(_PING, payload, _ACK))
            self._tally["pings"] += 1

    def _ask(self) -> None:
        self._stream += 2
        stream = self._stream.to_bytes(4)
        self._has_message = False
        self._asked_s = time.perf_counter()
        self._transport.write(b"".join((self._before, stream, self._between, stream, self._after)))


async def load(options: argparse.Namespace) -> dict[str, object]:
    """What came of it."""
    tally: Counter[str] = Counter()
    times_s: list[float] = []
    head, message = head_of(options.method, options.port, options.header), Path(options.message).read_bytes()
    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: Caller(head, message, tally, times_s), "127.0.0.1", options.port))[1]
        for _ in range(options.clients)
    ]
    await asyncio.sleep(0.3)
    before = Counter(tally)
    times_s.clear()
    await asyncio.sleep(options.seconds)
    found = Counter(tally)
    found.subtract(before)
    for caller in callers:
        caller.is_over = True
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": options.seconds, "rate": round(found["good"] / options.seconds, 1), **dict(found), "good_ms": quantiles(times_s),
        "driver_cpu_s": round(spent.ru_utime + spent.ru_stime, 3),
    }  # fmt: skip


def main() -> None:
    """Loads and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--message", required=True)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        found = asyncio.run(load(options))
    else:
        found = uvloop.run(load(options))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
