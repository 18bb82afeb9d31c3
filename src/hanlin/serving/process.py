"""One worker process as its parent sees it: start, load and unload models in it, notice the end, stop. Knows no endpoint and no routing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hanlin.engines.streams import AUTO, Streams
from hanlin.errors import EngineFailed, HanlinError
from hanlin.observe.memory import read_family_bytes
from hanlin.serving import orders
from hanlin.serving.confinement import Policy, limit_data
from hanlin.serving.memory import MemoryGuard, most_bytes, weights_bytes
from hanlin.serving.place import Place
from hanlin.serving.surroundings import cell_of, environment_of
from hanlin.serving.wire import ReplicaInfo
from hanlin.storage.failures import disk_errors

_SILENT_HALVES = 3  # of `hang_s`
_STOP_GRACE_S = 2.0  # beyond the worker's own drain time, then SIGKILL
_LINE_BYTES = 2**20  # longest line of news: the worked example of a task is in it


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How to run workers; sizes and times as in the settings of the same names."""

    run_dir: Path
    threads: int = 1
    streams: Streams = AUTO
    max_batch_tokens: int = 4096
    max_queue_tokens: int = 65_536
    max_queue_wait_s: float = 0.1
    max_items: int = 256
    max_text_bytes: int = 2**20
    drain_timeout_s: float = 10.0
    hang_s: float = 0.0  # native code that does not come back, or silence, for this long ends a worker; 0: never
    start_timeout_s: float = 120.0
    log: Path | None = None  # where the workers' stderr goes; None: to ours
    environ: Mapping[str, str] | None = None
    confinement: Policy = "available"
    memory_bytes: int = 0  # most that one worker may hold of its own; 0: `most_bytes` of its models
    pythons: Mapping[str, Path] = field(default_factory=dict)  # of engines that live in an environment of their own
    python: Path = Path(sys.executable)
    memory_share: float = 0.92  # of a graphics processor's, that one model of an engine that lives apart takes
    memory: MemoryGuard = field(default_factory=MemoryGuard)  # of all workers with these options


def remove_stale_places(run_dir: Path) -> None:
    """Remove what workers of an earlier parent left behind: they died with it."""
    for path in run_dir.glob("w*"):
        if path.suffix == ".sock":
            path.unlink(missing_ok=True)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


