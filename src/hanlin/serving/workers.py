"""Which worker process a model goes to: one of its own, or one that it shares with other small models of its team.

Own: a crash takes nobody along, at the price of a process (interpreter and engine library) for each model. Shared: a further model costs
little more than its weights, but a crash takes all models of that process with it, and they come back together.
A spare process stands by with the engine libraries loaded, so that a cold model or the heir of a dead worker need not wait for that.
Runs on the main thread's event loop (see `WorkerProcess.start`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

from hanlin.engines.apart import LOAD_S, SHARE_VARIABLE, check_version
from hanlin.errors import EngineFailed, HanlinError
from hanlin.serving.confinement import PROTECTIONS
from hanlin.serving.orders import ModelFacts
from hanlin.serving.place import Place
from hanlin.serving.process import WorkerOptions, WorkerProcess
from hanlin.serving.surroundings import environment_of
from hanlin.serving.wire import ReplicaInfo
from hanlin.types import Isolation

SHARED_THREADS = 1  # of one model's step: others answer beside it, and OpenVINO compiles the model once, not twice
ADAPTERS_PER_WORKER = 1000  # of one base: they take turns at one queue
MODELS_PER_WORKER = 16  # of a shared one: more would wait for each other's turns at one interpreter


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model to load. `owner` tells apart what may share a process: deployments of one team. `title` is shown in ps.

    `base` is what an adapter stands on; where its isolation is shared, it shares that with the others that stand on it.
    """

    owner: str
    deployment_id: str
    folder: Path
    variant: str
    version: str
    title: str
    isolation: Isolation = "own"
    base: str = ""

    @property
    def group(self) -> str:
        """What may share a process with it."""
        return f"{self.owner} {self.base} {self.variant}" if self.base else self.owner


@dataclass(slots=True)
class _Shared:
    """A process that several models share, and their names, those that are being loaded included."""

    process: WorkerProcess
    names: set[str] = field(default_factory=set)
    is_base: bool = False
    memory_bytes: int = 0  # of a base with its adapters, as last read


class LoadedModel:
    """A model that answers, in some worker process. `Workers.start` makes it.

    Attributes:
        info: what it serves.

    Args:
        memory_bytes: by how much its process grew with it, or the whole process where it has its own; 0: unknown.
    """

    def __init__(self, name: str, process: WorkerProcess, info: ReplicaInfo, memory_bytes: int) -> None:
        self.info = info
        self._memory_bytes = memory_bytes
        self._name = name
        self._process = process
        self._shared: tuple[Workers, _Shared] | None = None

    @property
    def memory_bytes(self) -> int:
        """What it takes; of a base that it shares, its part."""
        if self._shared is not None and (shared := self._shared[1]).is_base:
            return shared.memory_bytes // max(1, len(shared.names))
        return self._memory_bytes

    @property
    def pid(self) -> int:
        """Of the process that holds it."""
        return self._process.pid

    @property
    def facts(self) -> ModelFacts | None:
        """How much it is used, as last told."""
        return self._process.facts.get(self._name)

    async def wait(self) -> int:
        """Exit status of its process."""
        return await self._process.wait()

    def kill(self) -> None:
        """End its process at once."""
        self._process.kill_now()

    async def stop(self) -> None:
        """Drain and free it."""
        if self._shared is None:
            await self._process.stop()
        else:
            await self._process.unload(self._name)
            await self._left()

    async def unload_if_unused(self, since: int) -> bool:
        """Free it unless more than `since` calls have come by now, or one is in flight: False then. `stop` it afterwards."""
        return await self._process.unload(self._name, if_unused_since=since)

    async def _left(self) -> None:
        assert self._shared is not None
        workers, shared = self._shared
        await workers.leave(shared, self._name)

    def share(self, workers: Workers, shared: _Shared) -> None:
        """It has a place in a shared process, which it gives back when it ends."""
        self._shared = (workers, shared)


