"""The worker process: one variant behind one private unix socket.

    python -m hanlin.serving.worker --socket S --folder F --variant V --threads N --version NAME:3 …

The first line of stdin is the token that connections must show; the end of stdin ends the process. One JSON line on stdout says
`{"state": "ready", "info": …}` or `{"state": "failed", "error": …}`. SIGTERM drains: in-flight calls end, then the process does.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec

from hanlin.engines.base import max_batch_tokens
from hanlin.errors import EngineFailed, HanlinError
from hanlin.observe.memory import settle
from hanlin.serving import parent
from hanlin.serving.batcher import Batcher
from hanlin.serving.door import Door
from hanlin.serving.loading import describe, load
from hanlin.serving.replica import Replica
from hanlin.tasks.base import Limits

_SWITCH_S = 0.0005  # Python's 5 ms would let the engine wait for the loop's answers before each step
_INTEGERS = {"threads": 1, "max-batch-tokens": 4096, "max-queue-tokens": 65_536, "max-items": 256, "max-text-bytes": 2**20}


def main(argv: list[str] | None = None) -> int:
    """Run until stdin ends or SIGTERM. The exit status is 0 after a drain, 1 when loading failed."""
    options = _options(argv)
    parent.die_with_parent(options.parent)
    parent.set_title(f"hanlin worker {options.endpoint} {options.version} {options.variant}")
    token = parent.read_line()
    parent.exit_at_eof()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    try:
        import uvloop

        return uvloop.run(_run(options, token))  # type: ignore[no-any-return]
    except ImportError:
        return asyncio.run(_run(options, token))


async def _run(options: argparse.Namespace, token: str) -> int:
    limits = Limits(max_items=options.max_items, max_text_bytes=options.max_text_bytes)
    try:
        loaded = load(Path(options.folder), options.variant, threads=options.threads, limits=limits)
    except Exception as error:
        known = (
            error
            if isinstance(error, HanlinError)
            else EngineFailed("engine_load_failed", variant=options.variant, reason=type(error).__name__)
        )
        if known is not error or known.details:
            sys.stderr.write(f"{type(error).__name__}: {known.details or error}\n")
        _tell({"state": "failed", "error": {"family": known.family, "code": known.code, "params": known.params}})
        return 1
    max_tokens = min(options.max_batch_tokens, max_batch_tokens(options.variant))
    batcher = Batcher(
        max_batch_tokens=max_tokens, max_batch_rows=loaded.max_batch_rows, max_queue_tokens=options.max_queue_tokens
    )  # fmt: skip
    replica = Replica(loaded, batcher)
    info = describe(loaded, version=options.version, variant=options.variant)
    door = Door(replica, token=token, info=info)
    path = Path(options.socket)
    path.unlink(missing_ok=True)
    old_mask = os.umask(0o177)  # the socket is born 0600
    try:
        server = await asyncio.get_running_loop().create_unix_server(door.protocol, str(path), backlog=64)
    finally:
        os.umask(old_mask)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    settle()
    sys.setswitchinterval(_SWITCH_S)
    _tell({"state": "ready", "info": msgspec.to_builtins(info)})
    broken = asyncio.ensure_future(door.broken.wait())
    await asyncio.wait([asyncio.ensure_future(ending.wait()), broken], return_when=asyncio.FIRST_COMPLETED)
    server.close()
    path.unlink(missing_ok=True)
    if broken.done():
        os._exit(3)  # a peer with the token sent garbage: no state of ours is to be trusted
    await replica.drain(options.drain_timeout_s)
    await door.close()
    replica.close()
    return 0


def _tell(message: dict[str, object]) -> None:
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hanlin.serving.worker")
    for name in ("--socket", "--folder", "--variant", "--version"):
        parser.add_argument(name, required=True)
    parser.add_argument("--endpoint", default="-")
    parser.add_argument("--parent", type=int, default=None)
    for name, default in _INTEGERS.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--drain-timeout-s", type=float, default=10.0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