class WorkerProcess:
    """A started worker. Make it with `start`; it holds no model then.

    It gets all it may touch from us: a folder of its own, into which each model's files are linked before it is told to load them, and the
    sockets at which it answers, which stay open here, so that callers wait in line while its heir starts.

    Attributes:
        folder: where it finds its models; nothing else of this home concerns it.
        facts: how much each model is used, by id, as last told.
    """

    def __init__(self, process: asyncio.subprocess.Process, orders_to: socket.socket, folder: Path, options: WorkerOptions) -> None:
        self.folder = folder
        self._process = process
        self._orders_to = orders_to
        self.options = options
        self._answers: dict[str, asyncio.Future[orders.News]] = {}
        self._one_load = asyncio.Lock()
        self._weights_bytes: dict[str, int] = {}
        self._refusal: HanlinError | None = None
        self._has_told = False
        self._is_hung = False
        self.facts: dict[str, orders.ModelFacts] = {}
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    @classmethod
    async def start(cls, options: WorkerOptions, *, title: str = "", preload: Sequence[str] = ()) -> WorkerProcess:
        """Start a worker without a model. Must run on the main thread: the child dies with the thread that made it.

        Args:
            preload: engines whose libraries it shall load before it is asked for a model.

        Raises:
            NotReady: `storage_full`, `storage_unavailable`.
            OSError: the system has no process to give.
        """
        folder = options.run_dir / f"w{secrets.token_hex(6)}"
        with disk_errors():
            options.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        cell = msgspec.json.encode(
            cell_of(folder, run_dir=options.run_dir, policy=options.confinement, memory_bytes=options.memory_bytes)
        ).decode()
        argv = [str(options.python), "-m", "hanlin.serving.cell", cell, f"--parent={os.getpid()}", f"--hang-s={options.hang_s}"]
        argv += [f"--drain-timeout-s={options.drain_timeout_s}", f"--max-steps={options.threads}"]
        argv += [f"--title={title}", *(f"--preload={name}" for name in preload)]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(theirs)
                log = stack.enter_context(options.log.open("ab")) if options.log else None
                process = await asyncio.create_subprocess_exec(
                    *argv, stdin=theirs.fileno(), stdout=asyncio.subprocess.PIPE, stderr=log, cwd=folder, limit=_LINE_BYTES,
                    env=environment_of(options.environ, threads=options.threads),
                )  # fmt: skip
        except BaseException:
            ours.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(process, ours, folder, options)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    @property
    def memory_bytes(self) -> int:
        """Its own share of the machine's memory, with that of what its engine has started; 0 when unknown."""
        return read_family_bytes(self.pid)

    async def load(
        self, name: str, folder: Path, variant: str, *, version: str, endpoint: str, place: Place, threads: int, base: str = ""
    ) -> tuple[ReplicaInfo, int]:  # fmt: skip
        """Load a model under `name` and wait until it answers at `place`, on so many `threads`. One model is loaded at a time.

        Args:
            base: of an adapter that shares its base, see `orders.Load`.

        Returns:
            What it is, and by how many bytes the process grew.

        Raises:
            HanlinError: as loading failed; EngineFailed `worker_start_died` or `worker_start_timeout` (the process is killed then).
        """
        options = self.options
        order = orders.Load(
            name, token=place.route.token, folder=str(self.folder / name), variant=variant, version=version, endpoint=endpoint,
            base=base, threads=threads, streams=options.streams, max_batch_tokens=options.max_batch_tokens,
            max_queue_tokens=options.max_queue_tokens, max_queue_wait_s=options.max_queue_wait_s, max_items=options.max_items,
            max_text_bytes=options.max_text_bytes,
        )  # fmt: skip
        async with self._one_load:
            before_bytes = self.memory_bytes
            await asyncio.to_thread(link_files, folder, self.folder / name)
            self._limit_memory(name, folder, variant, has_base=bool(base and self._weights_bytes))
            try:
                async with asyncio.timeout(options.start_timeout_s):
                    news = await self._order(order, place.listener)
            except TimeoutError:
                await self.kill()
                raise EngineFailed("worker_start_timeout", seconds=int(options.start_timeout_s)) from None
            except asyncio.CancelledError:
                if self.is_alive:
                    self._send(orders.Unload(name, drain_timeout_s=0.0))  # whenever it is loaded: nobody waits for it any more
                raise
        if isinstance(news, orders.Failed):
            raise news.error.error()
        if not isinstance(news, orders.Ready):
            raise self._refusal or EngineFailed("worker_start_died", status=await self.wait())
        return news.info, max(0, self.memory_bytes - before_bytes)

    def _limit_memory(self, name: str, folder: Path, variant: str, *, has_base: bool) -> None:
        if not self.options.memory_bytes and self.options.confinement != "off":
            self._weights_bytes[name] = weights_bytes(folder, variant, has_base=has_base)
            limit_data(self.pid, most_bytes(sum(self._weights_bytes.values())))

    async def unload(self, name: str, *, if_unused_since: int | None = None) -> bool:
        """Drain a model and free it; False when it is in use again (see `orders.Unload`). A worker that takes too long is killed."""
        wait_s = self.options.drain_timeout_s
        try:
            async with asyncio.timeout(wait_s + _STOP_GRACE_S):
                news = await self._order(orders.Unload(name, drain_timeout_s=wait_s, if_unused_since=if_unused_since))
        except TimeoutError:
            await self.kill()
            return True
        if isinstance(news, orders.Busy):
            return False
        self.facts.pop(name, None)
        return True

    async def wait(self) -> int:
        """Exit status; negative for a signal, that of SIGALRM for one that hung."""
        status = await self._process.wait()
        return -signal.SIGALRM if self._is_hung else status

    async def stop(self) -> None:
        """Drain and end it; kill it when it takes too long."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self.options.drain_timeout_s + _STOP_GRACE_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it at once."""
        self.kill_now()
        await self._process.wait()

    def kill_now(self) -> None:
        """End it, and wait for nothing."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _order(self, order: orders.Order, listener: socket.socket | None = None) -> orders.News | None:
        """What comes of an order; None when the process has ended."""
        answer: asyncio.Future[orders.News] = asyncio.get_running_loop().create_future()
        self._answers[order.id] = answer
        try:
            self._send(order, listener)
            await asyncio.wait((answer, self._listening), return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        finally:
            if self._answers.get(order.id) is answer:
                del self._answers[order.id]

    def _send(self, order: orders.Order, listener: socket.socket | None = None) -> None:
        with contextlib.suppress(OSError):  # it has ended, which `_listen` sees
            socket.send_fds(self._orders_to, [orders.dump(order)], [] if listener is None else [listener.fileno()])

    async def _next_line(self, stdout: asyncio.StreamReader) -> bytes:
        """What it tells next, or its end; a worker that had begun to talk and falls silent is ended, unless it is loading.

        Several waits, for a parent that was stopped itself finds its time over before it has read what lies there; and longer than the
        worker's own watchdog, which says where it hung.
        """
        num_silent = 0
        while True:
            try:
                async with asyncio.timeout(self.options.hang_s / 2 if self.options.hang_s and self._has_told else None):
                    raw = await stdout.readline()
            except TimeoutError:
                num_silent = 0 if self._one_load.locked() else num_silent + 1
                if num_silent == _SILENT_HALVES:
                    self._is_hung = True
                    self._process.kill()
                continue
            self._has_told = True
            return raw

    async def _listen(self) -> None:
        """Until the process ends: what it tells."""
        assert self._process.stdout is not None
        while raw := await self._next_line(self._process.stdout):
            news = orders.read_news(raw)
            if isinstance(news, orders.Facts):
                self.facts = news.models
                continue
            if isinstance(news, orders.Failed) and not news.id:
                self._refusal = news.error.error()
            elif isinstance(news, orders.Failed | orders.Unloaded):
                self._weights_bytes.pop(news.id, None)
                shutil.rmtree(self.folder / news.id, ignore_errors=True)
            if news is not None and (answer := self._answers.get(news.id)) is not None and not answer.done():
                answer.set_result(news)
        self._orders_to.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def link_files(source: Path, target: Path) -> None:
    """The files of `source` under `target` too: the same bytes, copied only where the two are on different disks. Raises NotReady."""
    with disk_errors():
        for path in source.rglob("*"):
            if path.is_file():
                place = target / path.relative_to(source)
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                try:
                    place.hardlink_to(path)
                except OSError as error:
                    if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK}:
                        raise
                    shutil.copyfile(path, place)
