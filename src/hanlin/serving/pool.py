"""A pool in one process: worker processes and the router to them, without routes file or database. For tests, benches and embedding.

`ensure` → `submit` → `drain`. The server uses the same parts apart: `Reconciler` holds the workers, each gateway has a `Router`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from hanlin.errors import EngineFailed
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.process import WorkerOptions
from hanlin.serving.replicas import ReplicaSet
from hanlin.serving.router import Request, Result, Router
from hanlin.serving.routes import Routes, route_key
from hanlin.serving.workers import Workers


class LocalPool:
    """Replicas on this machine. Lives on the main thread's event loop.

    Args:
        folders: artifact folder by version.
    """

    def __init__(self, options: WorkerOptions, *, folders: dict[str, Path]) -> None:
        self._workers = Workers(options)
        self._folders = folders
        self._sets: dict[str, ReplicaSet] = {}
        self._changed = asyncio.Event()
        self.router = Router(accuse=self._accuse)

    async def ensure(self, spec: DeploymentSpec) -> None:
        """Serve `spec` under its endpoint and wait until it is ready; a former version of the endpoint drains afterwards.

        Raises:
            EngineFailed: `version_not_served`; what served before goes on.
        """
        key = route_key(spec.team_id, spec.endpoint)
        fresh = ReplicaSet(spec, materialize=lambda wanted: self._folders[wanted.version], workers=self._workers, on_change=self._publish)
        fresh.start()
        while fresh.state not in ("ready", "failed"):
            self._changed.clear()
            await self._changed.wait()
        if fresh.state == "failed":
            reason = fresh.reason.text("en") if fresh.reason else ""
            await fresh.stop()
            raise EngineFailed("version_not_served", reason=reason)
        former = self._sets.get(key)
        self._sets[key] = fresh
        self._publish()
        if former is not None:
            await former.stop()

    async def submit(self, team_id: str, endpoint: str, request: Request) -> Result:
        """See `Router.submit`. Cancelling the wait cancels the call."""
        return await self.router.submit(route_key(team_id, endpoint), request)

    async def stats(self) -> dict[str, dict[str, float]]:
        """Counters of each worker by endpoint and position."""
        return {f"{key}#{number}": values for number, (key, _, values) in enumerate(await self.router.reports())}

    def pids(self, team_id: str, endpoint: str) -> tuple[int, ...]:
        """Process ids of an endpoint's ready workers."""
        return self._sets[route_key(team_id, endpoint)].pids

    async def drain(self) -> None:
        """Let calls in flight end, then stop all workers."""
        await asyncio.gather(*(group.stop() for group in self._sets.values()))
        await self._workers.close()
        await self.router.close()

    def _accuse(self, path: str) -> None:
        for group in self._sets.values():
            group.accuse(path)

    def _publish(self) -> None:
        self._changed.set()
        self.router.update(Routes({key: group.route for key, group in self._sets.items()}))
