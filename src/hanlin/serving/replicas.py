"""The replicas of one deployment: keeps the wanted number of workers alive, with back-off, and tells what changed.

A deployment that has never been ready fails for good when its model does not load; one that was ready is restarted for ever,
unless its stored files are damaged or gone: then it fails too, with the last of its workers.
Runs on the main thread's event loop (see `Workers`).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from hanlin.errors import DataCorrupt, EngineFailed, HanlinError, NotFound
from hanlin.messages.said import Said
from hanlin.serving.declared import DeploymentSpec, DeploymentState
from hanlin.serving.memory import weights_bytes
from hanlin.serving.place import Place
from hanlin.serving.residency import Usage
from hanlin.serving.routes import EndpointRoute, ReplicaRoute
from hanlin.serving.wire import ReplicaInfo
from hanlin.serving.workers import LoadedModel, Wanted, Workers

_log = logging.getLogger("hanlin.serving")

RETRYABLE_STARTS = 3  # a first start that dies of a signal may have been unlucky; one that reports an error has not
_UNLUCKY = frozenset({"worker_start_died", "worker_not_started"})
_BACKOFF_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_NO_ROOM_S = 1.0  # a model that found no room is not tried again sooner
_GROWTH = 1.5  # memory of a model that was never loaded, in sizes of its files
_HEALTHY_S = 1.0  # one that was ready this long, or has answered, starts its back-off anew: that is for workers that cannot live


MakeRoom = Callable[[DeploymentSpec, int], Awaitable[None]]


async def _no_limit(_spec: DeploymentSpec, _size_bytes: int) -> None:
    """Any model may be loaded."""


class ReplicaSet:
    """The workers of one deployment.

    Args:
        materialize: gives the local artifact folder; may block, runs on a thread.
        on_change: called on the loop whenever routes or state changed.
        make_room: awaited before a model of so many bytes is loaded for a deployment. Raises NotReady (`insufficient_memory`).

    Attributes:
        usage: when it was last used.
        load_s: how long loading took last; 0: not known yet.
    """

    def __init__(
        self, spec: DeploymentSpec, *, materialize: Callable[[DeploymentSpec], Path], workers: Workers, on_change: Callable[[], None],
        make_room: MakeRoom = _no_limit,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.usage = Usage(0.0)
        self.load_s = 0.0
        self.state: DeploymentState = "failed" if spec.has_failed else "starting"
        self.reason: Said | None = None
        self.restarts = 0
        self._materialize = materialize
        self._workers = workers
        self._on_change = on_change
        self._loaded: dict[int, LoadedModel] = {}
        self._places: dict[int, Place] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._folder: asyncio.Task[Path] | None = None
        self._make_room = make_room
        self._info: ReplicaInfo | None = None
        self._size_bytes = 0
        self._is_called = self._is_falling = False
        self._not_before_s = 0.0
        self._was_ready = spec.was_ready

    @property
    def routes(self) -> tuple[ReplicaRoute, ...]:
        """Workers that can answer now."""
        return tuple(self._places[slot].route for slot in sorted(self._loaded))

    @property
    def info(self) -> ReplicaInfo | None:
        """What the workers serve, or served before they slept; None until one was ready."""
        return self._info

    @property
    def route(self) -> EndpointRoute:
        """What gateways are told."""
        spec = self.spec
        quarantine = f"{spec.team_id}/" if spec.isolation == "shared" else ""
        return EndpointRoute(
            spec.model, spec.version, spec.variant, self.state, self.routes, self.info, spec.deployment_id,
            spec.long_text, spec.cache_ttl_s, quarantine=quarantine, load_s=self.load_s,
            lacks_room=self.state == "asleep" and self.reason is not None, can_sleep=spec.min_replicas == 0,
        )  # fmt: skip

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the ready workers."""
        return tuple(worker.pid for worker in self._loaded.values())

    @property
    def size_bytes(self) -> int:
        """Memory that its models take at present; 0 when unknown."""
        return sum(model.memory_bytes for model in self._loaded.values())

    def start(self) -> None:
        """Begin to hold the wanted number of workers; none of a deployment that has failed, or that may sleep and has served before."""
        if self.state != "failed" and self.spec.was_ready and self.spec.min_replicas == 0:
            self._set("asleep")
        elif self.state != "failed":
            self.scale(self.spec)

    @property
    def is_complete(self) -> bool:
        """Whether all replicas that are wanted answer."""
        return len(self._loaded) == len(self._tasks)

    def observe(self, now_s: float) -> None:
        """Learn from the workers how much it is used."""
        facts = {slot: model.facts for slot, model in self._loaded.items()}
        known = {slot: fact for slot, fact in facts.items() if fact is not None}
        self.usage.see({slot: fact.num_calls for slot, fact in known.items()}, sum(fact.inflight for fact in known.values()), now_s=now_s)

    def wake(self) -> None:
        """Somebody calls: load, if it sleeps or is about to."""
        self._is_called = True
        if self.state == "asleep" and not self._is_falling and asyncio.get_running_loop().time() >= self._not_before_s:
            self._is_called = False
            self._set("starting")
            self.scale(self.spec)

    def accuse(self, path: str) -> None:
        """End the worker that listens at `path`, if it is one of these: it broke the protocol, and its heir answers instead."""
        for slot, place in self._places.items():
            if place.route.socket == path and (model := self._loaded.get(slot)) is not None:
                _log.warning("a worker broke the protocol and is ended", extra={"endpoint": self.spec.endpoint, "pid": model.pid})
                model.kill()

    async def fall_asleep(self) -> bool:
        """Free all its models unless one is in use again; no call fails: what comes meanwhile waits and wakes it. False when it stays."""
        self._is_called = False
        while self._tasks:
            slot = len(self._tasks) - 1
            model = self._loaded.get(slot)
            if model is None or not await model.unload_if_unused(self.usage.num_calls.get(slot, 0)):
                self.scale(self.spec)  # those that have gone already come back
                return False
            if not self._tasks:  # stopped meanwhile
                return False
            self._is_falling = True  # nobody answers any more: routes say so at once, and who calls now wakes it afterwards
            task = self._tasks.pop()
            if not self._tasks:
                self._set("asleep")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._is_falling = False
        if self._is_called:
            self.wake()
        return True

    def scale(self, spec: DeploymentSpec) -> None:
        """Take over a changed number of replicas; new ones start, surplus ones drain. One that sleeps remembers it until it wakes."""
        self.spec = spec
        if self.state == "asleep":
            return
        while len(self._tasks) > spec.replicas:
            self._tasks.pop().cancel()
        while len(self._tasks) < spec.replicas:
            self._tasks.append(asyncio.get_running_loop().create_task(self._hold(len(self._tasks))))

    async def stop(self) -> None:
        """Drain all workers. The routes are empty at once."""
        self._set("draining")
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._places:
            self._places.popitem()[1].close()
        self._set("stopped")

    async def _hold(self, slot: int) -> None:
        """Keep one worker alive until cancelled, then drain it.

        Its successors listen at the same place, so a full disk on which no routes can be written keeps nobody from serving.
        """
        try:
            await self._hold_at_place(slot)
        finally:
            if (place := self._places.pop(slot, None)) is not None:
                place.close()

    async def _hold_at_place(self, slot: int) -> None:
        attempt = 0
        loop = asyncio.get_running_loop()
        while self.state not in {"failed", "asleep"}:
            await asyncio.sleep(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
            attempt += 1
            begun_s = loop.time()
            try:
                worker = await self._start_worker(slot)
            except HanlinError as error:
                attempt = max(attempt, self._start_failed(error, attempt))
                continue
            self.load_s = round(loop.time() - begun_s, 2)
            born_s = loop.time()
            self.usage.last_used_s = born_s
            self._loaded[slot] = worker
            self._info = worker.info
            self._was_ready = True
            self._set("ready")
            try:
                status = await worker.wait()
            except asyncio.CancelledError:
                del self._loaded[slot]
                self._on_change()
                await worker.stop()
                raise
            del self._loaded[slot]
            self.restarts += 1
            if loop.time() - born_s > _HEALTHY_S or (worker.facts is not None and worker.facts.num_answered):
                attempt = 0
            _log.warning("worker ended", extra={"endpoint": self.spec.endpoint, "version": self.spec.version, "status": status})
            self._set("ready" if self._loaded else "starting", None if self._loaded else _end_of_worker(status))

    async def _start_worker(self, slot: int) -> LoadedModel:
        if self._folder is None or self._folder.done():  # again at every start: bytes on a disk do not stay right by themselves
            self._folder = asyncio.get_running_loop().create_task(asyncio.to_thread(self._materialize, self.spec))
        try:
            folder = await asyncio.shield(self._folder)
        except HanlinError:
            raise
        except Exception as error:
            raise EngineFailed("artifact_unavailable", details=f"{type(error).__name__}: {error}") from error
        spec = self.spec
        base = spec.base if spec.isolation == "shared" else ""
        wanted = Wanted(spec.team_id, spec.deployment_id, folder, spec.variant, spec.version, spec.endpoint, spec.isolation, base)
        size_bytes = weights_bytes(folder, spec.variant, has_base=self._workers.has_base(wanted))
        await self._make_room(spec, self._size_bytes or round(size_bytes * _GROWTH))
        async with self._workers.options.memory.room_for(size_bytes):
            if slot not in self._places:
                self._places[slot] = Place(self._workers.options.run_dir)
            try:
                loaded = await self._workers.start(wanted, self._places[slot])
            except OSError as error:  # no process to be had, or files that went as they were linked
                raise EngineFailed("worker_not_started", details=f"{type(error).__name__}: {error}") from error
        self._size_bytes = loaded.memory_bytes
        return loaded

    def _start_failed(self, error: HanlinError, attempt: int) -> int:
        """Fails the deployment where trying again is no use; the least number of attempts to count for the pause before the next."""
        _log.warning("worker did not start", extra={"endpoint": self.spec.endpoint, "code": error.code, "details": error.details})
        is_damaged = isinstance(error, DataCorrupt | NotFound)
        is_final = error.code not in _UNLUCKY or attempt >= RETRYABLE_STARTS
        if not self._loaded and (is_damaged or (is_final and not self._was_ready)):
            self._set("failed", Said(error.code, error.params))
        elif error.code == "insufficient_memory" and self.spec.min_replicas == 0 and not self._loaded:
            self._stay_asleep(Said(error.code, error.params))
        else:
            self._set("ready" if self._loaded else "starting", Said(error.code, error.params))
        return len(_BACKOFF_S) if is_damaged else 0  # reading all bytes anew is dear, and seldom finds them mended

    def _stay_asleep(self, reason: Said) -> None:
        """There is no room: it sleeps on until it is called again."""
        self._not_before_s = asyncio.get_running_loop().time() + _NO_ROOM_S
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._set("asleep", reason)

    def _set(self, state: DeploymentState, reason: Said | None = None) -> None:
        if (state, reason) != (self.state, self.reason) or state == "ready":
            self.state, self.reason = state, reason
            self._on_change()


def _end_of_worker(status: int) -> Said:
    return Said("worker_hung", {}) if status == -signal.SIGALRM else Said("worker_ended", {"status": status})
