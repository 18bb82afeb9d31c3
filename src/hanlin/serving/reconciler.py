"""The loop that makes the running workers equal to the declared deployments, and publishes who serves what.

Several deployments of one endpoint are listed oldest first: the last is wanted, earlier ones serve until it is ready; if it
fails they serve on. What is no longer listed drains and stops. When this process dies its workers die with it and gateways
hold their calls until the next one has published routes. Knows deployments through `DesiredState` only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from hanlin.messages.said import Said
from hanlin.serving.declared import DeploymentSpec, DeploymentState
from hanlin.serving.demand import DemandListener
from hanlin.serving.keeper import Keeper
from hanlin.serving.process import WorkerOptions, remove_stale_places
from hanlin.serving.replicas import ReplicaSet
from hanlin.serving.routes import EndpointRoute, Routes, TrialRoute, load_routes, route_key, save_routes
from hanlin.serving.steering import Steering, SteeringOptions, TrialRecord
from hanlin.serving.trial_figures import Figures, save_figures
from hanlin.serving.workers import Workers

_log = logging.getLogger("hanlin.serving")
_DESIRED = "the desired state cannot be read; what runs goes on"
_ROUTES = "the routes cannot be written; it is tried again"
_STEERING = "workers cannot be asked; replicas and trials stay as they are"
_FIGURES = "the figures of trials cannot be written; it is tried again"
_STEER_S = 1.0
_DEMAND = "calls to endpoints that sleep cannot be heard; it is tried again"
_STATE = "a deployment's state cannot be written; it is tried again"


class DesiredState(TrialRecord, Protocol):
    """What shall run, and where to write what came of it. Called from a thread; may block."""

    def list_deployments(self) -> Sequence[DeploymentSpec]:
        """All deployments that shall be up, the newest of an endpoint last; those with `has_failed` are told to callers, not tried."""
        ...

    def set_state(self, deployment_id: str, state: DeploymentState, reason: Said | None, replicas: int) -> None:
        """Record the state and the number of ready replicas."""
        ...


class Reconciler:
    """Runs until `stop`.

    Args:
        materialize: artifact folder of a deployment; may block.
        poll_s: how often the desired state is read.
        steering: limits and times of scaling and of trials.
        has_spare: see `Workers`.
        memory_budget_bytes: see `Keeper`.
    """

    def __init__(
        self, desired: DesiredState, *, materialize: Callable[[DeploymentSpec], Path], options: WorkerOptions, poll_s: float = 0.2,
        steering: SteeringOptions | None = None, has_spare: bool = False, memory_budget_bytes: int = 2**63,
    ) -> None:  # fmt: skip
        self._desired = desired
        self._materialize = materialize
        self._options = options
        self._workers = Workers(options, has_spare=has_spare)
        self._poll_s = poll_s
        self._steering = Steering(desired, steering or SteeringOptions())
        self._wanted: dict[str, DeploymentSpec] = {}
        self._sets: dict[str, ReplicaSet] = {}  # by deployment, oldest first
        self._keeper = Keeper(self._sets, budget_bytes=memory_budget_bytes)
        self._demand: DemandListener | None = None
        self._told: dict[str, tuple[DeploymentState, Said | None, int]] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._published: Routes | None = None
        self._shown: Figures | None = None
        self._stuck: set[str] = set()  # what fails at every turn at present, told once
        self._changed = asyncio.Event()
        self._is_stopped = False

    async def run(self) -> None:
        """Reconcile for ever; on `stop` drain all workers and return. Must run on the main thread."""
        with contextlib.suppress(OSError):
            self._options.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_stale_places(self._options.run_dir)
        steering = asyncio.create_task(self._steer())
        try:
            while not self._is_stopped:
                await self._turn()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s):
                        await self._changed.wait()
                self._changed.clear()
        finally:
            steering.cancel()
            self._steering.close()
            if self._demand is not None:
                self._demand.close()
            for group in list(self._sets.values()):
                self._end(group)
            self._sets.clear()
            await asyncio.gather(*self._stopping, return_exceptions=True)
            await self._keeper.close()
            await self._workers.close()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._is_stopped = True
        self._changed.set()

    async def _steer(self) -> None:
        while True:
            await asyncio.sleep(_STEER_S)
            try:
                await self._steering.turn(self._wanted, self._sets)
                self._show(self._steering.figures)
            except Exception as error:
                self._note_stuck(_STEERING, error)
            else:
                self._stuck.discard(_STEERING)

    def _show(self, figures: Figures) -> None:
        if figures != self._shown:
            try:
                save_figures(self._options.run_dir, figures)
            except OSError as error:  # a full disk: it is tried again
                self._note_stuck(_FIGURES, error)
            else:
                self._shown = figures
                self._stuck.discard(_FIGURES)

    async def _turn(self) -> None:
        try:
            wanted = await asyncio.to_thread(self._desired.list_deployments)
        except Exception as error:
            self._note_stuck(_DESIRED, error)
        else:
            self._stuck.discard(_DESIRED)
            self._apply(wanted)
        self._listen()
        self._keeper.turn()
        self._publish()
        await self._tell()

    def _apply(self, wanted: Sequence[DeploymentSpec]) -> None:
        self._wanted = {spec.deployment_id: spec for spec in wanted}
        by_id = {name: self._steering.fit(spec) for name, spec in self._wanted.items()}
        for deployment_id in self._sets.keys() - by_id.keys():
            self._end(self._sets.pop(deployment_id))
            self._told.pop(deployment_id, None)
        for deployment_id, spec in by_id.items():
            group = self._sets.get(deployment_id)
            if group is None:
                group = ReplicaSet(
                    spec,
                    materialize=self._materialize,
                    workers=self._workers,
                    on_change=self._changed.set,
                    make_room=self._keeper.make_room,
                )
                self._sets[deployment_id] = group
                if spec.has_failed:
                    self._told[deployment_id] = (group.state, group.reason, 0)  # why is recorded already
                group.start()
            elif group.spec.replicas != spec.replicas and group.state != "failed":
                group.scale(spec)
            else:
                group.spec = spec  # how the endpoint answers, its role or its weight may have changed
                if spec.min_replicas and group.state == "asleep":
                    group.wake()

    def _listen(self) -> None:
        """Hear of calls to endpoints that sleep; tried again while the disk has no room for a socket."""
        if self._demand is None:
            try:
                self._demand = DemandListener(self._options.run_dir, self._wake, self._accuse, self._rest)
            except OSError as error:
                self._note_stuck(_DEMAND, error)

    def _wake(self, key: str) -> None:
        route = self._published.endpoints.get(key) if self._published else None
        if route is not None and (group := self._sets.get(route.deployment_id)) is not None:
            group.wake()

    def _rest(self, key: str) -> None:
        route = self._published.endpoints.get(key) if self._published else None
        if route is not None and route.deployment_id in self._sets:
            self._keeper.rest(route.deployment_id)

    def _accuse(self, path: str) -> None:
        for group in self._sets.values():
            group.accuse(path)

    def _end(self, group: ReplicaSet) -> None:
        task = asyncio.get_running_loop().create_task(group.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    def _publish(self) -> None:
        """Per endpoint the newest group that has workers; a known endpoint without any is listed with no replicas."""
        endpoints: dict[str, EndpointRoute] = {}
        for group in self._sets.values():
            spec = group.spec
            if spec.role != "live":
                continue
            key = route_key(spec.team_id, spec.endpoint)
            held = endpoints.get(key)
            if held is None or group.routes or (not held.replicas and group.state != "failed"):
                endpoints[key] = group.route
        routes = Routes({key: self._with_trials(key, route) for key, route in endpoints.items()})
        if self._published is None:
            load_routes(self._options.run_dir)  # read for its side of the contract: a damaged file is simply replaced
        if routes != self._published:
            try:
                save_routes(self._options.run_dir, routes)
            except OSError as error:  # a full disk: the workers serve on under the old routes, and this is tried again
                self._note_stuck(_ROUTES, error)
                return
            self._published = routes
            self._stuck.discard(_ROUTES)

    def _with_trials(self, key: str, route: EndpointRoute) -> EndpointRoute:
        found = tuple(
            TrialRoute(spec.role, spec.weight, group.route) for group in self._sets.values()
            if (spec := group.spec).role != "live" and route_key(spec.team_id, spec.endpoint) == key and group.routes
        )  # fmt: skip
        return msgspec.structs.replace(route, trials=found) if found else route

    async def _tell(self) -> None:
        failure: Exception | None = None
        for deployment_id, group in list(self._sets.items()):
            news = (group.state, group.reason, len(group.routes))
            if self._told.get(deployment_id) == news:
                continue
            try:
                await asyncio.to_thread(self._desired.set_state, deployment_id, *news)
            except Exception as error:
                failure = error
                continue
            self._told[deployment_id] = news
        if failure is not None:
            self._note_stuck(_STATE, failure)
        else:
            self._stuck.discard(_STATE)

    def _note_stuck(self, what: str, error: Exception) -> None:
        """Log what fails at every turn when it begins to, not ten times a second until it heals."""
        if what not in self._stuck:
            self._stuck.add(what)
            _log.warning(what, exc_info=error)
