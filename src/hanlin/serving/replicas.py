"""The replicas of one deployment: keeps the wanted number of workers alive, with back-off, and tells what changed.

A deployment that has never been ready fails for good when its model does not load; one that was ready is restarted for ever,
unless its stored files are damaged or gone: then it fails too, with the last of its workers.
Runs on the main thread's event loop (see `WorkerProcess.start`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hanlin.errors import DataCorrupt, EngineFailed, HanlinError, NotFound
from hanlin.messages.said import Said
from hanlin.serving.memory import weights_bytes
from hanlin.serving.process import WorkerOptions, WorkerProcess, new_route
from hanlin.serving.routes import ReplicaRoute
from hanlin.serving.wire import ReplicaInfo
from hanlin.types import LongText

_log = logging.getLogger("hanlin.serving")

Role = Literal["live", "canary", "shadow"]
DeploymentState = Literal["starting", "ready", "failed", "draining", "stopped"]
RETRYABLE_STARTS = 3  # a first start that dies of a signal may have been unlucky; one that reports an error has not
_BACKOFF_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_HEALTHY_S = 1.0  # one that was ready this long starts its back-off anew: the back-off is for workers that cannot live


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """What shall run.

    Args:
        deployment_id: of the row that declares it.
        version: shown to callers, such as `sentiment-zh:3`.
        has_failed: it is known not to start, and shall not be tried.
        long_text, cache_ttl_s: how the endpoint answers; both may change while the workers run.
        replicas, max_replicas: at least and at most so many, as load asks for; a maximum of 0 means no more than at least.
        role: whether it serves, or is tried beside what serves.
        weight: percent of the calls that a canary answers, or a shadow gets copies of.
    """

    deployment_id: str
    team_id: str
    endpoint: str
    model: str
    version: str
    variant: str
    replicas: int = 1
    has_failed: bool = False
    long_text: LongText = "refuse"
    cache_ttl_s: int = 0
    max_replicas: int = 0
    role: Role = "live"
    weight: int = 0


class ReplicaSet:
    """The workers of one deployment.

    Args:
        materialize: gives the local artifact folder; may block, runs on a thread.
        on_change: called on the loop whenever routes or state changed.
    """

    def __init__(
        self, spec: DeploymentSpec, *, materialize: Callable[[DeploymentSpec], Path], options: WorkerOptions, on_change: Callable[[], None]
    ) -> None:  # fmt: skip
        self.spec = spec
        self.state: DeploymentState = "failed" if spec.has_failed else "starting"
        self.reason: Said | None = None
        self.restarts = 0
        self._materialize = materialize
        self._options = options
        self._on_change = on_change
        self._workers: dict[int, WorkerProcess] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._folder: asyncio.Task[Path] | None = None
        self._was_ready = False

    @property
    def routes(self) -> tuple[ReplicaRoute, ...]:
        """Workers that can answer now."""
        return tuple(self._workers[slot].route for slot in sorted(self._workers))

    @property
    def info(self) -> ReplicaInfo | None:
        """What the workers serve; None until one was ready."""
        return next((worker.info for worker in self._workers.values()), None)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the ready workers."""
        return tuple(worker.pid for worker in self._workers.values())

    def start(self) -> None:
        """Begin to hold the wanted number of workers; none of a deployment that has failed."""
        if self.state != "failed":
            self.scale(self.spec)

    def scale(self, spec: DeploymentSpec) -> None:
        """Take over a changed number of replicas; new ones start, surplus ones drain."""
        self.spec = spec
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
        self._set("stopped")

    async def _hold(self, slot: int) -> None:
        """Keep one worker alive until cancelled, then drain it.

        Its successors listen at the same place, so a full disk on which no routes can be written keeps nobody from serving.
        """
        attempt, route = 0, new_route(self._options.run_dir)
        loop = asyncio.get_running_loop()
        while self.state != "failed":
            await asyncio.sleep(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
            attempt += 1
            try:
                worker = await self._start_worker(route)
            except HanlinError as error:
                attempt = max(attempt, self._start_failed(error, attempt))
                continue
            born_s = loop.time()
            self._workers[slot] = worker
            self._was_ready = True
            self._set("ready")
            try:
                status = await worker.wait()
            except asyncio.CancelledError:
                del self._workers[slot]
                self._on_change()
                await worker.stop()
                raise
            worker.discard()
            del self._workers[slot]
            self.restarts += 1
            if loop.time() - born_s > _HEALTHY_S:
                attempt = 0
            _log.warning("worker ended", extra={"endpoint": self.spec.endpoint, "version": self.spec.version, "status": status})
            self._set("ready" if self._workers else "starting", None if self._workers else Said("worker_ended", {"status": status}))

    async def _start_worker(self, route: ReplicaRoute) -> WorkerProcess:
        if self._folder is None or self._folder.done():  # again at every start: bytes on a disk do not stay right by themselves
            self._folder = asyncio.get_running_loop().create_task(asyncio.to_thread(self._materialize, self.spec))
        try:
            folder = await asyncio.shield(self._folder)
        except HanlinError:
            raise
        except Exception as error:
            raise EngineFailed("artifact_unavailable", details=f"{type(error).__name__}: {error}") from error
        spec = self.spec
        async with self._options.memory.room_for(weights_bytes(folder, spec.variant)):
            return await WorkerProcess.start(
                folder, spec.variant, version=spec.version, endpoint=spec.endpoint, options=self._options, route=route
            )  # fmt: skip

    def _start_failed(self, error: HanlinError, attempt: int) -> int:
        """Fails the deployment where trying again is no use; the least number of attempts to count for the pause before the next."""
        _log.warning("worker did not start", extra={"endpoint": self.spec.endpoint, "code": error.code, "details": error.details})
        is_damaged = isinstance(error, DataCorrupt | NotFound)
        is_final = error.code != "worker_start_died" or attempt >= RETRYABLE_STARTS
        if not self._workers and (is_damaged or (is_final and not self._was_ready)):
            self._set("failed", Said(error.code, error.params))
        else:
            self._set("ready" if self._workers else "starting", Said(error.code, error.params))
        return len(_BACKOFF_S) if is_damaged else 0  # reading all bytes anew is dear, and seldom finds them mended

    def _set(self, state: DeploymentState, reason: Said | None = None) -> None:
        if (state, reason) != (self.state, self.reason) or state == "ready":
            self.state, self.reason = state, reason
            self._on_change()