class Workers:
    """All worker processes of a home.

    Args:
        has_spare: keep a process ready for the next model.
    """

    def __init__(self, options: WorkerOptions, *, has_spare: bool = False) -> None:
        self.options = options
        self._has_spare = has_spare
        self._shared: dict[str, list[_Shared]] = {}
        self._deadly: set[str] = set()  # deployments under whose loading a shared process died: they load alone
        self._engines: set[str] = set()
        self._spare: asyncio.Task[WorkerProcess] | None = None
        self._one_placing = asyncio.Lock()  # two who find no room at once must not both make some

    async def start(self, wanted: Wanted, place: Place) -> LoadedModel:
        """Load a model and wait until it answers at `place`.

        Raises:
            HanlinError: as `WorkerProcess.load`.
            OSError: as `WorkerProcess.start`.
        """
        is_apart = (engine := wanted.variant.rpartition("-")[0]) in self.options.pythons
        if not is_apart:
            self._engines.add(engine)
        try:
            if wanted.isolation == "shared" and wanted.deployment_id not in self._deadly and not is_apart:
                return await self._start_shared(wanted, place)
            return await self._start_own(wanted, place)
        finally:
            self._prepare_spare()

    def has_base(self, wanted: Wanted) -> bool:
        """Whether what an adapter stands on is in memory already."""
        return bool(wanted.base) and any(shared.process.is_alive and shared.names for shared in self._shared.get(wanted.group, []))

    async def leave(self, shared: _Shared, name: str) -> None:
        """A model is gone from a shared process; with the last one the process ends."""
        shared.names.discard(name)
        if not shared.names:
            await self._end(shared)
        elif shared.is_base:
            shared.memory_bytes = shared.process.memory_bytes

    async def close(self) -> None:
        """End the spare; what holds models is ended by their owners."""
        self._has_spare = False
        if self._spare is not None:
            spare, self._spare = self._spare, None
            spare.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, HanlinError):
                await (await spare).kill()

    async def _start_own(self, wanted: Wanted, place: Place) -> LoadedModel:
        process = await self._take_process(wanted)
        name = _new_name()
        try:
            info, _ = await _load(process, name, wanted, place, threads=process.options.threads)
        except BaseException:
            await process.kill()
            raise
        return LoadedModel(name, process, info, process.memory_bytes)

    async def _start_shared(self, wanted: Wanted, place: Place) -> LoadedModel:
        name = _new_name()
        async with self._one_placing:
            shared = await self._place(wanted, name)
        try:
            threads = self.options.threads if wanted.base else SHARED_THREADS
            info, grown_bytes = await _load(shared.process, name, wanted, place, threads=threads)
        except BaseException as error:
            if not shared.process.is_alive and isinstance(error, HanlinError):
                self._deadly.add(wanted.deployment_id)
            await self.leave(shared, name)
            raise
        loaded = LoadedModel(name, shared.process, info, grown_bytes)
        loaded.share(self, shared)
        if shared.is_base:
            shared.memory_bytes = shared.process.memory_bytes
        return loaded

    async def _place(self, wanted: Wanted, name: str) -> _Shared:
        """A shared process of the owner with room for one more; the place is taken."""
        processes, most = self._shared.setdefault(wanted.group, []), ADAPTERS_PER_WORKER if wanted.base else MODELS_PER_WORKER
        processes[:] = [shared for shared in processes if shared.process.is_alive]
        found = next((shared for shared in processes if len(shared.names) < most), None)
        if found is None:
            found = _Shared(await self._take_process(wanted), is_base=bool(wanted.base))
            processes.append(found)
        found.names.add(name)
        return found

    async def _end(self, shared: _Shared) -> None:
        for processes in self._shared.values():
            if shared in processes:
                processes.remove(shared)
        await shared.process.stop()

    async def _take_process(self, wanted: Wanted) -> WorkerProcess:
        if (options := options_for(self.options, wanted.variant)) is not self.options:
            environ = environment_of(options.environ, threads=options.threads)
            await asyncio.to_thread(check_version, wanted.variant.rpartition("-")[0], options.python, environ)
            return await WorkerProcess.start(options, title=wanted.title)
        spare, self._spare = self._spare, None
        if spare is not None:
            with contextlib.suppress(OSError, HanlinError):  # what kept it from starting then may be over
                process = await spare
                if process.is_alive:
                    return process
        return await WorkerProcess.start(self.options, title=wanted.title)

    def _prepare_spare(self) -> None:
        if self._has_spare and self._spare is None:
            start = WorkerProcess.start(self.options, preload=sorted(self._engines))
            self._spare = asyncio.get_running_loop().create_task(start)


def options_for(options: WorkerOptions, variant: str) -> WorkerOptions:
    """How the worker of a variant runs, whose engine may live in an environment of its own.

    There it is not confined: such engines compile as they load, look for processors and write down what they found; and may take long.

    Raises:
        EngineFailed: `confinement_incomplete` where a worker must be confined.
    """
    python = options.pythons.get(variant.rpartition("-")[0])
    if python is None:
        return options
    if options.confinement == "required":
        raise EngineFailed("confinement_incomplete", missing=", ".join(PROTECTIONS))
    environ = {**(os.environ if options.environ is None else options.environ), SHARE_VARIABLE: str(options.memory_share)}
    start_timeout_s = max(options.start_timeout_s, LOAD_S)
    return replace(options, python=python, confinement="off", start_timeout_s=start_timeout_s, environ=environ)


async def _load(process: WorkerProcess, name: str, wanted: Wanted, place: Place, *, threads: int) -> tuple[ReplicaInfo, int]:
    return await process.load(
        name, wanted.folder, wanted.variant, version=wanted.version, endpoint=wanted.title, place=place, threads=threads,
        base=wanted.base if wanted.isolation == "shared" else "",
    )  # fmt: skip


def _new_name() -> str:
    return secrets.token_hex(4)
