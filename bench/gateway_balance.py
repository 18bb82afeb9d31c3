"""How connections spread over N accepting processes: at one shared socket as the kernel wakes them, there in turn (`gateway/acceptor.py`,
what Hanlin does), and with one SO_REUSEPORT socket each.

    python bench/gateway_balance.py [--processes 2 4] [--connections 64] [--rounds 20]

Each process is a bare uvloop server that names itself; callers connect in a burst, then one after another. Told: the share of the busiest
process (ideal: 1/N), mean and worst of the rounds; and calls that had to wait while one of the processes was dead.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import statistics
import sys

import uvloop

from hanlin.gateway.acceptor import Acceptor, Connections, Tally, new_tally

_SHARED, _IN_TURN, _APART = "one shared socket", "shared, in turn", "SO_REUSEPORT"


class _Named(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        sum(range(2000))  # about what a call costs a gateway
        self._transport.write(b"%08d" % os.getpid())  # type: ignore[attr-defined]


def _listen(port: int, *, is_shared: bool) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(2048)
    return listener


def _serve(listener: socket.socket, index: int, tally: int | None) -> int:
    async def run() -> None:
        if tally is not None:
            mine = Tally(tally, index)
            held = Connections(mine)

            class Counted(_Named):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    super().connection_made(transport)
                    held.add(self)

                def connection_lost(self, exc: Exception | None) -> None:
                    held.discard(self)

            _acceptor = Acceptor(listener, Counted, mine)
            await asyncio.Event().wait()
        server = await asyncio.get_running_loop().create_server(_Named, sock=listener, backlog=2048)
        await server.serve_forever()

    pid = os.fork()
    if pid == 0:
        uvloop.run(run())
        os._exit(0)
    return pid


async def _ask(port: int, calls: int, counts: dict[bytes, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(calls):
        writer.write(b"x")
        name = await reader.readexactly(8)
    counts[name] = counts.get(name, 0) + 1
    writer.close()


async def _spread(port: int, connections: int, *, is_burst: bool) -> dict[bytes, int]:
    counts: dict[bytes, int] = {}
    tasks = []
    for _ in range(connections):
        tasks.append(asyncio.create_task(_ask(port, 20, counts)))
        if not is_burst:
            await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    return counts


async def _stuck(port: int, connections: int) -> int:
    """Connections without an answer within a second."""
    counts: dict[bytes, int] = {}
    tasks = [asyncio.create_task(_ask(port, 1, counts)) for _ in range(connections)]
    _done, waiting = await asyncio.wait(tasks, timeout=1.0)
    for task in waiting:
        task.cancel()
    return len(waiting)


def _measure(processes: int, connections: int, rounds: int, form: str) -> None:
    is_shared = form != _APART
    tally = new_tally(processes) if form == _IN_TURN else None
    first = _listen(0, is_shared=is_shared)
    port = first.getsockname()[1]
    listeners = [first] * processes if is_shared else [first, *(_listen(port, is_shared=False) for _ in range(processes - 1))]
    pids = [_serve(listener, index, tally) for index, listener in enumerate(listeners)]
    try:
        asyncio.run(asyncio.sleep(0.5))
        for is_burst in (True, False):
            shares = [max(asyncio.run(_spread(port, connections, is_burst=is_burst)).values()) / connections for _ in range(rounds)]
            found = f"busiest {statistics.mean(shares):.2f} mean, {max(shares):.2f} worst (ideal {1 / processes:.2f})"
            print(f"{form:18} {processes} processes, {'burst' if is_burst else 'one by one':10}: {found}")
        os.kill(pids[0], signal.SIGKILL)
        os.waitpid(pids.pop(0), 0)
        print(f"{form:18} {processes} processes, one dead  : {asyncio.run(_stuck(port, connections))} of {connections} calls wait for it")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for listener in listeners:
            listener.close()


def main() -> int:
    """Both forms, each number of processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    for processes in options.processes:
        for form in (_SHARED, _IN_TURN, _APART):
            _measure(processes, options.connections, options.rounds, form)
    return 0


if __name__ == "__main__":
    sys.exit(main())
