"""One worker process as its parent sees it: start, wait until ready, notice the end, stop. Knows no endpoint and no routing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hanlin.errors import FAMILIES, EngineFailed, HanlinError, Internal
from hanlin.serving.memory import MemoryGuard
from hanlin.serving.routes import ReplicaRoute
from hanlin.serving.wire import ReplicaInfo

_STOP_GRACE_S = 2.0  # beyond the worker's own drain time, then SIGKILL


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How to run workers; sizes and times as in the settings of the same names."""

    run_dir: Path
    threads: int = 1
    max_batch_tokens: int = 4096
    max_queue_tokens: int = 65_536
    max_items: int = 256
    max_text_bytes: int = 2**20
    drain_timeout_s: float = 10.0
    start_timeout_s: float = 120.0
    log: Path | None = None  # where the workers' stderr goes; None: to ours
    environ: Mapping[str, str] | None = None
    memory: MemoryGuard = field(default_factory=MemoryGuard)  # of all workers with these options


class Failure(msgspec.Struct):
    """Why a worker could not load, as it tells its parent: words are found where they are read."""

    family: str = "Internal"
    code: str = "internal"
    params: dict[str, str | int | float | bool | None] = {}


class _Line(msgspec.Struct):
    state: str
    info: ReplicaInfo | None = None
    error: Failure = msgspec.field(default_factory=Failure)


def new_route(run_dir: Path) -> ReplicaRoute:
    """A place of its own for a worker to listen, and the token that callers must show there."""
    return ReplicaRoute(str(run_dir / f"w{secrets.token_hex(6)}.sock"), secrets.token_urlsafe(24))


def remove_stale_sockets(run_dir: Path) -> None:
    """Remove what workers of an earlier parent left behind: they died with it."""
    for path in run_dir.glob("w*.sock"):
        path.unlink(missing_ok=True)


class WorkerProcess:
    """A started worker. Make it with `start`.

    Attributes:
        info: what it serves.
        route: where it listens.
    """

    def __init__(self, process: asyncio.subprocess.Process, route: ReplicaRoute, info: ReplicaInfo, drain_timeout_s: float) -> None:
        self._process = process
        self._drain_timeout_s = drain_timeout_s
        self.route = route
        self.info = info

    @classmethod
    async def start(
        cls, folder: Path, variant: str, *, version: str, endpoint: str, options: WorkerOptions, route: ReplicaRoute | None = None
    ) -> WorkerProcess:  # fmt: skip
        """Start a worker and wait until it is ready. Must run on the main thread: the child dies with the thread that made it.

        Args:
            route: where it shall listen; None takes a new place.

        Raises:
            HanlinError: as loading failed; EngineFailed `worker_start_died` or `worker_start_timeout`.
        """
        options.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        route = route or new_route(options.run_dir)
        process = await _spawn(route, folder, variant, version=version, endpoint=endpoint, options=options)
        try:
            async with asyncio.timeout(options.start_timeout_s):
                info = await _wait_ready(process)
        except BaseException as error:
            await _kill(process)
            Path(route.socket).unlink(missing_ok=True)
            if isinstance(error, TimeoutError):
                raise EngineFailed("worker_start_timeout", seconds=int(options.start_timeout_s)) from None
            raise
        return cls(process, route, info, options.drain_timeout_s)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Exit status; negative for a signal."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Drain and end it; kill it when it takes too long."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._drain_timeout_s + _STOP_GRACE_S):
                await self._process.wait()
        except TimeoutError:
            await _kill(self._process)
        finally:
            Path(self.route.socket).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove what a dead worker left behind."""
        Path(self.route.socket).unlink(missing_ok=True)


async def _spawn(
    route: ReplicaRoute, folder: Path, variant: str, *, version: str, endpoint: str, options: WorkerOptions
) -> asyncio.subprocess.Process:  # fmt: skip
    arguments = {
        "socket": route.socket, "folder": folder, "variant": variant, "version": version, "endpoint": endpoint, "parent": os.getpid(),
        "threads": options.threads, "max-batch-tokens": options.max_batch_tokens, "max-queue-tokens": options.max_queue_tokens,
        "max-items": options.max_items, "max-text-bytes": options.max_text_bytes, "drain-timeout-s": options.drain_timeout_s,
    }  # fmt: skip
    argv = [sys.executable, "-m", "hanlin.serving.worker", *(f"--{name}={value}" for name, value in arguments.items())]
    log = options.log.open("ab") if options.log else None
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, env=_environ(options), cwd=options.run_dir
        )  # fmt: skip
    finally:
        if log is not None:
            log.close()
    assert process.stdin is not None
    process.stdin.write(route.token.encode() + b"\n")
    return process


def _environ(options: WorkerOptions) -> dict[str, str]:
    """The worker's environment: no keys and no database in it, threads bounded for libraries that read them there."""
    source = os.environ if options.environ is None else options.environ
    kept = {name: value for name, value in source.items() if not name.startswith("HANLIN_")}
    return kept | {"OMP_NUM_THREADS": str(options.threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"}


async def _wait_ready(process: asyncio.subprocess.Process) -> ReplicaInfo:
    assert process.stdout is not None
    while raw := await process.stdout.readline():
        try:
            line = msgspec.json.decode(raw, type=_Line)
        except msgspec.MsgspecError:
            continue  # a library that prints
        if line.state == "ready" and line.info is not None:
            return line.info
        raise _load_error(line)
    status = await process.wait()
    raise EngineFailed("worker_start_died", status=status)


def _load_error(line: _Line) -> HanlinError:
    return FAMILIES.get(line.error.family, Internal).of(line.error.code, line.error.params)


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
