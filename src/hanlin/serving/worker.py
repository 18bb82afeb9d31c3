"""The worker process: holds models, each behind a private unix socket of its own, and does what its parent orders.

    python -m hanlin.serving.worker --parent PID [--title T] [--preload onnxruntime]

Orders come as packets on stdin, news go as lines to stdout (`orders.py`). The end of stdin ends the process at once.
SIGTERM drains: in-flight calls end, then the process does.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys

from hanlin.observe.orphans import die_with_parent
from hanlin.serving import orders, parent
from hanlin.serving.host import ALIVE_S, Host
from hanlin.serving.loading import prepare
from hanlin.serving.watchdog import WATCHDOG

_SWITCH_S = 0.0005  # Python's 5 ms would let the engine wait for the loop's answers before each step


def main(argv: list[str] | None = None) -> int:
    """Run until stdin ends or SIGTERM. Exit status: 0 after a drain, 3 when a gateway broke the protocol, 4 when an engine's core died."""
    options = _options(argv)
    die_with_parent(options.parent)
    parent.set_title(f"hanlin worker {options.title}" if options.title else "hanlin spare worker")
    WATCHDOG.start(options.hang_s)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    try:
        import uvloop

        return uvloop.run(_run(options))  # type: ignore[no-any-return]
    except ImportError:
        return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    news = parent.private_stdout()

    def tell(line: orders.Line) -> None:
        news.write(orders.dump(line))
        news.flush()

    sys.setswitchinterval(_SWITCH_S)
    host = Host(tell, max_steps=options.max_steps, alive_s=min(ALIVE_S, options.hang_s / 4) if options.hang_s else ALIVE_S)
    if options.preload:
        prepare(options.preload)

    def hear(packet: bytes, descriptors: list[int]) -> None:
        listener = _listener(descriptors[0]) if descriptors else None
        loop.call_soon_threadsafe(host.take, orders.read_order(packet), listener)

    parent.each_packet(hear)
    telling = loop.create_task(host.tell_facts())  # to the end, also while it drains
    broken = loop.create_task(host.broken.wait())
    await asyncio.wait([loop.create_task(ending.wait()), broken], return_when=asyncio.FIRST_COMPLETED)
    if broken.done():
        os._exit(3)  # a peer with the token sent garbage: no state of ours is to be trusted
    await host.close(options.drain_timeout_s)
    telling.cancel()
    os._exit(0)  # at once, also when a model is still being loaded


def _listener(descriptor: int) -> socket.socket:
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    return listener


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hanlin.serving.worker")
    parser.add_argument("--title", default="")
    parser.add_argument("--parent", type=int, default=None)
    parser.add_argument("--preload", action="append", default=[])
    parser.add_argument("--max-steps", type=int, default=None)
    parser.add_argument("--hang-s", type=float, default=0.0)
    parser.add_argument("--drain-timeout-s", type=float, default=10.0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
